"""Channels of the images of a data folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from pydantic import ValidationError

from data_folders import write
from embedseg.data import DataOptions, check_folder, load_split, load_training
from embedseg.model import parse_value, plan
from embedseg.types import DataError, UsageError

AXES = {2: "CYX", 3: "ZCYX"}


def pixels(ndim: int, channels: int) -> NDArray[np.uint8]:
    """Return an image, channels first, in which each value of a channel is 100 times its number."""
    shape = (channels, *((4,) if ndim == 3 else ()), 24, 30)
    noise = np.random.default_rng(0).integers(0, 50, shape)
    number = np.arange(channels).reshape(-1, *[1] * ndim)
    return np.asarray(noise + 100 * number, np.uint8)


def add(folder: Path, name: str, image: NDArray[np.uint8], names: tuple[str, ...] = ()) -> None:
    """Write an image, channels first if it has any, and its mask."""
    ndim = 3 if image.ndim == 4 else 2
    (folder / "images").mkdir(parents=True, exist_ok=True)
    labels = np.zeros(image.shape[-ndim:], np.uint16)
    labels[..., 3:9, 4:12], labels[..., 14:20, 4:12] = 1, 2
    channels = image.ndim > ndim
    data = image.swapaxes(0, 1) if ndim == 3 else image
    metadata: dict[str, object] = {"axes": AXES[ndim] if channels else "YX"}
    if names:
        metadata["Channel"] = {"Name": list(names)}
    path = folder / f"images/{name}.tif"
    tifffile.imwrite(path, data, photometric="minisblack", metadata=metadata, ome=True)
    write(folder / f"masks/{name}.tif", labels, "ZYX"[-ndim:])


@pytest.mark.parametrize("ndim", [2, 3])
def test_chosen_channels_are_trained_on(tmp_path: Path, ndim: int) -> None:
    image = pixels(ndim, 2)
    for name in "abc":
        add(tmp_path / "train", name, image, ("GFP", "DAPI"))
    # The same channels in another order: names are sought, not places.
    add(tmp_path / "val", "v", image[::-1], ("DAPI", "GFP"))
    add(tmp_path / "test", "one", image[:1])
    for channels, expected in ((("DAPI",), image[1:]), (("DAPI", "GFP"), image[::-1])):
        options = DataOptions(channels=channels)
        loaded = load_training(tmp_path, options)
        for sample in loaded.train:
            np.testing.assert_array_equal(sample.image, expected)
        config = plan(tmp_path, options=options)
        assert (config.channels, config.data.channels) == (len(channels), channels)
    (sample,) = load_training(tmp_path, DataOptions(channels=("DAPI",))).val
    np.testing.assert_array_equal(sample.image, image[1:])
    # A file with just as many channels as the model takes is read as it is.
    options = DataOptions(channels=("DAPI",))
    assert len(load_split(tmp_path, "test", options, 1)[0].image) == 1
    with pytest.raises(DataError, match=r"one\.tif: channels DAPI: expected some of 0, without"):
        load_split(tmp_path, "test", options)
    with pytest.raises(DataError, match=r"a\.tif: 2 channel.*has 1; --channel chooses from 0 GFP"):
        load_split(tmp_path, "train", None, 1)


def test_check_lists_and_chooses_channels(tmp_path: Path) -> None:
    for name in "abc":
        add(tmp_path / "train", name, pixels(2, 2), ("GFP", "DAPI"))
    report = check_folder(tmp_path)
    assert report.ok and "2 channel(s) (GFP, DAPI)" in "".join(report.lines())
    report = check_folder(tmp_path, options=DataOptions(channels=("DAPI",)))
    assert report.ok and "1 channel(s) (DAPI)" in "".join(report.lines())
    add(tmp_path / "train", "d", pixels(2, 2), ("CFP", "YFP"))
    report = check_folder(tmp_path, options=DataOptions(channels=("DAPI",)))
    (finding,) = [each for each in report.findings if each.severity == "error"]
    assert finding.file.endswith("d.tif") and "0 CFP, 1 YFP" in finding.found


@pytest.mark.parametrize(
    ("text", "channels"),
    [("DAPI", ("DAPI",)), ("0", ("0",)), ("DAPI,2", ("DAPI", "2")), ("[0,1]", ("0", "1"))],
)
def test_channels_as_settings_give_them(text: str, channels: tuple[str, ...]) -> None:
    assert DataOptions(channels=parse_value(text)).channels == channels


def test_impossible_channels_are_refused(tmp_path: Path) -> None:
    for channels in ([], [""], ["DAPI", "DAPI"]):
        with pytest.raises(ValidationError):
            DataOptions(channels=channels)
    for name in "abc":
        add(tmp_path / "train", name, pixels(2, 2))
    with pytest.raises(
        UsageError, match=r"data\.channels 0: 1, expected as many as channels \(2\)"
    ):
        plan(tmp_path).changed({"data.channels": "0"})


# -- grey images saved as colours ------------------------------------------------------------------
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("channels", [3, 4])
def test_grey_images_saved_as_colours_train_as_grey(
    tmp_path: Path, ndim: int, channels: int, caplog: pytest.LogCaptureFixture
) -> None:
    grey = pixels(ndim, 1)
    full = np.concatenate([grey] * 3 + [np.full_like(grey, 255)] * (channels - 3))
    for split, names in (("train", "abc"), ("val", "v"), ("test", "t")):
        for name in names:
            add(tmp_path / split, name, full)
    with caplog.at_level("INFO", "embedseg"):
        loaded = load_training(tmp_path)
    assert "equal colours in 3 of 3 images, all read as grey" in caplog.text
    for sample in (*loaded.train, *loaded.val, *load_split(tmp_path, "test", None, 1)):
        np.testing.assert_array_equal(sample.image, grey)
    assert plan(tmp_path).channels == 1
    report = check_folder(tmp_path)
    assert report.ok and {each.problem for each in report.findings} >= {"equal colours"}
    assert "1 channel(s)" in "".join(report.lines())
    # Of a model of colours it stays an image with colours.
    assert len(load_split(tmp_path, "test", None, channels)[0].image) == channels


def test_one_image_with_colours_makes_all_coloured(tmp_path: Path) -> None:
    grey = pixels(2, 1)
    for name in "abc":
        add(tmp_path / "train", name, np.concatenate([grey] * 3))
    add(tmp_path / "train", "d", pixels(2, 3))
    add(tmp_path / "val", "v", np.concatenate([grey] * 3))
    loaded = load_training(tmp_path)
    assert {len(sample.image) for sample in (*loaded.train, *loaded.val)} == {3}
    report = check_folder(tmp_path)
    assert report.ok and not [each for each in report.findings if each.problem == "equal colours"]


def test_grey_images_may_be_saved_in_both_ways(tmp_path: Path) -> None:
    grey = pixels(2, 1)
    add(tmp_path / "train", "a", np.concatenate([grey] * 3))
    for name in "bc":
        add(tmp_path / "train", name, grey[0])
    add(tmp_path / "val", "v", pixels(2, 3))
    assert {len(sample.image) for sample in load_split(tmp_path, "train")} == {1}
    with pytest.raises(DataError, match=r"v\.tif: 3 channel\(s\), the model has 1"):
        load_training(tmp_path)
    assert "mixed channels" in {each.problem for each in check_folder(tmp_path).findings}


@pytest.mark.parametrize("ndim", [2, 3])
def test_channels_are_known_by_their_names_without_being_asked_for(
    tmp_path: Path, ndim: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A model of all channels finds them in images that hold them in another order."""
    image = pixels(ndim, 2)
    add(tmp_path / "train", "one", image, ("DAPI", "GFP"))
    add(tmp_path / "train", "two", image[::-1], ("GFP", "DAPI"))
    add(tmp_path / "val", "one", image[::-1], ("GFP", "DAPI"))
    loaded = load_training(tmp_path)
    assert all(np.array_equal(sample.image[0], image[0]) for sample in loaded.train)
    assert "two.tif name their channels DAPI, GFP and GFP, DAPI: read by name" in caplog.text
    config = plan(tmp_path)
    assert config.data.channels == ("DAPI", "GFP")
    (val,) = load_split(tmp_path, "val", config.data, config.channels)
    assert np.array_equal(val.image[0], image[0])
    found = [(each.problem, each.file[-7:]) for each in check_folder(tmp_path).findings]
    assert found.count(("order of channels differs", "two.tif")) == 1


def test_channels_of_other_names_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, channels in (("one", ("DAPI", "GFP")), ("two", ("DAPI", "RFP")), ("six", ())):
        add(tmp_path / "train", name, pixels(2, 2), channels)
    assert plan(tmp_path, options=DataOptions(val=1)).data.channels is None
    assert "in the order of the files" in caplog.text
    report = check_folder(tmp_path)
    assert sum(each.problem == "names of channels differ" for each in report.findings) == 2
    # One channel chosen by its number, of other images than one thinks.
    add(tmp_path / "train", "six", pixels(2, 2)[::-1], ("GFP", "DAPI"))
    report = check_folder(tmp_path, options=DataOptions(channels=("0",)))
    assert [each.file[-7:] for each in report.findings if "channels differ" in each.problem] == [
        "six.tif"
    ]
