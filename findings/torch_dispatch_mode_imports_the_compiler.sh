#!/usr/bin/env bash
# torch 2.13.0: entering a `TorchDispatchMode` imports the compiler, `torch._dynamo`.
#
# A dispatch mode that only counts tensors compiles nothing, and `import torch` leaves the compiler
# out. Yet the first `with Mode():` of a process imports all of it, to decorate the mode's
# `__torch_dispatch__` so that the compiler keeps out of it: about as long again as `import torch`.
# The class method `_should_skip_dynamo`, undocumented, decides: where it returns False nothing is
# imported, and the mode works as before as long as nothing is compiled within it. It has to stand in
# the class that defines `__torch_dispatch__`: in a class derived from that one it comes too late.
#
# Seen on Python 3.11, the second start being 1.2 s faster:
#   plain mode: compiler imported, 1 call counted
#   mode that does not skip: compiler not imported, 1 call counted
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
cat > "$folder/try.py" <<'PYTHON'
import sys

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Plain(TorchDispatchMode):
    calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


class Open(TorchDispatchMode):
    calls = 0

    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


assert "torch._dynamo" not in sys.modules, "import torch itself"
with {"plain": Plain, "open": Open}[sys.argv[1]]() as mode:
    torch.zeros(3)
print("imported" if "torch._dynamo" in sys.modules else "not imported", mode.calls)
PYTHON
plain=$("$folder/venv/bin/python" "$folder/try.py" plain)
open=$("$folder/venv/bin/python" "$folder/try.py" open)
echo "plain mode: compiler $plain call counted"
echo "mode that does not skip: compiler $open call counted"
[ "$plain" = "imported 1" ] && [ "$open" = "not imported 1" ]
