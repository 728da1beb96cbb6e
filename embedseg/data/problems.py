"""Problems of data folders, and the report that lists them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from embedseg.common import format_shape, shorten

#: All problems: whether each prevents training, and what to do about it.
PROBLEMS: dict[str, tuple[Literal["error", "warning"], str]] = {
    "folder missing": (
        "error",
        "make DATA/train/images and DATA/train/masks; --masks names another folder with masks",
    ),
    "folder with another name": ("warning", "rename it; only train, val and test are read"),
    "image occurs twice": (
        "warning",
        "keep one of them: scores say nothing about images that were trained on",
    ),
    "largest value of the type": (
        "warning",
        "if it marks pixels that are not annotated, pass it as --ignore-label",
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
    "infinite values": ("error", "replace them; NaN marks pixels without image"),
    "no image": ("error", "write the file again, or remove it with its mask"),
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
    "mixed channels": (
        "error",
        "use the same channels in all images; --channel chooses those to read",
    ),
    "pixel size far off": (
        "error",
        "correct it in the files, or pass the right one as --spacing; training with --set "
        "predict.any_spacing=true accepts it",
    ),
    "mask equals image": ("error", "put the mask into its folder; now the image is there too"),
    "grey mask": (
        "error",
        "check whether images and masks are swapped; in a mask, every object has its own number",
    ),
    "objects of a few pixels": (
        "error",
        "check whether images and masks are swapped; annotate whole objects, not points",
    ),
    "semantic mask": (
        "error",
        "give every object its own number; if objects never touch, "
        "skimage.measure.label numbers the connected parts of a class",
    ),
    "value without class": (
        "error",
        "name a class for it with --classes, or mark it as not annotated with --ignore-label",
    ),
    "too many classes": (
        "error",
        "take another method if these are masks of objects; "
        "else merge values with --classes NAME=1+2+3",
    ),
    "class not in train": ("error", "annotate some of it in train, or leave it out of --classes"),
    "no object": ("error", "annotate objects in the masks of train"),
    "empty mask": (
        "warning",
        "fine if the image shows no objects; otherwise annotate it or set the mask to -1",
    ),
    "float mask": ("warning", "nothing: all values are whole numbers; integers are smaller"),
    "pixels without image": ("warning", "nothing: they are left out of training and prediction"),
    "equal colours": ("warning", "nothing: such images are read as grey"),
    "order of channels differs": ("warning", "nothing: channels are read by their names"),
    "names of channels differ": (
        "warning",
        "check that the channels of all images show the same; --channel chooses those to read",
    ),
    "constant image": ("warning", "check that the file holds an image"),
    "tiny objects": ("warning", "remove them if they are specks left from annotation"),
    "object counts differ": (
        "warning",
        "check that the masks hold all objects, and nothing but objects",
    ),
    "no background": (
        "warning",
        "set the background to 0 if the largest label is the background: subtract 1 of all",
    ),
    "labels in several pieces": (
        "warning",
        "check that one label is one object; pieces that meet outside the image are fine",
    ),
    "unused label": ("warning", "check the value of --ignore-label"),
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
#: Files named per problem in the text; the JSON names all.
SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One problem of one file.

    Attributes
    ----------
    severity : {"error", "warning"}
        Errors prevent training.
    problem : str
        A key of `PROBLEMS`.
    file : str
        The file or folder.
    found : str
        Details.
    do : str
        What to do about it.

    Examples
    --------
    >>> make_finding("empty mask", "a.tif", "no objects").severity
    'warning'
    """

    severity: Literal["error", "warning"]
    problem: str
    file: str
    found: str
    do: str


def make_finding(problem: str, file: Path | str | None, found: str) -> Finding:
    """Return a finding of a known problem."""
    severity, do = PROBLEMS[problem]
    return Finding(severity, problem, str(file), found, do)


@dataclass(frozen=True)
class Report:
    """Contents and problems of a data folder.

    Attributes
    ----------
    findings : tuple of Finding
        Errors first.
    inventory : dict
        For each split the counts, shapes, types, axes, spacing and object sizes.

    Examples
    --------
    >>> report = Report((make_finding("folder missing", "my_data", "no such folder"),), {})
    >>> report.ok, report.lines()[0]
    (False, 'error: folder missing')
    """

    findings: tuple[Finding, ...]
    inventory: dict[str, dict[str, Any]]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return {
            "ok": self.ok,
            "inventory": self.inventory,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def lines(self) -> list[str]:
        """Return the report as lines of text, grouped by problem."""
        lines = [line for entry in self.inventory.items() for line in _describe_split(*entry)]
        by_problem: dict[str, list[Finding]] = defaultdict(list)
        for finding in self.findings:
            by_problem[finding.problem].append(finding)
        for problem, findings in by_problem.items():
            count = f" ({len(findings)} files)" if len(findings) > 1 else ""
            lines.append(f"{findings[0].severity}: {problem}{count}")
            lines += [f"    {finding.file}: {finding.found}" for finding in findings[:SHOWN]]
            if len(findings) > SHOWN:
                lines.append(f"    ... and {len(findings) - SHOWN} more")
            lines.append(f"    -> {findings[0].do}")
        return lines


def _describe_split(split: str, facts: dict[str, Any]) -> list[str]:
    """Describe the contents of a split in one to four lines."""
    lines = [
        f"{split}: {facts['images']} images with masks"
        + (f", paired by {facts['pairing']}" if facts["pairing"] else "")
    ]
    if "validation" in facts:
        lines.append(f"    no folder val: validation takes {facts['validation']}")
    if "objects" not in facts:
        return lines
    named = f" ({', '.join(facts['channel_names'])})" if facts["channel_names"] else ""
    shapes = [f"{shape} ({count})" for shape, count in facts["shapes"].items()]
    lines.append(
        f"    {_join(facts['axes'])}, {_join(facts['dtypes'])}, {_join(facts['channels'])} "
        f"channel(s){named}, shapes {shorten(shapes, SHOWN)}; spacing {_join(facts['spacings'])}"
    )
    if facts.get("classes"):
        lines.append(
            "    classes: "
            + ", ".join(f"{name} {100 * share:.1f} %" for name, share in facts["classes"].items())
        )
    if facts["objects"]:
        low, middle, high = facts["sizes"]
        box = format_shape(f"{side:g}" for side in facts["extent"])
        lines.append(
            f"    {facts['objects']} objects, {facts['objects_per_image']:g} per image, "
            f"{box} pixels across (medians); "
            f"{low:g} to {high:g} pixels large, median {middle:g}"
        )
    return lines


def _join(counts: dict[str, int]) -> str:
    return " / ".join(counts)
