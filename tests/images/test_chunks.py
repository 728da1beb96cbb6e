"""Chunks that end too early are errors that name them; missing ones have the fill value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from embedseg.images import (
    add_pyramid,
    create_labels,
    fill_box,
    open_array,
    open_lazy,
    read_image,
)
from embedseg.images.zarr_checks import check_blosc
from embedseg.types import DataError

NOISE = np.random.default_rng(0).integers(1, 1000, (64, 64), np.uint16)
#: Codecs of zarr v2 and v3. Blosc stores noise as it is after a filter, and would return garbage.
CODECS: dict[str, dict[str, Any]] = {
    **{
        f"v2 {name}": {"zarr_format": 2, "compressors": codec}
        for name, codec in {
            "none": None,
            "blosc": numcodecs.Blosc("lz4"),
            "zstd": numcodecs.Zstd(),
            "lz4": numcodecs.LZ4(),
            "gzip": numcodecs.GZip(),
            "zlib": numcodecs.Zlib(),
            "bz2": numcodecs.BZ2(),
            "lzma": numcodecs.LZMA(),
        }.items()
    },
    "v2 delta": {
        "zarr_format": 2,
        "compressors": numcodecs.Blosc("lz4"),
        "filters": [numcodecs.Delta("u2")],
    },
    **{
        f"v3 {name}{kind}": {"zarr_format": 3, "compressors": codec, **options}
        for name, codec in {
            "none": None,
            "blosc": BloscCodec(cname="lz4"),
            "zstd": ZstdCodec(),
            "gzip": GzipCodec(),
        }.items()
        for kind, options in {
            "": {},
            " shards": {"shards": (32, 32), "chunks": (16, 16)},
            " shards, index first": {
                "shards": {"shape": (32, 32), "index_location": "start"},
                "chunks": (16, 16),
            },
        }.items()
    },
}


def stored(path: Path, options: dict[str, Any]) -> Path:
    """Zarr array of noise; the file of its third chunk of four."""
    array = zarr.create_array(path, data=NOISE, **{"chunks": (32, 32), "fill_value": 0, **options})
    return path / array.metadata.encode_chunk_key((1, 0))


@pytest.mark.parametrize("kept", [0, 0.5, 0.9])
@pytest.mark.parametrize("name", CODECS)
def test_chunks_that_end_early_are_named(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / "a.zarr"
    chunk = stored(path, CODECS[name])
    image = open_lazy(path)
    np.testing.assert_array_equal(image.read((slice(None), slice(None))), NOISE)
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: int(len(whole) * kept)])
    for box in ((slice(None), slice(None)), (slice(50, 64), slice(20, 32))):
        key = chunk.relative_to(path)
        with pytest.raises(DataError, match=rf"a\.zarr: chunk {key} \(from pixel 32, 0\) cannot"):
            image.read(box)
    # The others can be read.
    np.testing.assert_array_equal(image.read((slice(0, 32), slice(None))), NOISE[:32])


@pytest.mark.parametrize("name", ["v2 blosc", "v3 blosc", "v3 blosc shards"])
def test_chunks_that_are_missing_have_the_fill_value(tmp_path: Path, name: str) -> None:
    stored(tmp_path / "a.zarr", CODECS[name]).unlink()
    expected = NOISE.copy()
    expected[32:, :32] = 0
    image = open_lazy(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.read((slice(None), slice(None))), expected)
    assert not image.read((slice(40, 44), slice(0, 4))).any()


@pytest.mark.parametrize("size", [0, 15, 16, 19, 21])
def test_blosc_says_how_long_it_is(size: int) -> None:
    chunk = bytes(12) + (20).to_bytes(4, "little") + bytes(4)
    check_blosc(chunk)
    with pytest.raises(ValueError, match=f"{size} bytes, expected"):
        check_blosc((chunk + bytes(1))[:size])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_that_end_early_are_named(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "a.zarr"
    create_labels(path, (64, 64), np.int32, "YX", None, chunks=(32, 32), version=version)
    open_array(path)[...] = NOISE
    add_pyramid(path, smallest=32)
    assert open_array(path, 1).shape == (32, 32)
    chunk = path / "0" / ("1/0" if version == "0.4" else "c/1/0")
    chunk.write_bytes(chunk.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a\.zarr: chunk 0/.*1/0 \(from pixel 32, 0\)"):
        fill_box(path, 1, (slice(0, 32), slice(0, 32)), (2, 2))


def test_chunks_of_hdf5_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("raw", data=NOISE, chunks=(32, 32), compression="gzip")
        chunk = data.id.read_direct_chunk((32, 0))[1]
        data.id.write_direct_chunk((32, 0), chunk[: len(chunk) // 2])
    with pytest.raises(DataError, match=r"a\.h5: chunk \(from pixel 32, 0\) cannot be read"):
        open_lazy(path).read((slice(None), slice(None)))


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "zstd", "jpeg"])
@pytest.mark.parametrize(
    "read", [read_image, lambda path: open_lazy(path).read((slice(None),) * 2)]
)
def test_strips_of_tiff_that_end_early(
    tmp_path: Path, compression: str, read: Callable[[Path], Any]
) -> None:
    path = tmp_path / "a.tif"
    data = (NOISE % 250).astype(np.uint8)
    tifffile.imwrite(path, data, compression=compression, rowsperstrip=16)
    read(path)
    with tifffile.TiffFile(path, mode="r+") as file:
        tag = file.pages[0].tags["StripByteCounts"]
        tag.overwrite([tag.value[0], tag.value[1] // 2, *tag.value[2:]])
    with pytest.raises(DataError, match=r"a\.tif"):
        read(path)
