"""What the page "What is trusted" says of files from strangers."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from embedseg.images import open_lazy, read_image
from embedseg.report.html import Page, write_page
from embedseg.training import check_checkpoint
from embedseg.types import DataError, UsageError
from embedseg.zoo import import_model, importer


class Ran(Exception):
    """Code of a file was run."""


class Code:
    def __reduce__(self) -> tuple[type[Ran], tuple[()]]:
        return Raising, ()


def Raising() -> None:
    raise Ran


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"step": Code()}, tmp_path / "last.ckpt")
    with pytest.raises(Ran):
        torch.load(tmp_path / "last.ckpt", weights_only=False)
    with pytest.raises(DataError, match="not a checkpoint"):
        check_checkpoint(tmp_path, {})


def test_code_in_an_array_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([Code()], object), allow_pickle=True)
    with pytest.raises(Ran):
        np.load(path, allow_pickle=True)
    with pytest.raises((DataError, UsageError)):
        open_lazy(path, "YX")


def test_a_pickle_is_no_weights(tmp_path: Path) -> None:
    from embedseg.nets import load_weights

    path = tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps(Code()))
    with pytest.raises(UsageError, match="no readable weights"):
        load_weights(path)


def test_a_package_larger_than_the_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("rdf.yaml", "x")
        file.writestr("config.json", " " * 10**6)
        file.writestr("weights.safetensors", "x")
    monkeypatch.setattr(importer, "free_memory", lambda: 10**6)
    with pytest.raises(DataError, match=r"a\.zip: 0\.001 GB unpacked, expected at most the free"):
        import_model(tmp_path / "a.zip", tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["../b.ome.tif", "/etc/b.ome.tif", "c:b.ome.tif", "a\\b.ome.tif"])
def test_an_image_names_only_files_beside_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.ome.tif"
    description = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="4"'
        ' SizeY="4" SizeC="1" SizeZ="2" SizeT="1"><TiffData IFD="0" FirstZ="0" PlaneCount="1">'
        '<UUID FileName="a.ome.tif">urn:uuid:1</UUID></TiffData><TiffData IFD="0" FirstZ="1"'
        f' PlaneCount="1"><UUID FileName="{name}">urn:uuid:2</UUID></TiffData></Pixels>'
        "</Image></OME>"
    )
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8), description=description, metadata=None)
    with pytest.raises(DataError, match="expected a file beside it"):
        read_image(path)


def test_names_are_escaped_in_reports(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    assert write_page(path, lambda: Page("<script>alert(1)</script>"))
    assert "<script>alert(1)" not in path.read_text()
