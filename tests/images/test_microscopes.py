"""Microscope files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from embedseg.images import read_image
from embedseg.types import DataError, UsageError
from image_files import VOLUME, touch


def test_files_of_microscopes_need_bioio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bioio", None)
    for name, plugin in (("a.czi", "bioio-czi"), ("a.nd2", "bioio-nd2"), ("a.LIF", "bioio-lif")):
        touch(tmp_path, name)
        with pytest.raises(UsageError, match=rf"{name}: needs bioio and {plugin}: pip install"):
            read_image(tmp_path / name)


def test_czi(tmp_path: Path) -> None:
    czi = pytest.importorskip("pylibCZIrw.czi", reason="needs pip install 'embedseg-nd[bioio]'")
    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for z, c in np.ndindex(VOLUME.shape[:2]):
            file.write(VOLUME[z, c][..., np.newaxis], plane={"C": c, "Z": z, "T": 0})
        file.write_metadata(
            channel_names={0: "DAPI", 1: "GFP", 2: "mCherry"},
            scale_x=0.25e-6,
            scale_y=0.5e-6,
            scale_z=2e-6,
        )
    image = read_image(tmp_path / "a.czi")
    assert (image.axes, image.spacing) == ("CZYX", (2.0, 0.5, 0.25))
    assert image.channels == ("DAPI", "GFP", "mCherry")
    np.testing.assert_array_equal(image.data, np.moveaxis(VOLUME, 1, 0))
    (tmp_path / "b.czi").write_bytes((tmp_path / "a.czi").read_bytes()[:500])
    with pytest.raises((DataError, UsageError), match=r"b\.czi: "):
        read_image(tmp_path / "b.czi")
