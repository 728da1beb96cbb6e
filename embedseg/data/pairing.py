"""Pairing of images and masks by file name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedseg.common import shorten
from embedseg.images import expand_inputs, stem
from embedseg.types import DataError

Pairs = list[tuple[Path, Path]]
Strip = tuple[str, str]  # ("prefix" or "suffix", the text)


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
