"""Report pages: what they say and show, that they are safe, small and can be used by anyone."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, find_browser
from hypothesis import given, strategies as st

from commands import Run
from embedseg.data import Sample
from embedseg.images import write_blobs
from embedseg.methods import as_method
from embedseg.model import plan
from embedseg.plots import MATCHED_COLOUR, MISSED_COLOUR, NOT_ANNOTATED_COLOUR, SPURIOUS_COLOUR
from embedseg.report import (
    Gallery,
    write_benchmark_report,
    write_evaluation_report,
    write_prediction_report,
    write_training_report,
)
from embedseg.report.charts import Chart, Series, choose_ticks, draw_svg, make_histogram
from embedseg.report.gallery import MAX_CHARACTERS
from embedseg.report.gallery_sections import score_sections
from embedseg.report.html import Page, Section, render_page, write_page
from embedseg.report.images import choose_slices, paint_thumbnail, take_labels, thumbnail_index
from embedseg.report.overlays import ERROR_KINDS, MERGED_COLOUR, SPLIT_COLOUR
from embedseg.report.sections import reliability_chart
from embedseg.report.views import ClassView, ObjectView
from embedseg.scoring import Table, classify_errors
from embedseg.segmenter import Segmenter
from embedseg.types import Segmentation
from tests.benchmark.test_benchmark import record
from tests.plots.test_plots import simulated

#: Elements that have no end.
VOID = {"meta", "img", "input", "br", "link"}
SHAPES = {2: (48, 60), 3: (6, 40, 56)}
NASTY = "<script>alert(1)</script>\"'&--> \udcff"


class Reader(HTMLParser):
    """Reads a page and sees that it is well formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("script", "style"):
            self.text.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            found
            for name, found in self.elements
            if name == tag
            and all(
                found.get(key.replace("_", "-").strip("-")) == value
                for key, value in attributes.items()
            )
        ]

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def squares(shape: tuple[int, ...]) -> np.ndarray:
    """Six squares, or prisms, of 8 x 8 pixels."""
    labels = np.zeros(shape, np.int32)
    for k, (y, x) in enumerate([(4, 4), (4, 20), (4, 36), (20, 4), (20, 20), (20, 36)], 1):
        labels[..., y : y + 8, x : x + 8] = k
    return labels


def wrong(labels: np.ndarray) -> np.ndarray:
    """1 is missing, 2 in two pieces, 3 and 4 are one, 5 and 6 are found, 9 is one too many."""
    found = labels.copy()
    found[found == 1] = 0
    found[..., 4:12, 23:25], found[..., 4:12, 25:28] = 0, 7
    found[labels == 3] = 4
    found[..., 12:16, 36:44] = 4
    found[..., 30:36, 40:48] = 8
    return found


def samples(ndim: int, n: int = 3, classes: bool = False) -> list[Sample]:
    made = []
    for seed in range(n):
        labels = squares(SHAPES[ndim])
        image = (labels > 0) + np.random.default_rng(seed).random(labels.shape, np.float32)
        made.append(
            Sample(
                f"image {seed}",
                image[np.newaxis].astype(np.float32),
                (labels > 0).astype(np.int32) if classes else labels,
                (0.5,) * ndim,
                semantic=classes,
            )
        )
    return made


def segmenter(kind: str, given_samples: list[Sample]) -> Segmenter:
    from embedseg.data import DataOptions

    options = DataOptions(classes="ground=0,thing=1" if kind == "semantic" else None)
    config = plan(given_samples, method=kind, options=options)
    return Segmenter.new(config.changed({"net.width": 4, "net.depth": 2}), "cpu")


