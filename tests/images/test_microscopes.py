"""Microscope files."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from embedseg.images import expand_inputs, read_image, stem
from embedseg.types import DataError, UsageError
from image_files import VOLUME, touch


def test_files_of_microscopes_need_bioio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bioio", None)
    for name, plugin in (("a.czi", "bioio-czi"), ("a.nd2", "bioio-nd2"), ("a.LIF", "bioio-lif")):
        touch(tmp_path, name)
        with pytest.raises(UsageError, match=rf"{name}: needs {plugin} and bioio: pip install"):
            read_image(tmp_path / name)


def test_czi(tmp_path: Path) -> None:
    czi = pytest.importorskip("pylibCZIrw.czi", reason="needs pip install '.[bioio]'")
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


class Scenes:
    """Two scenes, as bioio gives them."""

    scenes = ("day 1/left", "day 1/right")
    dims = SimpleNamespace(order="TCZYX")
    physical_pixel_sizes = SimpleNamespace(Z=None, Y=0.5, X=0.5)
    channel_names = ("DAPI",)
    current = 0

    def __init__(self, path: Path) -> None:
        self.path = path

    def set_scene(self, scene: int | str) -> None:
        self.current = scene if isinstance(scene, int) else self.scenes.index(scene)

    @property
    def data(self) -> Any:
        return VOLUME[None, None, :1, self.current]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    @property
    def dtype(self) -> Any:
        return VOLUME.dtype


def test_scenes_are_chosen_by_number_or_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bioio = pytest.importorskip("bioio", reason="needs pip install '.[bioio]'")
    monkeypatch.setattr(bioio, "BioImage", Scenes)
    touch(tmp_path, "a.lif")
    path = tmp_path / "a.lif"
    offered = (
        r"holds 2 images: #1 day 1/left, #2 day 1/right; expected one: a\.lif#1 or a\.lif#NAME"
    )
    with pytest.raises(DataError, match=offered):
        read_image(path)
    for place, part in enumerate(("1", "day 1/right")):
        np.testing.assert_array_equal(read_image(f"{path}#{part}").data, VOLUME[0, place])
    paths = expand_inputs([f"{path}#1", f"{path}#day 1/right"])
    assert [stem(each) for each in paths] == ["a_1", "a_day_1_right"]
    with pytest.raises(DataError, match=r"a\.lif: has no image '3'"):
        read_image(f"{path}#3")
