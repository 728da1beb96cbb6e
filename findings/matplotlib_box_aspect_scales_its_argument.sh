#!/usr/bin/env bash
# matplotlib 3.11.2: `Axes3D.set_box_aspect` scales the array that it is given.
#
# To draw a volume one passes the lengths of its sides, (x, y, z) in µm, so that a voxel keeps its
# shape. A float64 array of them is scaled in place, to the proportions that matplotlib works with:
# coordinates that are computed with the same array afterwards are wrong, without a word. A tuple, or an
# array of whole numbers, which is converted, is left alone.
#
# Seen on Python 3.11:
#   float array: [2. 3. 4.] became [0.7078 1.0616 1.4155]
#   int array: [2 3 4] became [2 3 4]
#   tuple: [2. 3. 4.] became [2. 3. 4.]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q matplotlib==3.11.2 numpy==2.4.6
cat > "$folder/try.py" <<'PYTHON'
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

axes = plt.figure().add_subplot(projection="3d")
lengths = {
    "float array": np.array([2.0, 3.0, 4.0]),
    "int array": np.array([2, 3, 4]),
    "tuple": (2.0, 3.0, 4.0),
}
changed = {}
for name, given in lengths.items():
    before = np.array(given)
    axes.set_box_aspect(given)
    changed[name] = not np.array_equal(before, given)
    print(f"{name}: {before.round(4)} became {np.round(given, 4)}")
assert changed == {"float array": True, "int array": False, "tuple": False}, changed
ratio = lengths["float array"] / [2.0, 3.0, 4.0]
assert np.allclose(ratio, ratio[0]), "scaled by one factor"
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