def evaluated(kind: str, ndim: int, n: int = 3) -> tuple[Segmenter, Gallery, list[Sample]]:
    data = samples(ndim, n, kind == "semantic")
    model = segmenter(kind, data)
    gallery = Gallery(model.config.method)
    for i, sample in enumerate(data):
        found = wrong(sample.labels) if i and kind != "semantic" else sample.labels
        if kind == "semantic":
            found = np.where(np.arange(found.shape[-1]) < 10 * i, 1, found).astype(np.int32)
        count = int(found.max())
        objects = (
            None
            if kind == "semantic"
            else {"score": np.linspace(0.1, 1, count), "size": np.ones(count)}
        )
        gallery.add(
            sample.name,
            sample.image,
            Segmentation(found, objects),
            sample.labels,
            spacing=sample.spacing,
        )
    model.history = [
        {
            "epoch": e,
            "step": 5 * e,
            "minutes": e / 7,
            "rate": 0.1,
            "total": 2 / e,
            "val_score": 1 - 1 / e,
        }
        for e in range(1, 9)
    ]
    return model, gallery, data


@pytest.fixture(
    scope="module",
    params=[(kind, ndim) for kind in ("embedding", "semantic") for ndim in (2, 3)],
    ids=lambda p: f"{p[0]}-{p[1]}D",
)
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, int, Gallery, str, Path]:
    kind, ndim = request.param
    path = tmp_path_factory.mktemp("report") / "report.html"
    model, gallery, data = evaluated(kind, ndim)
    assert write_evaluation_report(
        path, model, gallery, data, title="on blobs", command="embedseg evaluate 'my model' data"
    )
    return kind, ndim, gallery, path.read_text(encoding="utf-8"), path


# -- what is said ----------------------------------------------------------------------------------
def test_a_page_says_what_is_known(written: Any) -> None:
    kind, _, gallery, html, _ = written
    page = Reader(html)
    titles = [
        "Scores",
        "Errors",
        "Images",
        "All images",
        "Data",
        "Training",
        "Settings",
        "How to get this again",
    ]
    assert [found for found in titles if f" {found} " in page.words] == titles
    summary = gallery.scoring.summarise(gallery.results)
    for value in gallery.scoring.headline(summary).values():
        assert f"{value:.3f}" in page.words
    assert "embedseg evaluate 'my model' data" in page.words
    assert "torch" in page.words and "3 images of" in page.words
    if kind == "embedding":
        total = {
            name: sum(each.counts[name] for each in gallery.errors)
            for name in gallery.errors[0].counts
        }
        assert total == {
            "matched": 10,
            "missed": 2,
            "split": 2,
            "merged": 4,
            "fragments": 4,
            "merging": 2,
            "spurious": 2,
        }
        for name in ("fragments", "merging", "spurious"):
            assert f"{total[name]} {name}" in page.words
        assert "µm" in page.words and "How large objects are" in page.words
    else:
        assert "Confusion" in page.words and "wrong pixels" in page.words


def test_scores_are_held_against_the_truth(tmp_path: Path) -> None:
    model, gallery, data = evaluated("embedding", 2, 9)
    assert write_evaluation_report(tmp_path / "r.html", model, gallery, data, title="on blobs")
    words = Reader((tmp_path / "r.html").read_text(encoding="utf-8")).words
    assert "Whether scores can be trusted" in words
    scores = {name: np.concatenate(each) for name, each in gallery.object_scores.items()}
    assert [len(each) for each in scores.values()] == [22, 32]
    chart = reliability_chart(*scores.values())
    # Five bins: the objects of lowest score match never, or else as these do.
    assert len(chart.series[0].y) == 5
    assert np.mean(chart.series[0].y) == pytest.approx(22 / 54, abs=0.02)
    assert reliability_chart(np.ones(20), np.ones(9)) is None
    assert reliability_chart(np.ones(20), np.zeros(20)).series[0].y == [0, 0, 1, 1]


def test_objects_on_what_is_not_annotated_do_not_count(tmp_path: Path) -> None:
    labels = squares((48, 60))
    truth = np.where(labels == 6, -1, labels)
    gallery = Gallery(as_method({"type": "boundary"}))
    objects = {"score": np.linspace(0.1, 0.6, 6), "size": np.ones(6)}
    gallery.add("a", labels.astype(np.float32), Segmentation(labels, objects), truth)
    assert [len(each[0]) for each in gallery.object_scores.values()] == [5, 0]


