"""Pictures say what they are meant to say, in colours and proportions that can be told apart."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from embedseg.plots import (
    MATCHED_COLOUR,
    MISSED_COLOUR,
    NOT_ANNOTATED_COLOUR,
    SPURIOUS_COLOUR,
    paint_labels,
    plot_overlay,
    save_overlay,
    save_preview,
    save_profiles,
    save_sizes,
    save_trials,
)
from embedseg.plots.maps import paint_directions, plot_maps
from embedseg.types import Maps, MapSpec


def squares(shape: tuple[int, ...], corners: dict[int, tuple[int, int]], size: int = 8):
    """Label image with squares; a volume has them in all planes."""
    labels = np.zeros(shape, np.int32)
    for label, (y, x) in corners.items():
        labels[..., y : y + size, x : x + size] = label
    return labels


TRUTH = squares((60, 80), {1: (5, 5), 2: (5, 40), 3: (40, 5)})
PREDICTED = squares((60, 80), {7: (5, 6), 8: (40, 60)})  # finds 1, invents 8, misses 2 and 3


def panels(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def has(panel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((panel == colour).all(-1).any())


def simulated(colour: tuple[int, int, int], kind: str) -> np.ndarray:
    """What a person without one kind of cone sees (Viénot et al. 1999), linear light."""
    linear = (np.array(colour) / 255) ** 2.2
    matrix = {
        "full": np.eye(3),
        "protan": [[0.112, 0.888, 0], [0.112, 0.888, 0], [0.004, -0.004, 1]],
        "deutan": [[0.293, 0.707, 0], [0.293, 0.707, 0], [-0.021, 0.021, 1]],
    }[kind]
    return np.clip(np.asarray(matrix) @ linear, 0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("kind", ["full", "protan", "deutan"])
def test_the_three_kinds_can_be_told_apart(kind: str) -> None:
    for a, b in combinations((MATCHED_COLOUR, MISSED_COLOUR, SPURIOUS_COLOUR), 2):
        assert np.abs(simulated(a, kind) - simulated(b, kind)).max() > 0.2


def test_labels_next_to_each_other_differ_and_keep_their_colour() -> None:
    colours = paint_labels(np.arange(-1, 200)).astype(int)
    assert colours[0].tolist() == list(NOT_ANNOTATED_COLOUR)
    assert colours[1].tolist() == [0, 0, 0]
    assert colours[2:].max(1).min() > 100  # none as dark as the background
    for step in (1, 2, 3):
        assert np.abs(colours[2 + step :] - colours[2:-step]).max(1).min() > 40
    assert (paint_labels(np.array([[5]]))[0, 0] == colours[6]).all()


def test_errors_are_counted_and_marked_at_their_place() -> None:
    figure = plot_overlay(np.zeros((60, 80)), TRUTH, PREDICTED)
    assert legend(figure) == ["1 matched", "2 missed", "1 spurious"]
    *_, errors = panels(figure)
    scale = errors.shape[0] / 60
    places = {
        MISSED_COLOUR: TRUTH >= 2,
        MATCHED_COLOUR: PREDICTED == 7,
        SPURIOUS_COLOUR: PREDICTED == 8,
    }
    for colour, found in places.items():
        where = np.argwhere((errors == colour).all(-1)) / scale
        assert len(where)
        assert all(found[int(y), int(x)] for y, x in where)
    marks = {line.get_marker(): line.get_xydata() / scale for line in figure.axes[-1].lines}
    assert np.allclose(marks["x"], [[64, 44]], atol=0.5)  # x, y of the spurious square's middle
    assert np.allclose(sorted(marks["o"].tolist()), [[9, 44], [44, 9]], atol=0.5)


def test_a_prediction_has_the_colour_of_its_match_and_of_no_other_object() -> None:
    _, truth, predicted, _ = panels(plot_overlay(np.zeros((60, 80)), TRUTH, PREDICTED))
    scale = truth.shape[0] / 60

    def at(panel: np.ndarray, y: int, x: int) -> list[int]:
        return panel[int(y * scale), int(x * scale)].tolist()

    assert at(truth, 9, 9) == at(predicted, 9, 9)
    assert at(predicted, 44, 64) not in [at(truth, 9, 9), at(truth, 9, 44), at(truth, 44, 9)]


def test_not_annotated_is_grey() -> None:
    truth = TRUTH.copy()
    truth[:, 70:] = -1
    _, painted, _, errors = panels(plot_overlay(np.ones((60, 80)), truth, PREDICTED))
    assert has(painted, NOT_ANNOTATED_COLOUR)
    assert (errors[5, -5] == NOT_ANNOTATED_COLOUR).all()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 1.0, 1.0), (1.0, 0.5, 1.0)])
def test_views_of_a_volume_have_the_right_aspect(spacing: tuple[float, ...]) -> None:
    truth = squares((10, 40, 30), {1: (5, 5)})
    truth[:4] = 0
    figure = plot_overlay(truth, truth, truth, spacing=spacing)
    shown = panels(figure)
    assert len(shown) == 8
    z, y, x = np.multiply(truth.shape, spacing)
    for panel, (high, wide) in zip(shown, [(y, x)] * 4 + [(z, x)] * 4, strict=True):
        assert panel.shape[0] / panel.shape[1] == pytest.approx(high / wide, rel=0.02)
    for axes in figure.axes:  # one screen pixel per pixel, so nothing is stretched
        array, box = axes.images[0].get_array(), axes.get_window_extent()
        assert (box.height, box.width) == pytest.approx(array.shape[:2], abs=1)
    assert legend(figure) == ["1 matched", "0 missed", "0 spurious"]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_any_number_of_channels_and_no_contrast(channels: int) -> None:
    figure = plot_overlay(np.full((channels, 60, 80), 7, np.uint16), TRUTH, 0 * TRUTH)
    assert legend(figure) == ["0 matched", "3 missed", "0 spurious"]
    assert panels(figure)[0].shape == panels(figure)[-1].shape


def test_two_channels_are_seen_in_two_colours() -> None:
    image = np.zeros((2, 20, 20))
    image[0, :, :10] = image[1, :, 10:] = 1
    shown = panels(plot_overlay(image, None, np.zeros((20, 20), int)))[0]
    assert has(shown, (255, 0, 255))
    assert has(shown, (0, 255, 0))


def test_without_truth_objects_are_outlined() -> None:
    figure = plot_overlay(np.zeros((60, 80)), None, PREDICTED)
    assert legend(figure) == ["2 found"]
    assert [axes.get_title() for axes in figure.axes][-1] == "outlines"


def test_files(tmp_path: Path) -> None:
    save_overlay(tmp_path / "new" / "a.png", np.zeros((60, 80)), TRUTH, PREDICTED, title="a")
    picture = imread(tmp_path / "new" / "a.png")
    assert picture.shape[0] > 800
    assert picture.shape[1] > 800


def test_a_preview_shows_several_images(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((60, 80)).astype(np.float32)
    save_preview(
        tmp_path / "flat.png",
        [noise, noise[None]],
        [TRUTH, TRUTH],
        [PREDICTED] * 2,
        titles=["one", "two"],
        title="after 7 steps",
    )
    flat = imread(tmp_path / "flat.png")
    assert flat.shape[1] <= 1600
    assert (flat[..., :3] == np.float32(MISSED_COLOUR) / 255).all(axis=-1).any()
    volume = np.stack([noise] * 3)
    labels = np.stack([0 * TRUTH, TRUTH, 0 * TRUTH])
    save_preview(tmp_path / "volume.png", [volume], [labels], [labels], spacing=(2.0, 1.0, 1.0))
    assert imread(tmp_path / "volume.png").shape[1] < flat.shape[1]


# -- classes ---------------------------------------------------------------------------------------
CLASSES = {"ground": "#303030", "wall": "#e69f00", "organ": "#56b4e9"}


def test_wrong_pixels_of_classes_are_marked_and_counted() -> None:
    truth = np.zeros((20, 30), np.int32)
    truth[:, 10:20], truth[0] = 1, -1
    predicted = np.where(truth == 1, 2, 0)
    predicted[10:, 10:20] = 1
    figure = plot_overlay(np.zeros((20, 30)), truth, predicted, classes=CLASSES)
    assert [axes.get_title() for axes in figure.axes] == [
        "image",
        "truth",
        "prediction",
        "wrong: 15.8 % of the pixels",
    ]
    assert legend(figure) == ["ground", "wall", "organ"]
    wrong = (panels(figure)[3] == MISSED_COLOUR).all(-1)
    assert wrong.mean() == pytest.approx(90 / 600, abs=0.01)
    assert has(panels(figure)[3], NOT_ANNOTATED_COLOUR)
    painted = {tuple(colour) for colour in panels(figure)[2].reshape(-1, 3)}
    assert len(painted) == 3


def test_volumes_of_classes_have_two_views_and_need_no_truth() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (8, 20, 24))
    figure = plot_overlay(
        np.zeros(labels.shape), None, labels, spacing=(4.0, 1.0, 1.0), classes=CLASSES
    )
    assert [axes.get_title() for axes in figure.axes] == [
        "image (z = 4)",
        "prediction (z = 4)",
        "image (y = 10)",
        "prediction (y = 10)",
    ]
    high, wide = panels(figure)[3].shape[:2]
    assert high / wide == pytest.approx(8 * 4 / 24, rel=0.1)


def test_a_preview_of_classes(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (20, 24))
    save_preview(tmp_path / "p.png", [np.zeros((20, 24))], [labels], [labels], classes=CLASSES)
    assert imread(tmp_path / "p.png").std() > 0.05


def test_a_preview_without_truth(tmp_path: Path) -> None:
    save_preview(tmp_path / "p.png", [np.zeros((60, 80))], None, [TRUTH])
    picture = np.round(255 * imread(tmp_path / "p.png")[..., :3])
    assert has(picture, MATCHED_COLOUR) and not has(picture, MISSED_COLOUR)


# -- maps ------------------------------------------------------------------------------------------
def test_directions_are_hues_and_lengths_brightness() -> None:
    vectors = np.zeros((2, 64, 64), np.float32)
    vectors[1, 32:], vectors[0, 32:, 32:] = 1.0, -0.0  # to the right
    vectors[:, 32:, 40:] = 0.0
    colours = paint_directions(vectors)
    assert (colours[60, 5] == (255, 0, 0)).all() and not colours[60, 60].any()
    # The disc in the corner: opposite directions in opposite colours.
    left, right = colours[7, 3].astype(int), colours[7, 11].astype(int)
    assert left.argmin() == 0 and right.argmax() == 0


def test_all_maps_are_shown_with_their_range() -> None:
    specs = (
        MapSpec("offset", "vector", 3, "none"),
        MapSpec("width", "extent", 3, "none"),
        MapSpec("class", "scalar", 2, "softmax", average="activated"),
    )
    data = np.zeros((8, 6, 20, 24), np.float16)
    data[0], data[2, :, :, 12:] = 9.0, 0.5
    data[3:6, 3] = [[[1.0]], [[2.0]], [[3.0]]]
    figure = plot_maps(Maps(data, specs, (4.0, 1.0, 1.0)), np.zeros((2, 6, 20, 24)), title="t")
    names = [axes.get_title() for axes in figure.axes]
    # In the plane from the middle what lies along z is not seen; in the side view it is.
    assert names[:5] == [
        "image",
        "offset, length 0 to 0.5",
        "width, 2 to 2",
        "class 0, 0.5 to 0.5",
        "class 1, 0.5 to 0.5",
    ]
    assert names[5:8] == ["image", "offset, length 9 to 9", "width, 0 to 2"]
    high, wide = panels(figure)[5].shape[:2]
    assert high / wide == pytest.approx(6 * 4 / 24, rel=0.1)


# -- curves ----------------------------------------------------------------------------------------
def test_curves_are_written(tmp_path: Path) -> None:
    save_profiles(tmp_path / "a.svg", {"one": {"0.50": 0.9, "0.75": 0.5}}, ("IoU", "AP"))
    save_profiles(tmp_path / "b.svg", {"one": {"cell": 0.9, "rim": None}}, ("class", "IoU"))
    save_sizes(tmp_path / "c.svg", np.array([[3.0, 9.0], [5.0, 9.0]]), unit="px", axes="YX")
    trials = [({"refine": None, "seed": 0.5}, 0.2), ({"refine": 0.4, "seed": 0.5}, 0.8)]
    save_trials(tmp_path / "d.svg", trials, "ap", title="nuclei")
    words = {
        "a": ["IoU", "AP", "one"],
        "b": ["cell", "rim"],
        "c": ["along Y, median 4", "along X, median 9"],
        "d": ["nuclei", "refine", "None", "0.4", "seed", "ap of validation images"],
    }
    for name, expected in words.items():
        text = (tmp_path / f"{name}.svg").read_text()
        assert [word for word in expected if f"<!-- {word} -->" in text] == expected
