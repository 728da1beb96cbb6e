"""Channels of images in memory and of images that are read box by box."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from stores import write_store

from embedseg.images import (
    Image,
    LazyImage,
    drop_equal_colours,
    fit_channels,
    open_lazy,
    read_image,
    take_channels,
)
from embedseg.types import DataError

NAMES = ("GFP", "DAPI", "2", "GFP again")


def write(folder: Path, kind: str, data: NDArray[Any], names: tuple[str, ...]) -> Path:
    """Write an image, channels first, as OME-TIFF or OME-Zarr with names of channels."""
    axes = "CZYX"[-data.ndim :] if data.ndim == 4 else "CYX"
    path = folder / f"a.{kind}"
    if kind == "zarr":
        write_store(path, data, axes, levels=1)
        listed = [{"label": name} for name in names]
        zarr.open_group(path, mode="r+").attrs["omero"] = {"channels": listed}
    else:
        metadata: dict[str, Any] = {"axes": axes}
        if names:
            metadata["Channel"] = {"Name": list(names)}
        tifffile.imwrite(path, data, photometric="minisblack", metadata=metadata, ome=True)
    return path


def stack(ndim: int, channels: int = 4) -> NDArray[np.uint16]:
    shape = (channels, *((5,) if ndim == 3 else ()), 40, 50)
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


def pixels(image: Image | LazyImage) -> NDArray[Any]:
    if isinstance(image, Image):
        return image.data
    return image.read((slice(None),) * len(image.shape))


@pytest.fixture(params=["ome.tif whole", "ome.tif", "zarr"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    kind, _, whole = request.param.partition(" ")

    def read(data: NDArray[Any], names: tuple[str, ...] = ()) -> Image | LazyImage:
        path = write(tmp_path, kind, data, names)
        return read_image(path) if whole else open_lazy(path)

    return read


@pytest.mark.parametrize("ndim", [2, 3])
def test_channels_are_taken_by_name_and_number(opened: Any, ndim: int) -> None:
    data = stack(ndim)
    image = opened(data, NAMES)
    assert image.channels == NAMES
    for wanted, numbers in (
        (["DAPI"], [1]),
        (["GFP again", "0"], [3, 0]),
        (["2", "3"], [2, 3]),  # the first is a name
        (["0", "1", "2", "3"], [0, 1, 2, 3]),
    ):
        taken = take_channels(image, wanted)
        assert taken.axes == image.axes and taken.spacing == image.spacing
        assert taken.channels == tuple(NAMES[number] for number in numbers)
        np.testing.assert_array_equal(pixels(taken), data[numbers])
    again = take_channels(take_channels(image, ["DAPI", "GFP again"]), ["GFP again"])
    np.testing.assert_array_equal(pixels(again), data[[3]])


def test_a_box_of_some_channels(tmp_path: Path) -> None:
    data = stack(3)
    taken = take_channels(open_lazy(write(tmp_path, "zarr", data, NAMES)), ["3", "DAPI"])
    assert isinstance(taken, LazyImage) and taken.shape == (2, 5, 40, 50)
    box = (slice(1, 2), slice(2, 4), slice(3, 9), slice(None))
    np.testing.assert_array_equal(taken.read(box), data[[3, 1]][box])
    assert taken.read((slice(0), *box[1:])).shape == (0, 2, 6, 50)


def test_what_a_film_has_on_a_frame(tmp_path: Path) -> None:
    data = np.arange(3 * 2 * 6 * 7, dtype=np.uint8).reshape(3, 2, 6, 7)
    np.save(tmp_path / "a.npy", data)
    frame = take_channels(open_lazy(tmp_path / "a.npy", "TCYX"), ["1"]).at_frame(2)
    np.testing.assert_array_equal(pixels(frame), data[2, [1]])


@pytest.mark.parametrize("wanted", [["dapi"], ["4"], ["-1"], ["1", "DAPI"], ["9" * 5000]])
def test_the_channels_of_the_file_are_listed(opened: Any, wanted: list[str]) -> None:
    image = opened(stack(2), NAMES)
    with pytest.raises(DataError, match=r"a\.\S+: .*0 GFP, 1 DAPI, 2 2, 3 GFP again, each once"):
        take_channels(image, wanted)


def test_two_channels_of_one_name_have_no_name(opened: Any) -> None:
    image = opened(stack(2, 2), ("GFP", "GFP"))
    with pytest.raises(DataError, match="0 GFP, 1 GFP"):
        take_channels(image, ["GFP"])
    assert take_channels(image, ["1"]).channels == ("GFP",)


def test_a_model_gets_the_channels_that_it_takes(opened: Any) -> None:
    data = stack(2, 2)
    image = opened(data, ("GFP", "DAPI"))
    for options, numbers in (
        ({"count": 1, "usual": ["DAPI"]}, [1]),
        ({"count": 1, "usual": ["DAPI"], "asked": ["GFP"]}, [0]),
        ({"count": 2, "usual": ["DAPI", "GFP"]}, [1, 0]),
        ({"count": 2, "usual": ["DAPI", "Cy5"]}, [0, 1]),
        ({"count": 2}, [0, 1]),
    ):
        fitting = fit_channels(image, **options)
        np.testing.assert_array_equal(pixels(fitting), data[numbers])
    for options, words in (
        ({"count": 1}, "2 channel.*model has 1; --channel chooses from 0 GFP, 1 DAPI"),
        ({"count": 1, "usual": ["Cy5"]}, "model has 1; --channel chooses from 0 GFP, 1 DAPI"),
        ({"count": 2, "asked": ["GFP"]}, r"1 channel\(s\) are chosen \(GFP\), the model has 2$"),
        ({"count": 3}, "2 channel.*model has 3$"),
    ):
        with pytest.raises(DataError, match=words):
            fit_channels(image, **options)


# -- equal colours ---------------------------------------------------------------------------------
@pytest.mark.parametrize("opacity", [(), (255,)])
def test_grey_images_saved_with_colours_are_grey(
    opacity: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    grey = np.arange(42, dtype=np.uint8).reshape(2, 3, 7)
    full = np.stack([grey] * 3 + [np.full_like(grey, value) for value in opacity], axis=1)
    path = Path(f"{len(opacity)}.png")
    with caplog.at_level("INFO", "embedseg"):
        found = drop_equal_colours(Image(full, "TCYX", (1.0, 1.0), path))
    assert (found.axes, found.spacing) == ("TYX", (1.0, 1.0))
    np.testing.assert_array_equal(found.data, grey)
    assert f"{path}: its {3 + len(opacity)} channels are equal colours" in caplog.text
    for channel in range(full.shape[1]):
        coloured = full.copy()
        coloured[0, channel, 0, 0] ^= 1
        assert drop_equal_colours(Image(coloured, "TCYX")).axes == "TCYX"
    two = Image(full[:, :2], "TCYX")
    assert drop_equal_colours(two) is two


@pytest.mark.parametrize("opacity", [(), (200,)])
@pytest.mark.parametrize("ndim", [2, 3])
def test_equal_colours_of_a_large_image_are_grey(
    tmp_path: Path, ndim: int, opacity: tuple[int, ...]
) -> None:
    grey = stack(ndim, 1)[0].astype(np.uint8)
    full = np.stack([grey] * 3 + [np.full_like(grey, value) for value in opacity])
    image = open_lazy(write(tmp_path, "zarr", full, ()))
    found = drop_equal_colours(image)
    assert (found.axes, found.shape, found.chunks) == (
        "ZYX"[-ndim:],
        grey.shape,
        image.chunks[1:],
    )
    np.testing.assert_array_equal(pixels(found), grey)
    assert fit_channels(image, 1) == found and fit_channels(image, len(full)) is image


@pytest.mark.parametrize("channel", [0, 1, 2, 3])
def test_a_box_that_is_not_grey_after_all_is_named(tmp_path: Path, channel: int) -> None:
    full = np.full((4, 300, 2000), 7, np.uint8)
    full[channel, 100, 500] = 9
    np.save(tmp_path / "a.npy", full)
    found = drop_equal_colours(open_lazy(tmp_path / "a.npy", "CYX"))
    assert found.axes == "YX"
    assert (found.read((slice(0, 100), slice(None))) == 7).all()
    with pytest.raises(DataError, match=r"a\.npy: its 4 channels .* \[100:101, 500:501\]"):
        found.read((slice(100, 101), slice(500, 501)))


def test_an_opacity_that_differs_between_boxes_is_not_constant(tmp_path: Path) -> None:
    full = np.full((4, 300, 2000), 7, np.uint8)
    full[3, :, 1500:] = 9
    np.save(tmp_path / "a.npy", full)
    image = open_lazy(tmp_path / "a.npy", "CYX")
    assert drop_equal_colours(image) is image