def test_images_come_the_worst_first(written: Any) -> None:
    gallery = written[2]
    ranks = [entry.rank for entry in gallery.pictured_entries()]
    assert ranks == sorted(ranks) and ranks[-1] == 1
    words = Reader(written[3]).words
    names = [entry.name for entry in gallery.pictured_entries()]
    assert [words.index(f" {name} ") for name in names] == sorted(
        words.index(f" {name} ") for name in names
    )


def test_alternatives_say_numbers(written: Any) -> None:
    kind, ndim, _, html, _ = written
    page = Reader(html)
    alts = [image["alt"] for image in page.all("img")]
    assert len(alts) == 3 * 4 and all(alts)
    assert any(re.match(r"image 0, [\d x]+ pixels", alt) for alt in alts)
    if kind == "embedding":
        assert "errors: matched 6, missed 0, split 0, merged 0, spurious 0" in alts
        assert "truth: 6 objects" in alts
    else:
        assert any(re.match(r"errors: wrong pixels \d", alt) for alt in alts)
    labels = [each["aria-label"] for each in page.all("svg", role="img")]
    assert labels and all(re.search(r"\d", label) for label in labels)
    assert len(page.all("input", type="range")) == (3 if ndim == 3 else 0)


def test_everything_has_a_name_and_a_place(written: Any) -> None:
    page = Reader(written[3])
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(set(ids)) == len(ids)
    for tag, found in page.elements:
        for key in ("aria-labelledby", "for"):
            assert found.get(key, ids[0]) in ids
        if found.get("href", "").startswith("#"):
            assert found["href"][1:] in ids
        if tag == "button":
            assert found["aria-pressed"] in ("true", "false") and found["type"] == "button"
        if tag == "th":
            assert found["scope"] in ("col", "row")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.all("html", lang="en") and page.all("main") and page.all("nav")
    assert len(page.all("caption")) == len(page.all("table"))
    inputs = {each["id"] for each in page.all("input")}
    assert inputs == {each["for"] for each in page.all("label")}


def test_nothing_is_asked_of_the_network(written: Any) -> None:
    page, html = Reader(written[3]), written[3]
    for tag, found in page.elements:
        for key in ("src", "href", "srcset", "action", "poster", "data"):
            assert found.get(key, "#")[:5] in ("data:", "#") or found[key].startswith("#"), tag
    assert not re.search(r"url\(|@import|https?://", html)
    assert not page.all("link") and len(page.all("script")) == 1
    (policy,) = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'; img-src data:")


