"""Readers of image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imagecodecs import png_encode

from embedseg.images import read_image
from image_files import VOLUME


@pytest.mark.parametrize(
    "data, axes",
    [
        (VOLUME[0, 0], "YX"),
        (VOLUME[0, 0].astype(np.uint8), "YX"),
        (VOLUME[0].transpose(1, 2, 0), "CYX"),
        (np.dstack([VOLUME[0].T] * 2)[..., :4], "CYX"),
    ],
)
def test_png(tmp_path: Path, data: Any, axes: str) -> None:
    path = tmp_path / "a.PNG"
    path.write_bytes(png_encode(np.ascontiguousarray(data)))
    image = read_image(path)
    assert (image.axes, image.spacing) == (axes, None)
    np.testing.assert_array_equal(image.data, data if axes == "YX" else data.transpose(2, 0, 1))
