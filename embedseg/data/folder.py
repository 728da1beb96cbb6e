"""What a data folder holds: its splits, and which mask belongs to which image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from embedseg.formats import CONTAINERS, LABEL
from embedseg.io import expand_inputs, stem
from embedseg.types import DataError

SPLITS = ("train", "val", "test")
#: Folder of the masks beside `images`.
MASKS = "masks"
#: Names shown in a message; the rest is counted.
SHOWN = 5

Pairs = list[tuple[Path, Path]]
Strip = tuple[str, str]  # ("prefix" or "suffix", the text)


class Split(NamedTuple):
    """The two folders of one split."""

    images: Path
    masks: Path


@dataclass(frozen=True)
class Pairing:
    """Images and masks that belong together, and those left over.

    Attributes
    ----------
    pairs : tuple of (Path, Path)
        Image and mask.
    rule : str
        How they were found, in words.
    left : tuple of Path
        Images without a mask and masks without an image.
    """

    pairs: tuple[tuple[Path, Path], ...]
    rule: str
    left: tuple[Path, ...] = ()


def find_data(root: Path | str, masks: str = MASKS) -> dict[str, Split]:
    """Return the splits that a data folder has.

    Raises
    ------
    DataError
        If there is no `train`, `val` or `test` with a folder `images`.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "train" / "images").mkdir(parents=True)
    >>> list(find_data(root))
    ['train']
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    splits = {
        name: Split(root / name / "images", root / name / masks)
        for name in SPLITS
        if (root / name / "images").is_dir()
    }
    if not splits:
        raise DataError(
            f"{root}: expected train/images and train/{masks} in it "
            "(and perhaps the same under val and test)"
        )
    return splits


def find_pairs(root: Path | str, split: str, masks: str = MASKS) -> tuple[Pairs, str]:
    """Return the images and masks of one split, and the rule that paired them, in words.

    Raises
    ------
    DataError
        For a folder that is not there, or files without a partner.
    """
    splits = find_data(root, masks)
    if split not in splits:
        raise DataError(f"{root}: no folder {split}/images; there are {', '.join(splits)}")
    found = match_split(splits[split])
    if found.left:
        raise _unpaired(found, *splits[split])
    return list(found.pairs), found.rule


def match_split(split: Split) -> Pairing:
    """Pair the images of a split with their masks as far as it goes.

    Without a folder of masks, images that are HDF5 files hold them: in a dataset with the name of
    the folder that is not there, or "label".

    Raises
    ------
    DataError
        If a folder is not there or holds no images.
    """
    if split.masks.is_dir():
        return match(expand_inputs([split.images]), expand_inputs([split.masks]))
    images = expand_inputs([split.images])
    if any(image.suffix.lower() not in CONTAINERS for image in images):
        beside = sorted(path.name for path in split.masks.parent.iterdir() if path.is_dir())
        raise DataError(f"{split.masks}: no such folder; there are {', '.join(beside)}")
    name = LABEL if split.masks.name == MASKS else split.masks.name
    return Pairing(
        tuple((image, image / name) for image in images),
        f"images with their masks inside, as {name!r}",
    )


def pair_files(images_dir: Path | str, masks_dir: Path | str) -> tuple[Pairs, str]:
    """Pair every image of a folder with its mask in another.

    Files belong together if their names are equal up to the ending, or else if they become so
    when one common beginning or ending is taken off all names on either side: `X0.tif` with
    `Y0.tif`, `a.tif` with `a_mask.tif`.

    Parameters
    ----------
    images_dir, masks_dir : path
        Two folders.

    Returns
    -------
    list of (Path, Path), str
        Image and mask, in natural order, and the rule in words.

    Raises
    ------
    DataError
        If a folder holds no images, or a file stays without a partner; the message names them.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in "images/X0.tif", "images/X1.tif", "masks/Y0.tif", "masks/Y1.tif":
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     (folder / name).touch()
    >>> pairs, rule = pair_files(folder / "images", folder / "masks")
    >>> [(image.name, mask.name) for image, mask in pairs], rule
    ([('X0.tif', 'Y0.tif'), ('X1.tif', 'Y1.tif')], "images without 'X' as masks without 'Y'")
    """
    found = match(expand_inputs([Path(images_dir)]), expand_inputs([Path(masks_dir)]))
    if found.left:
        raise _unpaired(found, images_dir, masks_dir)
    return list(found.pairs), found.rule


def _unpaired(found: Pairing, images_dir: Path | str, masks_dir: Path | str) -> DataError:
    return DataError(
        f"{len(found.left)} files without a partner in {images_dir} and {masks_dir}: "
        f"{shorten(f'{path.parent.name}/{path.name}' for path in found.left)}; a mask has "
        "the name of its image, or all names differ by one common beginning or ending"
    )


