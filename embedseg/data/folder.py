"""Data folders: splits, images, masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from embedseg.common import shorten
from embedseg.data.pairing import Pairing, Pairs, _unpaired, match
from embedseg.images import CONTAINERS, LABEL, expand_inputs, stem
from embedseg.types import DataError

SPLITS = ("train", "val", "test")
#: Folder of the masks beside `images`.
MASKS = "masks"


class Split(NamedTuple):
    """The two folders of one split."""

    images: Path
    masks: Path


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
