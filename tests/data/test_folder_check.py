import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import tifffile

from embedseg.data import (
    ClassOptions,
    DataOptions,
    check_folder,
    check_masks,
    compute_statistics,
    load_training,
    prepare_samples,
)
from embedseg.data.folder import find_pairs
from embedseg.data.problems import PROBLEMS, Report, make_finding
from embedseg.images import Percentile, write_blobs, write_labels
from embedseg.types import DataError, UsageError


def write(path, array, axes="YX"):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack", metadata={"axes": axes})


def squares(shape=(40, 40), n=4):
    """Label n squares of 5 x 5 (x 5) pixels along the diagonal."""
    labels = np.zeros(shape, np.uint16)
    for i in range(n):
        labels[(slice(8 * i, 8 * i + 5),) * len(shape)] = i + 1
    return labels


def add(root, name, mask, image=None, axes="YX", mask_axes=None, split="train"):
    if image is None:
        rng = np.random.default_rng(list(f"{split}{name}".encode()))
        image = rng.integers(0, 255, (40,) * len(axes)).astype(np.uint8)
    write(root / split / "images" / f"{name}.tif", image, axes)
    write(root / split / "masks" / f"{name}.tif", mask, mask_axes or axes)


@pytest.fixture
def good(tmp_path):
    """Make a data folder without a flaw: six train images and one val image."""
    for i in range(6):
        add(tmp_path, f"good{i}", squares())
    add(tmp_path, "v", squares(), split="val")
    return tmp_path


def problems(report):
    return {(found.problem, found.file.rsplit("/", 1)[-1]) for found in report.findings}


def test_nothing_is_found_in_good_data(good):
    report = check_folder(good)
    assert report.findings == () and report.ok
    train = report.inventory["train"]
    assert train["images"] == 6 and train["pairing"] == "equal names"
    assert train["objects"] == 24 and train["objects_per_image"] == 4
    assert train["sizes"] == [25, 25, 25] and train["extent"] == [5, 5]
    assert train["shapes"] == {"40x40": 6} and train["dtypes"] == {"uint8": 6}
    text = "\n".join(report.lines())
    assert "6 images with masks, paired by equal names" in text
    assert "24 objects, 4 per image, 5 x 5 pixels across" in text


@pytest.mark.parametrize("kind", ["image", "mask"])
def test_broken_links_are_listed(good, kind):
    path = good / "train" / f"{kind}s" / "good1.tif"
    path.unlink()
    path.symlink_to("/nowhere/good1.tif")
    report = check_folder(good)
    assert problems(report) == {(f"unreadable {kind}", "good1.tif")}
    assert "broken link to /nowhere/good1.tif" in report.findings[0].found
    assert report.inventory["train"]["images"] == 6
    with pytest.raises(DataError, match=r"good1\.tif: broken link to /nowhere"):
        find_pairs(good, "train")


def test_a_broken_link_instead_of_a_split_is_listed(good):
    (good / "test").symlink_to("/nowhere/test")
    assert problems(check_folder(good)) == {("folder missing", good.name)}
    with pytest.raises(DataError, match="test: broken link to /nowhere/test"):
        find_pairs(good, "train")


BAD = {
    "shape mismatch": squares((40, 41)),
    "fractional mask": squares().astype(np.float32) * 0.5,
    "NaN or infinite values": np.where(squares() == 0, np.nan, 1).astype(np.float32),
    "invalid label values": squares().astype(np.int16) - 2,
    "empty mask": np.zeros((40, 40), np.uint8),
    "float mask": squares().astype(np.float32),
    "gaps in numbering": squares() * 3,
}


def tiny():
    labels = squares()
    labels[0, 30:32] = 9
    return labels


def torn():
    labels = squares()
    labels[30:35, 0:5] = 1
    return labels


