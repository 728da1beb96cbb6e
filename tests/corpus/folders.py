"""Data folders, names of files, and options, broken and odd."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from corpus.case import Case, Check, Expected, prints, same_labels
from corpus.tiffs import FLAT, GREY, LABELS, tiff

from commands import TINY

#: Every command that reads a data folder; those that train are given only what they refuse.
READING = ("check IN", "plan IN -o OUT/config.json --device cpu")
TRAINING = (
    f"train IN -o OUT/model --epochs 1 --no-tune {' '.join(TINY)}",
    "tune MODEL IN --device cpu",
    "benchmark IN -o OUT/table --methods embedding --nets unet --seeds 1 --time-limit 1s "
    + " ".join(TINY),
)
EVALUATE = "evaluate MODEL IN --split train --json --device cpu"


def good(folder: Path) -> None:
    """Write two train images, one to validate and one to test, with masks."""
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        for kind, data in (("images", GREY), ("masks", LABELS)):
            (folder / split / kind).mkdir(parents=True)
            for i in range(count):
                tiff(data)(folder / split / kind / f"a{i}.tif")


def folder_case(change: Callable[[Path], object], refused: str) -> Case:
    """Return the case of a folder that every command refuses."""

    def make(folder: Path) -> None:
        good(folder)
        change(folder)

    lines = [*READING, TRAINING[0], TRAINING[2], EVALUATE]
    return Case(make, dict.fromkeys(lines, refused))


def rewrite(name: str, data: np.ndarray) -> Callable[[Path], object]:
    return lambda folder: tiff(data)(folder / name)


def unlink(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def empty(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        shutil.rmtree(folder / name)
        (folder / name).mkdir()

    return change


def rename(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / old).rename(folder / new)


def truncate(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:200])

    return change


def dangle(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("gone.tif")

    return change


def swap(folder: Path) -> None:
    (folder / "train/images").rename(folder / "train/old")
    (folder / "train/masks").rename(folder / "train/images")
    (folder / "train/old").rename(folder / "train/masks")


FOLDERS: dict[str, Case] = {
    "a mask is missing": folder_case(unlink("train/masks/a1.tif"), "a1"),
    "an image is missing": folder_case(unlink("train/images/a1.tif"), "a1"),
    "a mask of another name": folder_case(
        rename("train/masks/a1.tif", "train/masks/b.tif"), "a1|b"
    ),
    "a mask of another size": folder_case(rewrite("train/masks/a1.tif", LABELS[:20]), "a1"),
    "masks with fractions": folder_case(rewrite("train/masks/a1.tif", LABELS + 0.5), "a1"),
    "a mask of NaN": folder_case(rewrite("train/masks/a1.tif", LABELS * np.nan), "a1"),
    "a mask of negative labels": folder_case(
        rewrite("train/masks/a1.tif", -7 * LABELS.astype(np.int32)), "a1"
    ),
    "a truncated image": folder_case(truncate("train/images/a1.tif"), "a1"),
    "a truncated mask": folder_case(truncate("train/masks/a1.tif"), "a1"),
    "a dangling link": folder_case(dangle("train/images/a1.tif"), "a1.tif: broken link"),
    "no images": folder_case(empty("train/images"), "train"),
    "no masks": folder_case(empty("train/masks"), "train"),
    "no folder of masks": folder_case(
        lambda folder: shutil.rmtree(folder / "train/masks"), "train"
    ),
    "an image of NaN": folder_case(rewrite("train/images/a1.tif", GREY * np.nan), "a1"),
    "two files of one stem": folder_case(rewrite("train/images/a1.tiff", GREY), "a1"),
    "an empty folder": Case(
        lambda folder: None, dict.fromkeys([*READING, *TRAINING, EVALUATE], "in")
    ),
    "no folder": Case(
        lambda folder: None,
        {
            line.replace("IN", "IN/gone"): "gone"
            for line in (
                *READING,
                *TRAINING,
                EVALUATE,
                "score IN IN",
                "stack IN -o OUT/s --model MODEL",
            )
        },
    ),
    "only text": Case(
        lambda folder: (folder / "notes.txt").write_text("text"),
        dict.fromkeys([*READING, *TRAINING, EVALUATE, "score IN IN"], "in"),
    ),
    "a file": Case(
        lambda folder: (folder / "file").write_text("text"),
        {line.replace("IN", "IN/file"): "file" for line in (*READING, *TRAINING, EVALUATE)},
    ),
    "swapped": Case(
        lambda folder: (good(folder), swap(folder)), {"check IN": prints("train: 2 images")}
    ),
    "good": Case(
        good,
        {
            "check IN": prints("ready for training"),
            "plan IN -o OUT/config.json --device cpu": prints("written to"),
            EVALUATE: prints('"n_true": 6'),
            "score IN/train/masks IN/train/masks --json": prints('"n_pred": 6'),
        },
    ),
}


# -- names of files --------------------------------------------------------------------------------
def named(name: str, stem: str) -> Case:
    """Return the case of an image and its labels with a name, read by path and by folder."""

    def make(folder: Path) -> None:
        for kind in ("images", "masks"):
            (folder / "train" / kind).mkdir(parents=True)
            (folder / kind[0]).symlink_to(f"train/{kind}")
            (folder / "val" / kind).mkdir(parents=True)
            for split in ("train", "val"):
                tiff(GREY if kind == "images" else LABELS)(folder / split / kind / name)

    def labels(out: Path, _: object) -> None:
        path = out / "labels" / f"{stem}.tif"
        assert tifffile.imread(path).shape == FLAT, os.listdir(path.parent)

    one = "IN/train/masks/NAME"
    check: Check = labels
    return Case(
        make,
        {
            line.replace("NAME", quoted(name)): expected
            for line, expected in {
                "predict MODEL IN/train/images -o OUT/labels --device cpu --also csv": check,
                "predict MODEL IN/train/images/NAME -o OUT/labels --device cpu": check,
                "check IN": prints("ready for training"),
                "score IN/train/masks IN/train/masks --json --csv OUT/scores.csv": prints(
                    '"n_true": 3'
                ),
                f"convert {one} -o OUT/read.tif": same_labels(LABELS),
                f"convert {one} -o OUT/read.csv": prints("3 objects"),
            }.items()
        },
    )


def quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)


NAMES: dict[str, Case] = {
    f"named {name[:20]!r}": named(name, stem)
    for name, stem in {
        "two words.tif": "two words",
        " .tif": " ",
        "=formula.tif": "=formula",
        "-dash.tif": "-dash",
        "[1].tif": "[1]",
        "star*.tif": "star*",
        "a?b.tif": "a?b",
        "new\nline.tif": "new\nline",
        "quo'te\".tif": "quo'te\"",
        "{brace}.tif": "{brace}",
        "per%cent.tif": "per%cent",
        "zürich µ 細胞.tif": "zürich µ 細胞",
        "a.b.c.tif": "a.b.c",
        "back\\slash.tif": "back\\slash",
        "A.TIF": "A",
        "a.ome.tif": "a",
        "x" * 240 + ".tif": "x" * 240,
        "CON.tif": "CON",
        "<b>&amp;.tif": "<b>&amp;",
    }.items()
}


# -- options ---------------------------------------------------------------------------------------
def _one(folder: Path) -> None:
    good(folder)
    tiff()(folder / "a.tif")


REFUSED: dict[str, Expected] = {
    "train IN": "output",
    "train IN -o OUT/m --epochs 0": "epochs",
    "train IN -o OUT/m --epochs 1 --set train.batch=none": "batch",
    "train IN -o OUT/m --epochs 1 --set nothing.here=1": "nothing",
    "train IN -o OUT/m --epochs 1 --set train.batch": "train.batch",
    "train IN -o OUT/m --epochs 1 --net unknown": "unknown",
    "train IN -o OUT/m --epochs 1 --device tpu9": "tpu9",
    "train IN -o OUT/m --time-limit soon": "soon",
    "train IN -o OUT/m --config IN/a.tif": "a.tif",
    "train IN -o IN --epochs 1": "in",
    "predict MODEL IN/a.tif": "output",
    "predict MODEL -o OUT/p": "INPUT",
    "predict MODEL 'IN/*.none' -o OUT/p": "none",
    "predict MODEL IN/a.tif -o OUT/p --spacing 0,0": "spacing",
    "predict MODEL IN/a.tif -o OUT/p --spacing a,b": "spacing",
    "predict MODEL IN/a.tif -o OUT/labels --axes QQ": "axes",
    "predict MODEL IN/a.tif -o OUT/p --also pdf": "pdf",
    "predict MODEL IN/a.tif -o OUT/p --pieces none": "none",
    "predict MODEL IN/a.tif -o OUT/p.zarr --block 0,0": "block",
    "predict MODEL IN/a.tif -o IN": "in",
    "convert IN/a.tif -o OUT/a.xyz": "xyz",
    "convert IN/a.tif -o OUT/a.csv --to pdf": "pdf",
    "convert IN/a.tif -o IN/a.tif": "a.tif",
    "convert IN/a.tif -o IN/a.tif --overwrite": "a.tif",
    "convert IN/a.tif -o OUT/a.csv --min-size -1": "min-size",
    "convert IN/a.tif -o OUT/a.csv --image IN/gone.tif": "gone",
    "mesh IN/a.tif -o OUT/a.stl": "a.tif",
    "track IN/a.tif -o OUT/t.tif": "a.tif",
    "track IN/gone.tif -o OUT/t.tif": "gone",
    "track VOLUME -o OUT/t.csv": "t.csv",
    "track VOLUME -o OUT/t.tif --axes ZYX": "expected labels of a film",
    "track VOLUME -o OUT/t.tif --axes TYX --also pdf": "pdf",
    "track VOLUME -o OUT/t.tif --axes TYX --max-distance 0": "max-distance",
    "track VOLUME -o VOLUME --axes TYX --overwrite": "would replace the input",
    "mesh VOLUME -o OUT/a.xyz": "xyz",
    "mesh VOLUME -o OUT/a.stl --label x": "label",
    "mesh VOLUME -o OUT/a.stl --label 99": "99",
    "mesh VOLUME -o OUT/a.stl --decimate 7": "decimate",
    "stack IN/a.tif -o OUT/s --model MODEL": "a.tif",
    "stack VOLUME -o OUT/s": "model",
    "stack VOLUME -o OUT/s --model IN": "in",
    "stack VOLUME -o OUT/s --model MODEL --size 1": "size",
    "stack IN/gone -o OUT/s --model MODEL": "gone",
    "score IN/train/masks": "PREDICTED",
    "score IN/train/masks IN/gone": "gone",
    "evaluate MODEL IN --split more": "more",
    "info MODEL --nothing": "nothing",
    "ensemble MODEL -o OUT/e": "one|two|several|member|model",
    "ensemble MODEL,IN -o OUT/e": "in",
    "ensemble , -o OUT/e": "model|folder",
    "export MODEL -o OUT/a.xyz": "xyz",
    "export MODEL -o OUT/a.onnx --to pdf": "pdf",
    "export IN -o OUT/a.onnx": "in",
    "export IN/gone -o OUT/a.onnx": "gone",
    "export MODEL -o MODEL": "model",
    "benchmark IN -o OUT/b --nets unknown": "unknown",
    "benchmark IN -o OUT/b --methods unknown": "unknown",
    "benchmark IN -o OUT/b --time-limit soon": "soon",
    "benchmark IN": "output",
    "plan IN --preset unknown": "unknown",
    "plan IN -o IN/a.tif": "a.tif",
    "check IN --method unknown": "unknown",
    "check IN --axes QQ": "(?i)axes",
    "tune IN IN": "in",
    "tune MODEL VOLUME": "volume",
    "demo -o IN/a.tif": "a.tif",
    "demo -o IN": "in",
    "demo -o OUT/d --ndim 4": "ndim",
    "demo -o OUT/d --time-limit soon": "soon",
    "demo -o OUT/d --device tpu9": "tpu9",
    "unknown IN": "unknown",
}
OPTIONS: dict[str, Case] = {
    f"option of {line.split()[0]} {number}": Case(_one, {line: expected})
    for number, (line, expected) in enumerate(REFUSED.items(), 1)
}
