"""Problems of data folders, and the report that lists them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

#: Every problem there is, whether it stands in the way of training, and what to do about it.
PROBLEMS: dict[str, tuple[Literal["error", "warning"], str]] = {
    "folder missing": (
        "error",
        "make DATA/train/images and DATA/train/masks; --masks names another folder with masks",
    ),
    "file without partner": (
        "error",
        "add or remove files until every image has one mask, of "
        "the same name or with one common beginning or ending",
    ),
    "no pairs": ("error", "put images, and a mask for each, into the two folders"),
    "no validation images": ("error", "add a folder val, more train images, or change data.val"),
    "unreadable image": ("error", "write the file again, or do as the message says"),
    "unreadable mask": ("error", "write the file again, or do as the message says"),
    "NaN or infinite values": ("error", "replace them, for example by 0"),
    "shape mismatch": ("error", "a mask needs the shape of its image, without channels"),
    "RGB mask": ("error", "save labels as integers in one channel, a number per object"),
    "one-hot mask": ("error", "save one integer label image instead of a channel per object"),
    "mask with channels": ("error", "save labels as integers in one channel"),
    "fractional mask": ("error", "save labels as integers; resample masks by nearest neighbour"),
    "invalid label values": (
        "error",
        "use 0 for background, -1 for not annotated and 1 to "
        "2147483647 for objects; --ignore-label maps a value to -1",
    ),
    "mixed axes": ("error", "use either 2D or 3D images in one data folder"),
    "mixed channels": ("error", "use the same channels in all images"),
    "semantic mask": (
        "error",
        "give every object a number of its own; connected parts of a class "
        "can be numbered by skimage.measure.label if objects never touch",
    ),
    "value without class": (
        "error",
        "name a class for it with --classes, or say by "
        "--ignore-label that it means 'not annotated'",
    ),
    "too many classes": (
        "error",
        "these look like masks of objects, for which there are other "
        "methods; else merge values with --classes NAME=1+2+3",
    ),
    "class not in train": ("error", "annotate some of it in train, or leave it out of --classes"),
    "empty mask": (
        "warning",
        "fine if there is nothing to see; otherwise annotate the image or set it to -1",
    ),
    "float mask": ("warning", "nothing: all values are whole numbers; integers are smaller"),
    "constant image": ("warning", "check that the file holds an image"),
    "tiny objects": ("warning", "remove them if they are specks left from annotation"),
    "labels in several pieces": (
        "warning",
        "check that one label is one object; pieces that meet outside the image are fine",
    ),
    "gaps in numbering": ("warning", "nothing: labels are numbered anew on reading"),
    "spacing differs": (
        "warning",
        "images are resampled to the median; --spacing overrides it if the files are wrong",
    ),
    "spacing not known": (
        "warning",
        "pass --spacing Z,Y,X in µm, or in proportion; now the axes count as equally fine",
    ),
}
#: Files named per problem in the text; the JSON has all.
SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with one file.

    Attributes
    ----------
    severity : {"error", "warning"}
        Whether it stands in the way of training.
    problem : str
        A key of `PROBLEMS`.
    file : str
        The file or folder.
    found : str
        What is there.
    do : str
        What to do about it.

    Examples
    --------
    >>> finding("empty mask", "a.tif", "no objects").severity
    'warning'
    """

    severity: Literal["error", "warning"]
    problem: str
    file: str
    found: str
    do: str


def finding(problem: str, file: Path | str | None, found: str) -> Finding:
    """Return a finding of a known problem."""
    severity, do = PROBLEMS[problem]
    return Finding(severity, problem, str(file), found, do)


@dataclass(frozen=True)
class Report:
    """What a data folder holds, and what is wrong with it.

    Attributes
    ----------
    findings : tuple of Finding
        Errors first.
    inventory : dict
        For each split the counts, shapes, types, axes, spacing and object sizes.

    Examples
    --------
    >>> report = Report((finding("folder missing", "my_data", "no such folder"),), {})
    >>> report.ok, report.lines()[0]
    (False, 'error: folder missing')
    """

    findings: tuple[Finding, ...]
    inventory: dict[str, dict[str, Any]]

    @property
    def ok(self) -> bool:
        """Whether nothing stands in the way of training."""
        return all(found.severity != "error" for found in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return {
            "ok": self.ok,
            "inventory": self.inventory,
            "findings": [asdict(found) for found in self.findings],
        }

    def lines(self) -> list[str]:
        """Return the report for people, problems of one kind together."""
        lines = [line for entry in self.inventory.items() for line in _describe(*entry)]
        kinds: dict[str, list[Finding]] = defaultdict(list)
        for found in self.findings:
            kinds[found.problem].append(found)
        for problem, found_here in kinds.items():
            count = f" ({len(found_here)} files)" if len(found_here) > 1 else ""
            lines.append(f"{found_here[0].severity}: {problem}{count}")
            lines += [f"    {found.file}: {found.found}" for found in found_here[:SHOWN]]
            if len(found_here) > SHOWN:
                lines.append(f"    ... and {len(found_here) - SHOWN} more")
            lines.append(f"    -> {found_here[0].do}")
        return lines


def _describe(split: str, facts: dict[str, Any]) -> list[str]:
    """Say what a split holds, in one to three lines."""
    lines = [
        f"{split}: {facts['images']} images with masks"
        + (f", paired by {facts['pairing']}" if facts["pairing"] else "")
    ]
    if "validation" in facts:
        lines.append(f"    no folder val: validation takes {facts['validation']}")
    if "objects" not in facts:
        return lines
    shapes = [f"{shape} ({count})" for shape, count in facts["shapes"].items()]
    lines.append(
        f"    {_some(facts['axes'])}, {_some(facts['dtypes'])}, {_some(facts['channels'])} "
        f"channel(s), shapes {', '.join(shapes[:SHOWN])}"
        + (f" and {len(shapes) - SHOWN} more" if len(shapes) > SHOWN else "")
        + f"; spacing {_some(facts['spacings'])}"
    )
    if facts.get("classes"):
        lines.append(
            "    classes: "
            + ", ".join(f"{name} {100 * share:.1f} %" for name, share in facts["classes"].items())
        )
    if facts["objects"]:
        low, middle, high = facts["sizes"]
        box = " x ".join(f"{side:g}" for side in facts["extent"])
        lines.append(
            f"    {facts['objects']} objects, {facts['objects_per_image']:g} per image, "
            f"{box} pixels across (medians); "
            f"{low:g} to {high:g} pixels large, median {middle:g}"
        )
    return lines


def _some(counts: dict[str, int]) -> str:
    return " / ".join(counts)
