"""Checks of a whole data folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from statistics import median_low
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from embedseg.data.folder import (
    Split,
    find_misnamed_splits,
    find_splits,
    pair_split,
    split_validation,
)
from embedseg.data.options import DataOptions
from embedseg.data.pair_check import PairFacts, check_pair, measure_objects
from embedseg.data.problems import PROBLEMS, Finding, Report, make_finding
from embedseg.data.samples import Sample
from embedseg.geometry import check_spacing
from embedseg.types import NOT_ANNOTATED, DataError, Spacing, UsageError

#: An object with less than this share of the median size, or this many pixels, is tiny.
TINY_SHARE, TINY_PIXELS = 0.02, 4
#: Times by which the numbers of objects of two masks seldom differ.
UNEVEN = 100
#: Share of an image above which an object, where nothing is background, may be the background.
MOST_OF_IT = 0.5
#: A mask with at most this many labels, and on average more than this many large pieces per label,
#: looks semantic. Real instance masks stay below 1.2 pieces per label.
FEW_LABELS, MANY_PIECES = 10, 2


def check_folder(
    root: Path | str,
    *,
    reads: Literal["objects", "classes"] = "objects",
    options: DataOptions | None = None,
    progress: bool = False,
) -> Report:
    """Check a data folder and report all invalid files at once; none raises an error.

    Parameters
    ----------
    root : path
        The folder with `train`, `val` and `test`.
    reads : {"objects", "classes"}
        Content of the masks, as of `Method.reads`: a label per object, or classes.
    options : DataOptions, optional
    progress : bool
        Show a progress bar.

    Returns
    -------
    Report
    """
    instances = reads == "objects"
    options = options or DataOptions()
    findings: list[Finding] = []
    facts: list[PairFacts] = []
    inventory: dict[str, dict[str, Any]] = {}
    pairs = _pairs(Path(root), options, findings, inventory)
    for split, image, mask in tqdm(pairs, desc="checking", disable=not progress):
        checked = check_pair(split, image, mask, options, findings, instances)
        if checked is not None:
            facts.append(checked)
    facts = _as_grey(facts)
    findings += _compare(facts, instances)
    findings += _twice(facts)
    findings += [
        make_finding("folder with another name", path, f"is it meant to be {name}?")
        for path, name in find_misnamed_splits(Path(root))
    ]
    findings += _named_otherwise(facts, chosen=options.channels is not None)
    if facts and options.ignore_label is not None and not any(fact.ignored for fact in facts):
        found = f"no mask has the value {options.ignore_label}"
        findings.append(make_finding("unused label", root, found))
    if instances:
        findings += _no_object_in_train(facts)
    else:
        findings += _missing_in_train(facts, options)
    for split, entry in inventory.items():
        entry |= _summarise([fact for fact in facts if fact.split == split], options)
    order = list(PROBLEMS)
    findings.sort(key=lambda finding: (finding.severity != "error", order.index(finding.problem)))
    return Report(tuple(findings), inventory)


def _pairs(
    root: Path, options: DataOptions, findings: list[Finding], inventory: dict[str, dict[str, Any]]
) -> list[tuple[str, Path, Path]]:
    """Return the pairs of all splits; files without a partner become findings."""
    try:
        splits = find_splits(root, options.masks)
    except DataError as error:
        findings.append(make_finding("folder missing", root, str(error)))
        return []
    if "train" not in splits:
        findings.append(make_finding("folder missing", root / "train" / "images", "no such folder"))
    pairs = []
    for name, split in splits.items():
        inventory[name], of_split = _pair(split, findings)
        pairs += [(name, *pair) for pair in of_split]
    if "train" in splits and "val" not in splits:
        try:
            train = [pair[1:] for pair in pairs if pair[0] == "train"]
            inventory["train"]["validation"] = split_validation(train, options.val, options.seed)[2]
        except DataError as error:
            findings.append(make_finding("no validation images", root / "train", str(error)))
    return pairs


def _pair(split: Split, findings: list[Finding]) -> tuple[dict[str, Any], list[tuple[Path, Path]]]:
    entry: dict[str, Any] = {"images": 0, "pairing": None}
    try:
        pairing = pair_split(split, check=False)
    except DataError as error:
        if split.masks.is_dir():
            findings.append(make_finding("no pairs", split.images.parent, str(error)))
        else:
            message = str(error).removeprefix(f"{split.masks}: ")
            findings.append(make_finding("folder missing", split.masks, message))
        return entry, []
    findings += [
        make_finding("file without partner", path, "no file to go with it") for path in pairing.left
    ]
    return {"images": len(pairing.pairs), "pairing": pairing.rule}, list(pairing.pairs)


def _as_grey(facts: list[PairFacts]) -> list[PairFacts]:
    """Return facts with one channel of equal colours, if all train images are grey."""
    if any(fact.channels > 1 and not fact.grey for fact in facts if fact.split == "train"):
        return facts
    return [replace(fact, channels=1) if fact.grey else fact for fact in facts]


def _compare(facts: Sequence[PairFacts], instances: bool) -> Iterator[Finding]:
    """Find problems that only show when all files are compared."""
    if not facts:
        return
    yield from _mixed(facts, "mixed axes", lambda fact: f"{fact.ndim}D")
    yield from _mixed(facts, "mixed channels", lambda fact: f"{fact.channels} channel(s)")
    for fact in facts:
        if fact.grey and fact.channels == 1:
            yield make_finding("equal colours", fact.image, "a grey image saved as RGB or RGBA")
    annotated = [fact for fact in facts if len(fact.sizes)]
    semantic = [fact for fact in annotated if _looks_semantic(fact.sizes, fact.large_pieces)]
    if instances and 2 * len(semantic) > len(annotated):
        yield from (
            make_finding(
                "semantic mask",
                fact.mask,
                f"{len(fact.sizes)} label(s) in {fact.pieces.sum()} pieces",
            )
            for fact in semantic
        )
    elif instances and annotated:
        yield from _without_background(annotated)
        yield from _tiny(annotated)
        yield from _uneven(annotated)
        yield from (
            make_finding(
                "labels in several pieces", fact.mask, f"{split} of {len(fact.sizes)} labels"
            )
            for fact in annotated
            if (split := int((fact.pieces > 1).sum()))
        )
    yield from _spacing_problems(facts)


def _mixed(
    facts: Sequence[PairFacts], problem: str, describe: Callable[[PairFacts], str]
) -> Iterator[Finding]:
    """Find the files that differ from most."""
    (usual, count), *others = Counter(map(describe, facts)).most_common()
    if others:
        yield from (
            make_finding(problem, fact.image, f"{describe(fact)}, but {count} files have {usual}")
            for fact in facts
            if describe(fact) != usual
        )


def _twice(facts: Sequence[PairFacts]) -> Iterator[Finding]:
    """Find images with the same pixels as one before."""
    seen: dict[str, Path] = {}
    for fact in facts:
        first = seen.setdefault(fact.digest, fact.image)
        if fact.digest and first is not fact.image:
            yield make_finding("image occurs twice", fact.image, f"the same pixels as {first}")


def _named_otherwise(facts: Sequence[PairFacts], *, chosen: bool) -> Iterator[Finding]:
    """Find images whose channels have other names than those of the first, or another order.

    A single channel may have any name, unless it was chosen from several.
    """
    first = facts[0] if facts else None
    for fact in facts:
        if first is None or fact.channels != first.channels or (fact.channels == 1 and not chosen):
            continue
        if fact.channel_names != first.channel_names:
            same = sorted(fact.channel_names) == sorted(first.channel_names)
            named, usual = (", ".join(each.channel_names) or "no names" for each in (fact, first))
            yield make_finding(
                "order of channels differs" if same else "names of channels differ",
                fact.image,
                f"{named}, but {first.image.name} has {usual}",
            )


def _tiny(facts: Sequence[PairFacts]) -> Iterator[Finding]:
    sizes = np.concatenate([fact.sizes for fact in facts])
    limit = max(TINY_PIXELS, TINY_SHARE * float(np.median(sizes)))
    for fact in facts:
        if tiny := int((fact.sizes < limit).sum()):
            yield make_finding(
                "tiny objects",
                fact.mask,
                f"{tiny} of {len(fact.sizes)} objects have "
                f"less than {limit:.0f} pixels, the smallest {fact.sizes.min()}",
            )


def _uneven(facts: Sequence[PairFacts]) -> Iterator[Finding]:
    """Find masks with `UNEVEN` times as many objects as the usual one, or as few."""
    usual = median_low(len(fact.sizes) for fact in facts)
    for fact in facts:
        count = len(fact.sizes)
        if max(count, usual) >= UNEVEN * min(count, usual):
            yield make_finding(
                "object counts differ", fact.mask, f"{count} objects, the median is {usual}"
            )


def _without_background(facts: Sequence[PairFacts]) -> Iterator[Finding]:
    """Find masks in which all pixels are objects, and one of these is most of the image."""
    for fact in facts:
        share = _share_of_background(fact.sizes, prod(fact.shape))
        if share > 0 and "T" not in fact.axes:
            yield make_finding("no background", fact.mask, f"one label has {share:.0%} of it")


def _share_of_background(sizes: NDArray[np.int64], pixels: int) -> float:
    """Return the share of the object that seems to be the background; 0 if there is none."""
    share = float(sizes.max(initial=0)) / pixels
    return share if share > MOST_OF_IT and len(sizes) > 1 and sizes.sum() >= pixels else 0.0


def _looks_semantic(sizes: NDArray[np.int64], large_pieces: NDArray[np.int64]) -> bool:
    """Return whether a mask has few labels in many pieces, specks not counted."""
    return 0 < len(sizes) <= FEW_LABELS and large_pieces.mean() > MANY_PIECES


def check_masks(samples: Sequence[Sample]) -> list[str]:
    """Check masks of objects that are to be trained on, as `check_folder` does.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    DataError
        If most masks tell no objects apart.
    """
    measured = [measure_objects(np.maximum(s.labels, 0), s.labels < 0)[::2] for s in samples]
    semantic = [s for s, each in zip(samples, measured, strict=True) if _looks_semantic(*each)]
    if 2 * len(semantic) > sum(len(sizes) > 0 for sizes, _ in measured):
        raise DataError(
            f"{semantic[0].name} and {len(semantic) - 1} other masks of {len(samples)} have few "
            f"labels in many pieces; {PROBLEMS['semantic mask'][1]}"
        )
    bare = sum(
        _share_of_background(sizes, s.labels.size) > 0
        for s, (sizes, _) in zip(samples, measured, strict=True)
    )
    if not bare:
        return []
    return [f"{bare} of {len(samples)} masks: no background; {PROBLEMS['no background'][1]}"]


def _no_object_in_train(facts: Sequence[PairFacts]) -> Iterator[Finding]:
    """Find that no mask of the train split holds an object."""
    masks = [fact for fact in facts if fact.split == "train"]
    if masks and not any(len(fact.sizes) for fact in masks):
        found = f"all labels of {len(masks)} masks are 0 or -1"
        yield make_finding("no object", masks[0].mask.parent, found)


def _missing_in_train(facts: Sequence[PairFacts], options: DataOptions) -> Iterator[Finding]:
    """Find classes that do not occur in the train split."""
    in_train = {
        name
        for fact in facts
        if fact.split == "train"
        for name, pixels in _by_class(fact, options).items()
        if pixels
    }
    masks = [fact.mask for fact in facts if fact.split == "train"]
    named = [each.name for each in options.classes or ()]
    if masks and (missing := [name for name in named if name not in in_train]):
        yield make_finding("class not in train", masks[0].parent, ", ".join(missing))
    for fact in facts:
        if fact.split != "train" and (
            missing := [name for name in _by_class(fact, options) if name not in in_train]
        ):
            yield make_finding("class not in train", fact.mask, ", ".join(missing))


def _by_class(fact: PairFacts, options: DataOptions) -> dict[str, int]:
    """Return the pixels of each class in a mask, by name, or without names by value."""
    names = {value: each.name for each in options.classes or () for value in each.values}
    counts = Counter[str]()
    for value, pixels in fact.values.items():
        if value > NOT_ANNOTATED and (names.get(value) or not options.classes):
            counts[names.get(value, str(value))] += pixels
    return dict(counts)


def _spacing_problems(facts: Sequence[PairFacts]) -> Iterator[Finding]:
    known = [fact for fact in facts if fact.spacing is not None]
    if not known:
        if facts[0].ndim == 3:
            yield make_finding(
                "spacing not known", facts[0].image.parents[2], "3D images without spacing"
            )
        return
    # A model has the spacing of the images that it is trained on.
    known = [fact for fact in known if fact.split == "train"] or known
    steps = np.median([fact.spacing for fact in known if fact.ndim == known[0].ndim], axis=0)
    usual = tuple(map(float, steps))
    for fact in facts:
        if fact.spacing is None:
            yield make_finding("spacing differs", fact.image, "none in the file")
        elif fact.ndim == len(usual) and not np.allclose(fact.spacing, usual, rtol=0.01, atol=0):
            found = f"{_format_spacing(fact.spacing)} µm, median {_format_spacing(usual)} µm"
            try:
                check_spacing(fact.spacing, usual, str(fact.image), warn=False)
            except UsageError:
                yield make_finding("pixel size far off", fact.image, found)
            else:
                yield make_finding("spacing differs", fact.image, found)


def _format_spacing(spacing: Spacing | None) -> str:
    return "not known" if spacing is None else ", ".join(f"{step:g}" for step in spacing)


def _summarise(facts: Sequence[PairFacts], options: DataOptions) -> dict[str, Any]:
    """Summarise one split; counts by value, the most frequent first."""
    if not facts:
        return {}
    sizes = np.concatenate([fact.sizes for fact in facts])
    # Only boxes with the same number of axes can be summarised; others are an error anyway.
    extents = [fact.extents for fact in facts if fact.ndim == facts[0].ndim]
    classes = sum((Counter(_by_class(fact, options)) for fact in facts), Counter[str]())
    return {
        "axes": _counts(fact.axes for fact in facts),
        "dtypes": _counts(fact.dtype for fact in facts),
        "channels": _counts(str(fact.channels) for fact in facts),
        "channel_names": _counts(name for fact in facts for name in fact.channel_names),
        "shapes": _counts("x".join(map(str, fact.shape)) for fact in facts),
        "spacings": _counts(_format_spacing(fact.spacing) for fact in facts),
        "mask_dtypes": _counts(fact.mask_dtype for fact in facts),
        "objects": len(sizes),
        "objects_per_image": float(np.median([len(fact.sizes) for fact in facts])),
        "sizes": np.quantile(sizes, [0, 0.5, 1]).tolist() if len(sizes) else [],
        "extent": np.median(np.concatenate(extents), axis=0).tolist() if len(sizes) else [],
        **_form(facts),
        "classes": {name: count / classes.total() for name, count in sorted(classes.items())},
    }


def _form(facts: Sequence[PairFacts]) -> dict[str, float]:
    """Return what the choice of a method depends on."""
    found = [fact for fact in facts if len(fact.sizes)]
    if not found:
        return {}
    return {
        "elongation": float(np.median(np.concatenate([fact.elongations for fact in found]))),
        "contact": float(np.mean([fact.contact for fact in found])),
    }


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
