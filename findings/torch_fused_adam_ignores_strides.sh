#!/usr/bin/env bash
# torch 2.13.0: the fused Adam and AdamW on a CPU.
#
# They go through weights, gradients and means in the order in which these lie in memory, and do not
# look at strides. A gradient that lies in another order than its weight (contiguous, for a weight
# with channels last) is therefore given to other values of the weight, without an error. Autograd
# makes gradients in the order of the weight; those set by hand or loaded from a file may lie
# differently. Copy them into `torch.empty_like(weight)` first.
#
# Seen with torch 2.13 (CPU): prints "fused and plain steps differ by 0.2".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'END'
import torch

weight = torch.zeros(4, 3, 2, 2).to(memory_format=torch.channels_last)
gradient = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
steps = []
for fused in (True, False):
    moved = torch.nn.Parameter(weight.clone())
    moved.grad = gradient.clone()
    torch.optim.AdamW([moved], lr=0.1, fused=fused).step()
    steps.append(moved.detach())
difference = float((steps[0] - steps[1]).abs().max())
print(f"fused and plain steps differ by {difference:.1f}")
assert difference > 0.1
END
