"""Pairing of images and masks by file name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedseg.common import shorten
from embedseg.images import expand_inputs, stem
from embedseg.types import DataError

Pairs = list[tuple[Path, Path]]
#: Text to strip from file names: ("prefix" or "suffix", text).
Strip = tuple[str, str]


@dataclass(frozen=True)
class Pairing:
    """Images and masks that belong together, and those left over.

    Attributes
    ----------
    pairs : tuple of (Path, Path)
        Image and mask.
    rule : str
        How they were paired, for messages.
    left : tuple of Path
        Images without a mask and masks without an image.
    """

    pairs: tuple[tuple[Path, Path], ...]
    rule: str
    left: tuple[Path, ...] = ()


def pair_folders(images_dir: Path | str, masks_dir: Path | str) -> tuple[Pairs, str]:
    """Pair every image of a folder with its mask in another.

    Files belong together if their names without suffix are equal, or else if they become equal
    when one common beginning or ending is removed from all names on either side: `X0.tif` with
    `Y0.tif`, `a.tif` with `a_mask.tif`.

    Parameters
    ----------
    images_dir, masks_dir : path
        Two folders.

    Returns
    -------
    list of (Path, Path), str
        Image and mask, in natural order, and the rule that paired them.

    Raises
    ------
    DataError
        If a folder holds no images, or a file has no partner.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in "images/X0.tif", "images/X1.tif", "masks/Y0.tif", "masks/Y1.tif":
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     (folder / name).touch()
    >>> pairs, rule = pair_folders(folder / "images", folder / "masks")
    >>> [(image.name, mask.name) for image, mask in pairs], rule
    ([('X0.tif', 'Y0.tif'), ('X1.tif', 'Y1.tif')], "images without 'X' as masks without 'Y'")
    """
    pairing = pair_by_name(expand_inputs([Path(images_dir)]), expand_inputs([Path(masks_dir)]))
    if pairing.left:
        raise unpaired_error(pairing, images_dir, masks_dir)
    return list(pairing.pairs), pairing.rule


def unpaired_error(pairing: Pairing, images_dir: Path | str, masks_dir: Path | str) -> DataError:
    """Return the error for files without a partner."""
    return DataError(
        f"{len(pairing.left)} files without a partner in {images_dir} and {masks_dir}: "
        f"{shorten(f'{path.parent.name}/{path.name}' for path in pairing.left)}; a mask has "
        "the name of its image, or all names differ by one common beginning or ending"
    )


def pair_by_name(images: Sequence[Path], masks: Sequence[Path]) -> Pairing:
    """Pair images with masks by name as far as possible; see `pair_folders`.

    Returns
    -------
    Pairing
        If not all files find a partner, the pairs of the rule that finds most.

    Examples
    --------
    >>> images, masks = [Path("a.tif"), Path("b.tif")], [Path("a_mask.tif"), Path("b_mask.tif")]
    >>> pairing = pair_by_name(images, masks)
    >>> len(pairing.pairs), pairing.rule, pairing.left
    (2, "images as masks without '_mask'", ())
    """
    by_image = {stem(path): path for path in images}
    by_mask = {stem(path): path for path in masks}
    if by_image.keys() & by_mask.keys():
        # Some names are equal, so that is the rule, and files that it leaves over are errors.
        return _pair_equal(by_image, by_mask, "equal names")
    pairings = [
        _pair_equal(
            _strip_names(by_image, of_images),
            _strip_names(by_mask, of_masks),
            f"images{_describe(of_images)} as masks{_describe(of_masks)}",
        )
        for of_images in _find_strips(by_image)
        for of_masks in _find_strips(by_mask)
    ]
    # If several pairings are complete, they agree: adding one text to all names keeps names of
    # one length in order, so there is at most one way.
    return max(pairings, key=lambda pairing: len(pairing.pairs))


def _pair_equal(images: dict[str, Path], masks: dict[str, Path], rule: str) -> Pairing:
    pairs = tuple((path, masks[key]) for key, path in images.items() if key in masks)
    left = [path for key, path in images.items() if key not in masks]
    left += [path for key, path in masks.items() if key not in images]
    return Pairing(pairs, rule, tuple(left))


def _find_strips(names: Iterable[str]) -> Iterator[Strip]:
    """Yield the beginnings and endings that all names share, shortest first: first of all none."""
    names = list(names)
    yield "prefix", ""
    for size in range(1, min(map(len, names))):
        if len({name[:size] for name in names}) == 1 and _may_cut(names, size):
            yield "prefix", names[0][:size]
        if len({name[-size:] for name in names}) == 1 and _may_cut(names, -size):
            yield "suffix", names[0][-size:]


def _may_cut(names: Iterable[str], at: int) -> bool:
    """Return whether all names can be cut at a place that is not within a number or a word."""
    return all(_kind(name[at - 1]) != _kind(name[at]) or not name[at].isalnum() for name in names)


def _kind(character: str) -> str:
    if character.isdigit():
        return "digit"
    if not character.isalpha():
        return character
    return "upper" if character.isupper() else "lower"


def _strip_names(names: dict[str, Path], strip: Strip) -> dict[str, Path]:
    where, text = strip
    size = len(text)
    return {
        (name[size:] if where == "prefix" else name[: len(name) - size]): path
        for name, path in names.items()
    }


def _describe(strip: Strip) -> str:
    return f" without {strip[1]!r}" if strip[1] else ""
