"""What the page "What is trusted" says of files from strangers."""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
import zarr

from embedseg.export import import_objects, roi
from embedseg.images import (
    content,
    list_fields,
    open_lazy,
    read_image,
    read_stack,
    write_slices,
)
from embedseg.model import Config, ModelFolder, load_trained_net
from embedseg.model.config import parse_config
from embedseg.nets import Net, save_weights
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


def write_secret(folder: Path) -> Path:
    path = folder / "secret"
    path.write_bytes(bytes(range(16)))
    return path


def test_hdf5_pixels_lie_in_the_file(tmp_path: Path) -> None:
    path, secret = tmp_path / "a.h5", write_secret(tmp_path)
    with h5py.File(path, "w") as file:
        file.create_dataset("raw", (4, 4), "u1", external=[(str(secret), 0, 16)])
    for read in (read_image, open_lazy):
        with pytest.raises(DataError, match=r"a\.h5: the pixels of dataset 'raw' lie in '.*secret"):
            read(path)


@pytest.mark.parametrize("how", ["file", "external"])
def test_virtual_hdf5_pixels_lie_in_the_file(tmp_path: Path, how: str) -> None:
    path, other = tmp_path / "a.h5", tmp_path / "b.h5"
    with h5py.File(other, "w") as file:
        file["raw"] = np.ones((4, 4), np.uint8)
    with h5py.File(path, "w") as file:
        if how == "external":
            external = [(str(write_secret(tmp_path)), 0, 16)]
            source = h5py.VirtualSource(
                file.create_dataset("part", (4, 4), "u1", external=external)
            )
        else:
            source = h5py.VirtualSource(str(other), "raw", (4, 4))
        layout = h5py.VirtualLayout((4, 4), "u1")
        layout[:] = source
        file.create_virtual_dataset("raw", layout)
    for read in (read_image, open_lazy):
        with pytest.raises(DataError, match=r"a\.h5: the pixels of dataset .* lie in .*h5repack"):
            read(path)


def test_a_virtual_dataset_of_its_own_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["part"] = np.full((4, 4), 7, np.uint8)
        layout = h5py.VirtualLayout((4, 4), "u1")
        layout[:] = h5py.VirtualSource(file["part"])
        file.create_virtual_dataset("raw", layout)
    assert (read_image(path).data == 7).all()


PATHS = ["../b.zarr", "x/../../b.zarr", "/tmp/b.zarr", "file:///tmp/b.zarr", "..\\b.zarr"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["series", "plate", "well", "levels"])
def test_a_store_names_only_paths_inside_it(tmp_path: Path, kind: str, path: str) -> None:
    zarr.create_array(tmp_path / "b.zarr", data=np.eye(4))
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    if kind == "series":
        group.attrs["bioformats2raw.layout"] = 3
        group.create_group("OME").attrs["series"] = [path]
    elif kind == "plate":
        group.attrs["plate"] = {"wells": [{"path": path}]}
    elif kind == "well":
        group.attrs["well"] = {"images": [{"path": path}]}
    else:
        group.attrs["multiscales"] = [{"datasets": [{"path": path}]}]
    with pytest.raises(DataError, match=r"a\.zarr: its metadata name .*expected a path inside it"):
        open_lazy(tmp_path / "a.zarr")
    if kind in ("plate", "well"):
        with pytest.raises(DataError, match="expected a path inside it"):
            list_fields(str(tmp_path / "a.zarr"))


@pytest.mark.parametrize("name", ["a.png", "a.h5", "a.tif", "a.zarr", "slices"])
def test_an_image_larger_than_the_memory_is_not_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = tmp_path / name, np.zeros((300, 400), np.uint8)
    if name == "a.h5":
        with h5py.File(path, "w") as file:
            file["raw"] = data
    elif name == "a.zarr":
        zarr.create_array(path, data=data)
    elif name == "slices":
        write_slices(path, np.stack([data] * 3), ["1", "2", "3"])
    elif name == "a.png":
        path.write_bytes(imagecodecs.png_encode(data))
    else:
        tifffile.imwrite(path, data)
    read = {"a.zarr": lambda path: open_lazy(path).load(), "slices": read_stack}.get(
        name, read_image
    )
    free = 3 * data.size if name == "slices" else data.size
    monkeypatch.setattr(content, "free_memory", lambda: free)
    assert read(path).data.shape[-2:] == data.shape
    monkeypatch.setattr(content, "free_memory", lambda: free - 1)
    with pytest.raises(DataError, match=rf"{name}: .*300 x 400.* of type uint8 take 0.000.* GB"):
        read(path)


def test_a_png_that_declares_a_terabyte_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    stored = bytearray(imagecodecs.png_encode(np.zeros((4, 4), np.uint8)))
    stored[16:24] = struct.pack(">II", 10**6 * 2, 10**6 * 2)
    stored[29:33] = struct.pack(">I", zlib.crc32(bytes(stored[12:29])))
    path.write_bytes(stored)
    with pytest.raises(DataError, match=r"take 4e\+03 GB"):
        read_image(path)


@pytest.mark.parametrize("kind", ["ome", "scanner", "companion"])
def test_metadata_with_a_document_type_are_not_parsed(tmp_path: Path, kind: str) -> None:
    path, doctype = tmp_path / "a.ome.tif", '<!DOCTYPE a [<!ENTITY b "c">]>'
    ome = '<?xml version="1.0"?>{}<OME>{}</OME>'
    description = {
        "ome": ome.format(doctype, ""),
        "scanner": f"{doctype}<scn></scn>",
        "companion": ome.format("", '<BinaryOnly MetadataFile="a.companion.ome"/>'),
    }[kind]
    (tmp_path / "a.companion.ome").write_text(ome.format(doctype, ""))
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8), description=description, metadata=None)
    for read in (read_image, open_lazy):
        with pytest.raises(DataError, match=r"a\.ome\.tif: its XML has a <!DOCTYPE>"):
            read(path)


def test_a_net_larger_than_its_weights_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse_config(
        {
            "ndim": 2,
            "spacing": [1.0, 1.0],
            "method": {"type": "embedding"},
            "net": {"type": "unet", "width": 4},
            "train": {"crop": [32, 32]},
        }
    )
    folder = ModelFolder(tmp_path)
    folder.save_config(config.changed({"net.width": 512, "net.max_width": 512}))
    save_weights(config.build_net().state_dict(), tmp_path / "weights.safetensors")
    build = Config.build_net

    def watched(self: Config, source: str = "") -> Net:
        net = build(self, source)
        assert next(net.parameters()).is_meta
        return net

    monkeypatch.setattr(Config, "build_net", watched)
    with pytest.raises(UsageError, match="the weights do not fit the net"):
        load_trained_net(folder, torch.device("cpu"))


def test_rois_larger_than_the_memory_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("1.roi", " " * 10**6)
    monkeypatch.setattr(roi, "free_memory", lambda: 10**6 - 1)
    with pytest.raises(DataError, match=r"a\.zip: an entry of 0\.001 GB unpacked, expected"):
        import_objects(tmp_path / "a.zip", (4, 4))
