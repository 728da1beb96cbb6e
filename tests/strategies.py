"""Hypothesis strategies for label images, spacings and shapes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.segmentation import relabel_sequential

from embedseg.types import Labels


def shapes(min_side: int = 1, max_side: int = 8) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of small images, 2D and 3D."""
    return hnp.array_shapes(min_dims=2, max_dims=3, min_side=min_side, max_side=max_side)


def spacings(ndim: int) -> st.SearchStrategy[tuple[float, ...]]:
    """Spacings in µm, isotropic or not."""
    step = st.floats(0.1, 5.0)
    return st.one_of(step.map(lambda s: (s,) * ndim), st.tuples(*[step] * ndim))


@st.composite
def labels(
    draw: st.DrawFn,
    shape: tuple[int, ...] | None = None,
    max_label: int = 4,
    unannotated: bool = False,
) -> Labels:
    """Arbitrary label images: numbers with gaps, several pieces, perhaps nothing at all."""
    shape = draw(shapes()) if shape is None else shape
    low = -1 if unannotated else 0
    return draw(hnp.arrays(np.int32, shape, elements=st.integers(low, max_label)))


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, ...] | None = None, max_objects: int = 4) -> Labels:
    """Label images like real ones: boxes, numbered 1..n, later ones over earlier ones."""
    shape = draw(shapes(min_side=2, max_side=12)) if shape is None else shape
    image = np.zeros(shape, np.int32)
    for _ in range(draw(st.integers(0, max_objects))):
        corners = [sorted(draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape]
        image[tuple(slice(low, high) for low, high in corners)] = image.max() + 1
    return relabel_sequential(image)[0]


@st.composite
def pairs_of_labels(draw: st.DrawFn, unannotated: bool = False) -> tuple[Labels, Labels]:
    """Two label images of one shape: truth and prediction."""
    shape = draw(shapes())
    return draw(labels(shape, unannotated=unannotated)), draw(labels(shape))