def test_a_prediction_has_no_truth(tmp_path: Path) -> None:
    model, _, data = evaluated("embedding", 2, 1)
    gallery = Gallery(model.config.method)
    for sample in data:
        gallery.add(sample.name, sample.image, Segmentation(sample.labels))
    assert write_prediction_report(
        tmp_path / "r.html", model, gallery, failed=2, skipped=1, command="embedseg predict"
    )
    page = Reader((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert {image["data-layer"] for image in page.all("img")} == {"image", "prediction"}
    assert "6 objects" in page.words and "1 of 48 x 60 px" in page.words
    assert "2 were not segmented" in page.words and "1 was there already" in page.words
    assert not re.search("truth|missed|IoU", page.words)


def test_a_benchmark_is_a_table_and_curves(tmp_path: Path) -> None:
    records = [
        record(seed=seed, minutes=minutes) | {"trained": minutes, "device": "cpu"}
        for minutes in (1.0, 5.0)
        for seed in (0, 1)
    ]
    assert write_benchmark_report(tmp_path / "r.html", records, title="B")
    page = Reader((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert ".500 ± .000" in page.words and "Accuracy against time" in page.words
    assert len(page.all("svg", role="img")) == 2
    runs = page.words.split("All runs")[-1]
    assert runs.count("a n 2D") == 4


def test_the_best_of_a_benchmark_is_a_mean_over_seeds(tmp_path: Path) -> None:
    records = [
        record(method, seed=seed, **{f"0.{t}": value for t in (50, 70, 90)})
        | {"trained": 1.0, "device": "cpu"}
        for method, values in {"lucky once": (0.9, 0.1), "even": (0.6, 0.7)}.items()
        for seed, value in enumerate(values)
    ]
    assert write_benchmark_report(tmp_path / "r.html", records, title="B")
    before_tables = Reader((tmp_path / "r.html").read_text(encoding="utf-8")).words.split("Comp")[0]
    assert ".650" in before_tables and ".900" not in before_tables


def test_a_training_is_looked_at_on_validation_images(tmp_path: Path) -> None:
    write_blobs(tmp_path / "data", 2, splits={"train": 2, "val": 2}, shape=(48, 48))
    model = Segmenter.new(plan(tmp_path / "data").changed({"net.width": 4, "net.depth": 2}), "cpu")
    model.history = [{"epoch": 1, "step": 5, "minutes": 0.1, "total": 1.0, "val_ap_mean": 0.2}]
    (tmp_path / "tuning.json").write_text(
        '{"words": "tune: kept", "trials": [{"seed_threshold": 0.9, "ap_mean": 0.25}]}'
    )
    assert write_training_report(tmp_path / "r.html", model, tmp_path / "data", folder=tmp_path)
    page = Reader((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "2 of 2 validation images" in page.words and "5 steps" in page.words
    assert "tune: kept" in page.words and "seed_threshold" in page.words
    assert "val: the folder" in page.words.replace("val the", "val: the")
    assert "offsets" in page.words  # why the method is as it is


# -- what is shown ---------------------------------------------------------------------------------
@pytest.mark.parametrize("vision", ["full", "protan", "deutan"])
def test_kinds_of_errors_can_be_told_apart(vision: str) -> None:
    for a, b in combinations(
        (MATCHED_COLOUR, MISSED_COLOUR, SPLIT_COLOUR, MERGED_COLOUR, SPURIOUS_COLOUR), 2
    ):
        assert np.abs(simulated(a, vision) - simulated(b, vision)).max() > 0.2
    assert len({kind.mark for kind in ERROR_KINDS}) == len(ERROR_KINDS)


def test_errors_are_painted_where_they_are() -> None:
    labels = squares(SHAPES[2])
    truth, found = labels[np.newaxis], wrong(labels)[np.newaxis]
    truth = np.where((np.arange(60) > 55) & (truth == 0) & (found == 0), -1, truth)
    judged = ObjectView({}).compare(truth[0], found[0])
    layers = ObjectView({}).paint(truth, found, judged)
    assert all(pixels.shape == (*truth.shape, 4) for pixels in layers.values())
    kinds, errors = classify_errors(truth[0], found[0]), layers["errors"]
    areas = {
        MISSED_COLOUR: np.isin(truth, kinds.missed),
        SPURIOUS_COLOUR: np.isin(found, kinds.spurious),
        SPLIT_COLOUR: np.isin(found, kinds.fragments),
        MERGED_COLOUR: np.isin(found, kinds.merging),
    }
    for colour, place in areas.items():
        here = (errors[..., :3] == colour).all(-1)
        assert here.any() and (here <= place | np.isin(truth, [*kinds.split, *kinds.merged])).all()
    assert (errors[truth < 0][:, :3] == NOT_ANNOTATED_COLOUR).all()
    assert not errors[(truth == 0) & (found == 0)][:, 3].any() or len(kinds.missed)
    # A match has the colour that it has in the truth.
    for true, pred in kinds.matched:
        both = (truth == true) & (found == pred)
        assert (layers["truth"][both][:, :3] == layers["prediction"][both][:, :3]).all()


def test_classes_are_painted_in_their_colours() -> None:
    view = ClassView({"ground": "#303030", "wall": "#e69f00"})
    truth, found = np.array([[[0, 1, -1]]], np.int32), np.array([[[0, 0, 1]]], np.int32)
    layers = view.paint(truth, found, view.compare(truth, found))
    assert layers["truth"][0, 0, 1, :3].tolist() == [0xE6, 0x9F, 0]
    assert [tuple(pixel) for pixel in layers["errors"][0, 0, :, :3]] == [
        (0, 0, 0),
        MISSED_COLOUR,
        NOT_ANNOTATED_COLOUR,
    ]
    assert view.columns(view.compare(truth, found)) == {"wrong pixels": "50.0 %"}


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((100, 200), (1.0, 1.0)),
        ((1500, 900), (1.0, 2.0)),
        ((7, 30, 20), (4.0, 1.0, 1.0)),
        ((30, 2000, 50), (1.0, 0.1, 2.0)),
        ((1, 1), (1.0, 1.0)),
    ],
)
def test_thumbnails_keep_the_aspect_and_stay_small(
    shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    slices = choose_slices(1 if len(shape) == 2 else shape[0])
    index = thumbnail_index(shape, spacing, slices)
    labels = take_labels(np.arange(np.prod(shape), dtype=np.int32).reshape(shape), index)
    image = paint_thumbnail(np.ones((2, *shape), np.float32), index)
    assert image.shape == (*labels.shape, 3)
    assert max(labels.shape[1:]) <= 560 and len(labels) <= 20
    high, wide = np.multiply(shape, spacing)[-2:]
    assert (
        labels.shape[1] / labels.shape[2] == pytest.approx(high / wide, rel=0.1)
        or min(labels.shape[1:]) < 10
    )
    assert len(set(slices)) == len(slices)


def test_what_is_left_out_of_a_thumbnail_is_averaged() -> None:
    image = np.zeros((1, 4, 2240, 2240), np.float32)
    image[..., ::2] = 1  # a fine pattern is grey from afar, whichever columns are taken
    image[..., 0, 0], image[:, :, :1120] = 9, 0
    index = thumbnail_index(image.shape[1:], (1.0,) * 3, [0, 3])
    painted = paint_thumbnail(image, index)[0, 150:, 5:, 0]
    assert painted.min() > 200  # columns taken as they are would be black or white


def test_pictures_are_kept_of_the_worst_and_the_best() -> None:
    gallery = Gallery(as_method({"type": "embedding"}))
    truth = np.zeros((20, 60), np.int32)
    for k in range(30):
        truth[2:5, 2 * k] = k + 1
    order = np.random.default_rng(0).permutation(30)
    for n in order:
        gallery.add(
            f"a{n}",
            truth.astype(np.float32),
            Segmentation(np.where(truth > n, 0, truth).astype(np.int32)),
            truth,
        )
    shown = [int(entry.name[1:]) for entry in gallery.pictured_entries()]
    assert shown == [0, 1, 2, 3, 4, 5, 24, 25, 26, 27, 28, 29]
    (section,) = [s for s in _sections(gallery) if s.title == "Images"]
    assert "12 of 30 images" in section.paragraphs[0] and "left out" in section.paragraphs[1]


def test_without_truth_pictures_are_evenly_spaced() -> None:
    gallery, labels = Gallery(as_method({"type": "embedding"})), np.eye(20, dtype=np.int32)
    for n in range(100):
        gallery.add(f"{n}", labels.astype(np.float32), Segmentation(labels))
    assert [entry.name for entry in gallery.pictured_entries()] == [f"{16 * k}" for k in range(7)]


def _sections(gallery: Gallery) -> list[Section]:
    return score_sections(gallery)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_page_is_never_large(ndim: int) -> None:
    rng = np.random.default_rng(0)
    shape = {2: (560, 560), 3: (24, 288, 288)}[ndim]
    gallery = Gallery(as_method({"type": "embedding"}))
    for n in range({2: 14, 3: 4}[ndim]):
        image = rng.random((3, *shape), dtype=np.float32)
        # Noise is what compresses worst.
        labels = rng.integers(0, 9, shape, np.int32)
        gallery.add("n" * 200 + str(n), image, Segmentation(labels), labels)
    html = render_page(Page("noise", sections=_sections(gallery)))
    assert len(html.encode()) < 10_000_000
    assert sum(entry.picture.size for entry in gallery.pictured_entries()) <= MAX_CHARACTERS
    assert 0 < len(gallery.pictured_entries()) < len(gallery.entries)
    assert "left out" in html


# -- what may go wrong -----------------------------------------------------------------------------
def test_names_are_no_code(tmp_path: Path) -> None:
    labels = np.eye(30, dtype=np.int32)
    gallery = Gallery(as_method({"type": "embedding"}))
    gallery.add(NASTY, labels.astype(np.float32), Segmentation(labels), labels)
    chart = Chart(NASTY, NASTY, NASTY, (Series(NASTY, [0.0], [1.0]),), "bars", names=(NASTY,))
    sections = [
        *_sections(gallery),
        Section(
            NASTY,
            [NASTY],
            [(NASTY, NASTY)],
            [Table(NASTY, (NASTY,), [(NASTY,)])],
            [chart],
            command=NASTY,
        ),
    ]
    assert write_page(tmp_path / "r.html", lambda: Page(NASTY, NASTY, {NASTY: NASTY}, sections))
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = Reader(html)
    assert html.count("<script") == 1 and "alert(1)</script>\"'&--> ?" in page.words
    assert NASTY.replace("\udcff", "?") in {
        attributes.get("alt", "").partition(", 30")[0] for attributes in page.all("img")
    }


def test_a_report_never_costs_the_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Page:
        raise MemoryError("all full")

    assert not write_page(tmp_path / "r.html", broken)
    assert "r.html: not written (MemoryError: all full)" in caplog.text
    assert not write_page(tmp_path / "none/r.html", broken) and not list(tmp_path.iterdir())
    (tmp_path / "report.html").write_text("my own report")
    assert not write_page(tmp_path / "report.html", lambda: Page("a"))
    assert (tmp_path / "report.html").read_text() == "my own report"
    assert write_page(tmp_path / "r.html", lambda: Page("one"))
    assert write_page(tmp_path / "r.html", lambda: Page("two"))
    assert "<title>two" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "report.html"]


def test_an_image_that_cannot_be_shown_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    gallery, labels = Gallery(as_method({"type": "embedding"})), np.eye(20, dtype=np.int32)
    gallery.add("bad", labels.astype(np.float32), Segmentation(labels), labels[:9])
    gallery.add("worse", np.zeros((1, 2)), Segmentation(labels))
    gallery.add("good", labels.astype(np.float32), Segmentation(labels))
    assert [entry.name for entry in gallery.entries if entry.picture] == ["good"]
    assert "bad: left out of the report (DataError" in caplog.text
    assert "worse: left out of the report (DataError: image of shape (1, 2)" in caplog.text


def test_images_with_nothing_in_them(tmp_path: Path) -> None:
    model, _, _ = evaluated("embedding", 2, 1)
    empty, gallery = np.zeros((20, 30), np.int32), Gallery(model.config.method)
    sample = Sample("empty", empty[np.newaxis].astype(np.float32), empty)
    gallery.add("empty", sample.image, Segmentation(empty), empty)
    assert write_evaluation_report(tmp_path / "r.html", model, gallery, [sample])
    assert "0 objects" in Reader((tmp_path / "r.html").read_text(encoding="utf-8")).words
    assert write_prediction_report(
        tmp_path / "p.html", model, Gallery(model.config.method), failed=1
    )


# -- charts ----------------------------------------------------------------------------------------
@given(st.lists(st.floats(1e-3, 1e6), max_size=30), st.booleans())
def test_histograms_count_everything(values: list[float], log: bool) -> None:
    chart = make_histogram("h", "x", [("a", values), ("b", values[:3])], log=log)
    assert [sum(each.y) for each in chart.series] == [len(values), len(values[:3])]
    ElementTree.fromstring(draw_svg(chart))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_few_and_inside(low: float, width: float, most: int) -> None:
    found = choose_ticks(low, low + width, most)
    assert len(found) <= most + 1
    assert all(low - width / 100 <= value <= low + width * 1.01 for value in found)
    assert 2 <= len(choose_ticks(width, 10 * width, log=True)) <= 9


@pytest.mark.parametrize("y", [[], [0.0], [float("nan"), 1.0], [1.0] * 3, [0.0, 1e-9, 5.0]])
@pytest.mark.parametrize("log", [False, True])
def test_any_numbers_can_be_drawn(y: list[float], log: bool) -> None:
    chart = Chart("t", "x", "y", (Series("a", list(range(len(y))), y),), log_y=log)
    drawn = ElementTree.fromstring(draw_svg(chart))
    for path in drawn.iter("path"):
        assert not re.search("nan|inf", path.get("d", "")) and path.get("d") != "M"
    assert chart.table().columns == ("x", "a")


# -- the commands ----------------------------------------------------------------------------------
@pytest.mark.parametrize("ndim", [2, 3])
def test_commands_leave_reports(ndim: int, tmp_path: Path, run: Run) -> None:
    data, model = tmp_path / "data", tmp_path / "model"
    write_blobs(data, ndim, splits={"train": 2, "val": 1, "test": 2})
    crop = {2: "32,32", 3: "8,32,32"}[ndim]
    done = run(
        "train",
        data,
        "-o",
        model,
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--set",
        "net.width=4",
        "--set",
        "net.depth=2",
        "--set",
        f"train.crop={crop}",
        "--set",
        "train.steps_per_epoch=2",
        "--set",
        "train.batch=1",
    )
    assert done.code == 0 and "report" not in done.err
    page = Reader((model / "report.html").read_text(encoding="utf-8"))
    assert f"embedseg train {data} -o {model} --epochs 1" in page.words
    assert "Tuning" in page.words
    done = run("evaluate", model, data, "--report", tmp_path / "e.html", "--device", "cpu")
    assert done.code == 0
    page = Reader((tmp_path / "e.html").read_text(encoding="utf-8"))
    assert "model on data: test" in page.words and len(page.all("img")) == 2 * 4
    assert run("evaluate", model, data, "--device", "cpu").code == 0
    done = run("predict", model, data / "test/images", "-o", tmp_path / "out", "--device", "cpu")
    assert done.code == 0
    page = Reader((tmp_path / "out/report.html").read_text(encoding="utf-8"))
    assert "2 images segmented" in page.words and len(page.all("img")) == 2 * 2


# -- in a browser ----------------------------------------------------------------------------------
@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium")
    opened = Browser(program, tmp_path / "profile")
    yield opened
    opened.close()


def test_layers_and_slices_by_mouse_and_keyboard(written: Any, browser: Browser) -> None:
    _, ndim, gallery, _, path = written
    browser.open(path)
    first = gallery.pictured_entries()[0].picture
    assert first is not None

    def hidden() -> list[bool]:
        found: list[bool] = browser.run(
            "[...document.querySelectorAll('#image-1 img')].map(i => i.hidden)"
        )
        return found

    def pressed(which: str) -> list[str]:
        found: list[str] = browser.run(
            f"[...document.querySelectorAll('{which} button[data-layer]')]"
            ".map(b => b.getAttribute('aria-pressed'))"
        )
        return found

    assert hidden() == [False, True, True, False]
    assert pressed("#image-1") == ["true", "false", "false", "true"]
    browser.click("#image-1 button[data-layer=truth]")
    assert hidden() == [False, False, True, False]
    assert browser.run("document.activeElement.dataset.layer") == "truth"
    browser.press(" ")
    assert hidden() == [False, True, True, False]
    browser.press("Tab")
    browser.press("Enter")
    assert hidden() == [False, True, False, False]
    assert browser.run("document.querySelector('#image-1 .layers').textContent") == (
        "image, prediction, errors"
    )
    assert "3px" in browser.run("getComputedStyle(document.activeElement).outlineWidth")
    browser.click(".all button[data-layer=errors]")
    assert pressed(".all")[3] == pressed("#image-1")[3] == pressed("#image-3")[3] == "false"
    # A click makes an image as large as the window, with its buttons; Escape takes that back.
    width = "document.querySelector('#image-1 .stack').getBoundingClientRect().width"
    large = "document.querySelector('#image-1 .enlarge').getAttribute('aria-pressed')"
    before = browser.run(width)
    browser.click("#image-1 .stack")
    assert browser.run(large) == "true" and browser.run(width) > 1.2 * before
    browser.press("Escape")
    assert browser.run(large) == "false" and browser.run(width) == before
    browser.run("document.querySelector('#image-1 .enlarge').focus()")
    browser.press("Enter")
    assert browser.run(large) == "true"
    browser.press("Enter")
    assert browser.run(large) == "false"
    if ndim == 3:
        browser.run("document.querySelector('#image-1 input').focus()")
        browser.press("Home")
        browser.press("ArrowRight")
        words = f"z = {first.places[1]} (0 to {first.depth - 1})"
        assert browser.run("document.querySelector('#image-1 output').textContent") == words
        assert (
            browser.run("document.querySelector('#image-1 input').getAttribute('aria-valuetext')")
            == words
        )
        top, high = browser.run(
            "(() => { const s = document.querySelector('#image-1 .stack').getBoundingClientRect(),"
            "i = document.querySelector('#image-1 img').getBoundingClientRect();"
            "return [i.top - s.top, s.height]; })()"
        )
        assert top == pytest.approx(-high, rel=0.01)
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [path.as_uri()]


def test_dark_light_narrow_and_printed(written: Any, browser: Browser) -> None:
    def colour() -> list[int]:
        return [
            int(part)
            for part in re.findall(
                r"\d+", browser.run("getComputedStyle(document.body).backgroundColor")
            )
        ]

    browser.open(written[4])
    assert min(colour()) > 200
    browser.media(scheme="dark")
    assert max(colour()) < 60
    browser.media("print", "dark")
    assert min(colour()) > 200
    display = "getComputedStyle(document.querySelector('{}')).display"
    assert browser.run(display.format("#image-1 .buttons")) == "none"
    assert browser.run(display.format("#image-1 .printed")) != "none"
    assert len(browser.send("Page.printToPDF", printBackground=True)["data"]) > 10_000
    browser.media()
    browser.send(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=640,
        deviceScaleFactor=1,
        mobile=False,
    )
    assert browser.run("document.documentElement.scrollWidth") <= 360
    wide = browser.run(
        "[...document.querySelectorAll('.scroll')]"
        ".filter(box => box.querySelector('caption')?.textContent.includes('cores'))"
        ".map(box => [box.querySelector('caption').textContent, box.scrollWidth - box.clientWidth])"
    )
    assert wide and all(over <= 0 for _, over in wide), wide
    assert browser.errors == []


@pytest.mark.parametrize("order", [1, -1])
def test_sizes_are_pixels_unless_all_images_have_a_spacing(order: int) -> None:
    data = samples(2, 1, False)
    model = segmenter("embedding", data)
    labels = data[0].labels
    found = Segmentation(labels)
    gallery = Gallery(model.config.method)
    spacings: list[tuple[float, ...] | None] = [(0.5, 0.5), None]
    for number, spacing in enumerate(spacings[::order]):
        gallery.add(f"image {number}", data[0].image[0], found, spacing=spacing)
    one, other = gallery.sizes["prediction"]
    assert gallery.unit == "px" and np.array_equal(one, other)
    gallery = Gallery(model.config.method)
    gallery.add("one", data[0].image[0], found, spacing=(0.5, 0.5))
    assert gallery.unit == "µm²" and np.array_equal(gallery.sizes["prediction"][0], 0.25 * one)
