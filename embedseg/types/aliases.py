"""Names of types of arrays, and constants of pixels and labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: One whole number per axis: a shape, a stride, a kernel.
PerAxis = tuple[int, ...]
#: Size of a pixel along each axis, in array-axis order, µm.
Spacing = tuple[float, ...]
#: One slice per axis.
Box = tuple[slice, ...]
#: A label image: 0 is background, objects are positive.
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

#: Least and greatest size of a pixel along an axis, µm: a picometre and a metre.
SMALLEST_PIXEL, LARGEST_PIXEL = 1e-6, 1e6
#: Greatest length in an image, µm: a million of the largest pixels.
LONGEST = 1e12

#: Label of pixels that are not annotated.
NOT_ANNOTATED = -1
#: Label of pixels of a crop that lie outside of its image.
OUTSIDE = -2
