"""Data folders: splits, images, masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from embedseg.common import normal_name, shorten
from embedseg.data.pairing import Pairing, Pairs, pair_by_name, unpaired_error
from embedseg.images import CONTAINERS, LABEL, check_link, expand_inputs, stem
from embedseg.types import DataError

SPLITS = ("train", "val", "test")
#: Other names, in lower case, that people give to these folders.
OTHER_NAMES = {
    **{name: name for name in SPLITS},
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}
#: Folder of the masks beside `images`.
MASKS = "masks"


class Split(NamedTuple):
    """The two folders of one split."""

    images: Path
    masks: Path


def find_splits(root: Path | str, masks: str = MASKS) -> dict[str, Split]:
    """Return the splits of a data folder.

    Raises
    ------
    DataError
        If there is no `train`, `val` or `test` with a folder `images`, or one is a broken link.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "train" / "images").mkdir(parents=True)
    >>> list(find_splits(root))
    ['train']
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    for name in SPLITS:
        for path in (root / name, root / name / "images", root / name / masks):
            check_link(path)
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


def find_misnamed_splits(root: Path) -> list[tuple[Path, str]]:
    """Return folders with images that are no splits by their names, and the names that are meant.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "Validation" / "images").mkdir(parents=True)
    >>> [(path.name, name) for path, name in find_misnamed_splits(root)]
    [('Validation', 'val')]
    """
    if not root.is_dir():
        return []
    found = {path.name: path for path in sorted(root.iterdir()) if (path / "images").is_dir()}
    return [
        (path, OTHER_NAMES[name.lower()])
        for name, path in found.items()
        if name not in SPLITS and name.lower() in OTHER_NAMES
    ]


def find_pairs(root: Path | str, split: str, masks: str = MASKS) -> tuple[Pairs, str]:
    """Return the images and masks of one split, and the rule that paired them.

    Raises
    ------
    DataError
        For a missing folder, or files without a partner.
    """
    splits = find_splits(root, masks)
    if split not in splits:
        raise DataError(f"{root}: no folder {split}/images; there are {', '.join(splits)}")
    pairing = pair_split(splits[split])
    if pairing.left:
        raise unpaired_error(pairing, *splits[split])
    return list(pairing.pairs), pairing.rule


def pair_split(split: Split, *, check: bool = True) -> Pairing:
    """Pair the images of a split with their masks as far as possible.

    Without a folder of masks, images that are HDF5 files hold them: in a dataset with the name of
    the missing folder, or "label". Without `check` files that cannot be read are paired too.

    Raises
    ------
    DataError
        If a folder is missing or holds no images.
    """
    if split.masks.is_dir():
        images, masks = (expand_inputs([folder], check=check) for folder in split)
        return pair_by_name(images, masks)
    images = expand_inputs([split.images], check=check)
    if any(image.suffix.lower() not in CONTAINERS for image in images):
        beside = sorted(path.name for path in split.masks.parent.iterdir() if path.is_dir())
        raise DataError(f"{split.masks}: no such folder; there are {', '.join(beside)}")
    name = LABEL if split.masks.name == MASKS else split.masks.name
    return Pairing(
        tuple((image, image / name) for image in images),
        f"images with their masks inside, as {name!r}",
    )


def split_validation(
    pairs: Pairs, wanted: float | int | Sequence[str], seed: int = 0
) -> tuple[Pairs, Pairs, str]:
    """Split validation images off the train images.

    Parameters
    ----------
    pairs : list of (Path, Path)
        Images and masks of the train split.
    wanted : float, int or sequence of str
        A share, the number of last ones, or their names.
    seed : int
        Seed of the choice if a share is wanted.

    Returns
    -------
    list, list, str
        Train pairs, validation pairs, and a message on how they were chosen. Of one image a share
        is a strip: both lists hold the image.

    Raises
    ------
    DataError
        If no train images would be left, or a name is unknown.

    Examples
    --------
    >>> pairs = [(Path(f"{i}.tif"), Path(f"{i}.tif")) for i in range(9)]
    >>> rest, val, message = split_validation(pairs, 2)
    >>> len(rest), [image.name for image, _ in val], message
    (7, ['7.tif', '8.tif'], 'the last 2 of 9 train images')
    """
    n = len(pairs)
    if isinstance(wanted, Sequence):
        names, wanted = [stem(image) for image, _ in pairs], list(map(normal_name, wanted))
        if missing := [name for name in wanted if name not in names]:
            raise DataError(f"data.val names images that do not exist: {shorten(missing)}")
        chosen = {i for i, name in enumerate(names) if name in wanted}
        how = f"the {len(chosen)} named of {n} train images"
    elif isinstance(wanted, int):
        chosen = set(range(max(n - wanted, 0), n))
        how = f"the last {len(chosen)} of {n} train images"
    elif n == 1:
        return pairs, pairs, f"a strip of the one train image, {wanted:g} of what is annotated"
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
