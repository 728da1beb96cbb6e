"""OME-TIFF images that lie in several files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import tifffile

from embedseg.types import DataError

#: Names of files that may hold a part of an image.
OME_TIFF = re.compile(r"\.ome\.tiff?$", re.IGNORECASE)


def parse_xml(path: Path | str, xml: str) -> ElementTree.Element:
    """Parse the XML in a file; errors as `check_xml`."""
    check_xml(path, xml)
    return ElementTree.fromstring(xml)


def check_xml(path: Path | str, xml: str) -> None:
    """Check that XML has no document type: its entities could make little text grow without end.

    Raises
    ------
    DataError
        If it has one.
    """
    if "<!DOCTYPE" in xml:
        raise DataError(f"{path}: its XML has a <!DOCTYPE>, expected metadata without one")


def find_metadata(path: Path, file: tifffile.TiffFile) -> tuple[Path, str | None]:
    """Return the TIFF to open for an image, and its OME-XML, which may lie in another file.

    Parameters
    ----------
    path : Path
    file : tifffile.TiffFile
        The file at that path, open.

    Raises
    ------
    DataError
        If the other file is missing.
    """
    xml = file.ome_metadata
    if xml is None or "BinaryOnly" not in xml:
        return path, xml
    reference = parse_xml(path, xml).find("{*}BinaryOnly")
    if reference is None:
        return path, xml
    name = reference.get("MetadataFile", "")
    _check_beside(path, name)
    other = path.parent / name
    if not name or not other.is_file():
        raise DataError(f"{path}: its metadata are in {name!r}, which is missing")
    if other.suffix.lower() not in (".tif", ".tiff"):
        return path, other.read_text(encoding="utf-8")
    with tifffile.TiffFile(other) as head:
        return other, head.ome_metadata


def list_members(path: Path, xml: str | None) -> set[str]:
    """Return the names of the files that hold the images of which a file holds a part.

    The file is among them; the set is empty if the OME-XML names no files.
    """
    if xml is None or "FileName" not in xml:
        return set()
    members: set[str] = set()
    for image in parse_xml(path, xml).iterfind("{*}Image"):
        names = {uuid.get("FileName", "") for uuid in image.iterfind(".//{*}TiffData/{*}UUID")}
        if path.name in names:
            members |= names - {""}
    return members


def check_members(path: Path, xml: str | None) -> None:
    """Check that all files of an image exist, in one folder.

    Raises
    ------
    DataError
        If one is missing, or in another folder: a file must not lead to others of the user.
    """
    members = list_members(path, xml)
    for name in members:
        _check_beside(path, name)
    missing = sorted(name for name in members if not (path.parent / name).is_file())
    if missing:
        more = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        raise DataError(f"{path}: {path.parent / missing[0]}{more} missing, a part of this image")


def _check_beside(path: Path, name: str) -> None:
    if Path(name).name != name or "\\" in name or ":" in name:
        raise DataError(f"{path}: names {name!r} as a part of its image, expected a file beside it")


def drop_members(paths: Iterable[Path]) -> list[Path]:
    """Return paths without further files of an image: the first one stands for all.

    Only files named `*.ome.tif`, or beside a `*.companion.ome`, are looked into. Those that cannot
    be read are kept: reading them reports what is wrong.
    """
    kept, covered = [], set()
    companions: dict[Path, bool] = {}
    for path in paths:
        folder = path.parent
        if folder not in companions:
            companions[folder] = any(folder.glob("*.companion.ome"))
        if path in covered:
            continue
        kept.append(path)
        tiff = path.suffix.lower() in (".tif", ".tiff") and companions[folder]
        if (tiff or OME_TIFF.search(path.name)) and path.is_file():
            try:
                with tifffile.TiffFile(path) as file:
                    xml = find_metadata(path, file)[1]
                covered |= {folder / name for name in list_members(path, xml)}
            except Exception:  # decoders raise anything on a broken file
                continue
    return kept