def test_every_finding_at_once(good):
    for problem, mask in BAD.items():
        add(good, problem.replace(" ", "_"), mask)
    add(good, "tiny", tiny())
    add(good, "torn", torn())
    stack = np.stack([squares() == i for i in range(1, 6)]).astype(np.uint8)
    add(good, "onehot", stack, mask_axes="CYX")
    add(good, "pages", stack, mask_axes="ZYX")
    add(good, "rgb", np.stack([squares() * 50] * 3).astype(np.uint8), mask_axes="CYX")
    add(good, "features", np.stack([squares()] * 2), mask_axes="CYX")
    add(good, "volume", squares((40, 40, 40)), axes="ZYX")
    add(good, "colour", squares(), np.stack([tiny()] * 2), axes="CYX", mask_axes="YX")
    add(good, "flat", squares(), np.full((40, 40), 7, np.uint8))
    add(good, "infinite", squares(), np.where(squares() == 0, np.inf, 1).astype(np.float32))
    stitched = squares().astype(np.float32)
    stitched[:5] = np.nan
    add(good, "stitched", squares(), stitched)
    add(good, "blank", squares(), np.full((40, 40), np.nan, np.float32))
    write(good / "train/images/alone.tif", squares())
    (good / "train/images/broken.tif").write_bytes(b"not a TIFF")
    write(good / "train/masks/broken.tif", squares())
    write(good / "train/images/cut.tif", squares())
    whole = (good / "train/masks/good0.tif").read_bytes()
    (good / "train/masks/cut.tif").write_bytes(whole[: len(whole) // 2])

    report = check_folder(good)
    found = problems(report)
    expected = {(problem, f"{problem.replace(' ', '_')}.tif") for problem in BAD} | {
        ("tiny objects", "tiny.tif"),
        ("gaps in numbering", "tiny.tif"),
        ("labels in several pieces", "torn.tif"),
        ("one-hot mask", "onehot.tif"),
        ("one-hot mask", "pages.tif"),
        ("RGB mask", "rgb.tif"),
        ("mask with channels", "features.tif"),
        ("mixed axes", "volume.tif"),
        ("mixed channels", "colour.tif"),
        ("constant image", "flat.tif"),
        ("infinite values", "infinite.tif"),
        ("pixels without image", "stitched.tif"),
        ("no image", "blank.tif"),
        ("file without partner", "alone.tif"),
        ("unreadable image", "broken.tif"),
        ("unreadable mask", "cut.tif"),
    }
    assert found == expected
    assert not report.ok
    severities = [f.severity for f in report.findings]
    assert severities == sorted(severities)  # errors come first


def test_text_names_some_files_and_json_all(good):
    for i in range(9):
        add(good, f"empty{i}", np.zeros((40, 40), np.uint8))
    report = check_folder(good)
    lines = report.lines()
    assert "warning: empty mask (9 files)" in lines
    assert sum("empty" in line and ".tif" in line for line in lines) == 3
    assert "    ... and 6 more" in lines
    tree = json.loads(json.dumps(report.to_dict()))
    assert len(tree["findings"]) == 9 and tree["ok"] is True
    assert set(tree["findings"][0]) == {"severity", "problem", "file", "found", "do"}


def test_semantic_masks_are_an_error_only_if_most_are(good):
    classes = (squares() > 0).astype(np.uint8)
    for i in range(6):
        add(good, f"classes{i}", classes)
    report = check_folder(good)
    # Six of thirteen: single masks may be odd.
    assert report.ok and ("labels in several pieces", "classes0.tif") in problems(report)
    for i in range(6, 9):
        add(good, f"classes{i}", classes)
    report = check_folder(good)
    assert ("semantic mask", "classes0.tif") in problems(report) and not report.ok
    assert "1 label(s) in 4 pieces" in report.findings[0].found


def test_specks_and_many_torn_objects_are_not_semantic(tmp_path):
    specks = squares()
    specks[0::2, 39] = 1  # twenty specks of label 1
    many = np.kron(np.tile(np.arange(1, 26).reshape(5, 5), (3, 1)), np.ones((4, 8), int))
    for i in range(3):
        add(tmp_path, f"specks{i}", specks)
        add(
            tmp_path,
            f"many{i}",
            many.astype(np.uint16),
            np.arange(i, i + 60 * 40).reshape(60, 40).astype(np.uint16),
        )
    report = check_folder(tmp_path)
    assert report.ok
    assert {problem for problem, _ in problems(report)} == {"labels in several pieces"}


def test_not_annotated_pixels_are_no_object(good):
    sparse = squares().astype(np.int16)
    sparse[:, 36:] = -1
    add(good, "sparse", sparse)
    add(good, "nothing", np.full((40, 40), -1, np.int16))
    unsigned = squares()
    unsigned[:, 36:] = 65535
    add(good, "unsigned", unsigned)
    add(good, "void", np.full((40, 40), 65535, np.uint16))
    report = check_folder(good, options=DataOptions(ignore_label=65535))
    assert problems(report) == {("empty mask", "nothing.tif"), ("empty mask", "void.tif")}
    assert {found.found for found in report.findings} == {"nothing but -1"}


def test_pieces_that_may_meet_where_nothing_is_annotated_are_no_finding(good):
    bar = np.zeros((40, 40), np.int16)
    bar[4:8], bar[20:24] = 1, 2
    between = bar.copy()
    between[:, 10:20] = -1
    add(good, "between", between)
    # Label 2 is torn where everything is known, too.
    between[:, 30:32] = 0
    add(good, "torn", between)
    report = check_folder(good)
    assert problems(report) == {("labels in several pieces", "torn.tif")}
    assert report.findings[0].found == "2 of 2 labels"


def test_folders(tmp_path, good):
    assert problems(check_folder(tmp_path / "no")) == {("folder missing", "no")}
    found = check_folder(good, options=DataOptions(masks="semantic")).findings
    assert {f.problem for f in found} == {"folder missing"} and "images, masks" in found[0].found


def test_validation_is_said_or_missed(tmp_path):
    add(tmp_path, "one", squares())
    options = DataOptions(val=1)
    assert ("no validation images", "train") in problems(check_folder(tmp_path, options=options))
    add(tmp_path, "two", squares())
    report = check_folder(tmp_path)
    assert report.ok and "1 of 2 train images" in "\n".join(report.lines())


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(
    "factor, severity", [(1000, "error"), (1 / 1000, "error"), (10, "warning")]
)
def test_pixel_sizes_that_training_refuses_are_errors(good, split, factor, severity):
    for path in good.glob("*/images/*.tif"):
        step = 0.5 * factor if path == max(good.glob(f"{split}/images/*.tif")) else 0.5
        write_labels(path, tifffile.imread(path), (step, step), "YX")
    report = check_folder(good)
    assert [found.severity for found in report.findings] == [severity]
    assert "median 0.5, 0.5 µm" in report.findings[0].found
    loaded = load_training(good)
    spacing = compute_statistics(loaded.train).spacing
    with pytest.raises(UsageError, match="the model's") if severity == "error" else nullcontext():
        prepare_samples(
            [*loaded.train, *loaded.val],
            ndim=2,
            channels=1,
            normalize=Percentile(),
            spacing=spacing,
        )


def test_spacing_of_volumes(tmp_path):
    for i in range(3):
        add(tmp_path, f"v{i}", squares((40, 40, 40)), axes="ZYX")
    [found] = check_folder(tmp_path).findings
    assert found.problem == "spacing not known" and found.severity == "warning"
    assert check_folder(tmp_path, options=DataOptions(spacing=(2.0, 1.0, 1.0))).findings == ()
    assert not check_folder(tmp_path, options=DataOptions(spacing=(2.0, 1.0))).ok


def test_every_problem_has_words():
    report = Report(tuple(make_finding(problem, "f", "x") for problem in PROBLEMS), {})
    assert len(report.lines()) == 3 * len(PROBLEMS)
    with pytest.raises(KeyError):
        make_finding("nonsense", "f", "x")


def test_what_training_refuses_is_an_error(tmp_path):
    for name in ("one", "two"):
        add(tmp_path, name, np.zeros((40, 40), np.uint8))
    report = check_folder(tmp_path)
    assert not report.ok and ("no object", "masks") in problems(report)
    classes = (
        ClassOptions(name="ground", values=(0,)),
        ClassOptions(name="cell", values=(1,)),
    )
    report = check_folder(tmp_path, reads="classes", options=DataOptions(classes=classes))
    assert problems(report) == {("class not in train", "masks")}


def test_masks_without_background_are_warned_of(tmp_path: Path) -> None:
    write_blobs(tmp_path, 2, shape=(48, 48), n=5, splits={"train": 2, "val": 1})
    for path in tmp_path.rglob("masks/*.tif"):
        tifffile.imwrite(path, tifffile.imread(path) + 1)
    found = [each for each in check_folder(tmp_path).findings if each.problem == "no background"]
    assert len(found) == 3 and found[0].severity == "warning" and "one label has" in found[0].found
    (warning,) = check_masks(load_training(tmp_path).train)
    assert warning.startswith("2 of 2 masks: no background; set the background to 0")


def test_training_refuses_masks_that_tell_no_objects_apart(tmp_path: Path) -> None:
    write_blobs(tmp_path, 2, shape=(64, 64), n=8, splits={"train": 2, "val": 1})
    assert check_masks(load_training(tmp_path).train) == []
    for path in tmp_path.rglob("masks/*.tif"):
        tifffile.imwrite(path, 255 * (tifffile.imread(path) > 0).astype(np.uint8))
    with pytest.raises(DataError, match=r"of 2 have few labels in many pieces; give every object"):
        check_masks(load_training(tmp_path).train)


def test_an_image_that_occurs_twice_is_found(good):
    """It would be trained on and scored."""
    image = tifffile.imread(good / "train/images/good0.tif")
    add(good, "other", squares(), image, split="test")
    (found,) = check_folder(good).findings
    assert (found.problem, found.severity) == ("image occurs twice", "warning")
    assert found.file.endswith("test/images/other.tif") and "train/images/good0.tif" in found.found


def test_folders_with_other_names_are_found(good):
    (good / "val").rename(good / "Validation")
    (good / "train").joinpath("notes").mkdir()
    (found,) = check_folder(good).findings
    assert found.file.endswith("Validation") and "meant to be val" in found.found


def test_minus_one_saved_without_a_sign_is_found(good):
    mask = squares()
    mask[:3] = 65535
    add(good, "marked", mask)
    assert ("largest value of the type", "marked.tif") in problems(check_folder(good))
    ignoring = check_folder(good, options=DataOptions(ignore_label=65535))
    assert "largest value of the type" not in {each.problem for each in ignoring.findings}