def match(images: Sequence[Path], masks: Sequence[Path]) -> Pairing:
    """Pair images with masks as far as it goes; see `pair_files`.

    Returns
    -------
    Pairing
        If not all files find a partner, the pairs of the rule that finds most.

    Examples
    --------
    >>> found = match([Path("a.tif"), Path("b.tif")], [Path("a_mask.tif"), Path("b_mask.tif")])
    >>> len(found.pairs), found.rule, found.left
    (2, "images as masks without '_mask'", ())
    """
    ours = {stem(path): path for path in images}
    theirs = {stem(path): path for path in masks}
    if ours.keys() & theirs.keys():
        # Some names are equal, so that is the rule, and what it leaves over is an error.
        return _pairing(ours, theirs, "equal names")
    tries = [
        _pairing(
            _stripped(ours, mine),
            _stripped(theirs, yours),
            f"images{_words(mine)} as masks{_words(yours)}",
        )
        for mine in _strips(ours)
        for yours in _strips(theirs)
    ]
    # Where several tries pair all files, they agree: adding one text to all names keeps those of
    # one length in order, so there is one way at most.
    return max(tries, key=lambda found: len(found.pairs))


def set_apart(
    pairs: Pairs, wanted: float | int | Sequence[str], seed: int = 0
) -> tuple[Pairs, Pairs, str]:
    """Take validation images out of the train images for validation.

    Parameters
    ----------
    pairs : list of (Path, Path)
        Images and masks of the train split.
    wanted : float, int or sequence of str
        A share, how many of the last ones, or their names.
    seed : int
        Chooses the images when a share is wanted.

    Returns
    -------
    list, list, str
        What stays, what is taken out, and how, in words.

    Raises
    ------
    DataError
        If nothing would stay, or a name is not there.

    Examples
    --------
    >>> pairs = [(Path(f"{i}.tif"), Path(f"{i}.tif")) for i in range(9)]
    >>> rest, val, words = set_apart(pairs, 2)
    >>> len(rest), [image.name for image, _ in val], words
    (7, ['7.tif', '8.tif'], 'the last 2 of 9 train images')
    """
    n = len(pairs)
    if isinstance(wanted, Sequence):
        names = [stem(image) for image, _ in pairs]
        if missing := [name for name in wanted if name not in names]:
            raise DataError(f"data.val names images that are not there: {shorten(missing)}")
        chosen = {i for i, name in enumerate(names) if name in wanted}
        how = f"the {len(chosen)} named of {n} train images"
    elif isinstance(wanted, int):
        chosen = set(range(max(n - wanted, 0), n))
        how = f"the last {len(chosen)} of {n} train images"
    else:
        count = max(round(wanted * n), 1)
        drawn = np.random.default_rng(seed).permutation(n)[:count]
        chosen = {int(i) for i in drawn}
        how = f"{count} of {n} train images drawn with seed {seed}"
    if len(chosen) >= n:
        raise DataError(
            f"{n} train images are too few to set {len(chosen)} apart for validation; "
            "add a folder val, or change data.val"
        )
    rest = [pair for i, pair in enumerate(pairs) if i not in chosen]
    return rest, [pairs[i] for i in sorted(chosen)], how


def shorten(names: Iterable[str]) -> str:
    """Join the first few names, and count the rest.

    Examples
    --------
    >>> shorten("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _pairing(ours: dict[str, Path], theirs: dict[str, Path], rule: str) -> Pairing:
    pairs = tuple((path, theirs[key]) for key, path in ours.items() if key in theirs)
    left = [path for key, path in ours.items() if key not in theirs]
    left += [path for key, path in theirs.items() if key not in ours]
    return Pairing(pairs, rule, tuple(left))


def _strips(names: Iterable[str]) -> Iterator[Strip]:
    """Yield what all names begin or end with, shortest first; nothing at all comes first."""
    names = list(names)
    yield "prefix", ""
    for size in range(1, min(map(len, names))):
        if len({name[:size] for name in names}) == 1 and _apart(names, size):
            yield "prefix", names[0][:size]
        if len({name[-size:] for name in names}) == 1 and _apart(names, -size):
            yield "suffix", names[0][-size:]


def _apart(names: Iterable[str], at: int) -> bool:
    """Say whether all names may be cut at a place: not within a number or a word."""
    return all(_kind(name[at - 1]) != _kind(name[at]) or not name[at].isalnum() for name in names)


def _kind(character: str) -> str:
    if character.isdigit():
        return "digit"
    if not character.isalpha():
        return character
    return "upper" if character.isupper() else "lower"


def _stripped(names: dict[str, Path], strip: Strip) -> dict[str, Path]:
    where, text = strip
    size = len(text)
    return {
        (name[size:] if where == "prefix" else name[: len(name) - size]): path
        for name, path in names.items()
    }


def _words(strip: Strip) -> str:
    return f" without {strip[1]!r}" if strip[1] else ""
