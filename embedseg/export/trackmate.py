"""Tracks as XML that TrackMate reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from embedseg.export.exporters import ObjectFormat
from embedseg.export.objects import Objects
from embedseg.labels import centroids
from embedseg.tracking import Track

#: Version of TrackMate whose elements these are.
VERSION = "7.11.1"
#: Features of spots: name, short name, dimension, whether it is a whole number.
SPOTS = {
    "QUALITY": ("Quality", "Quality", "QUALITY", False),
    "POSITION_X": ("X", "X", "POSITION", False),
    "POSITION_Y": ("Y", "Y", "POSITION", False),
    "POSITION_Z": ("Z", "Z", "POSITION", False),
    "POSITION_T": ("T", "T", "TIME", False),
    "FRAME": ("Frame", "Frame", "NONE", True),
    "RADIUS": ("Radius", "R", "LENGTH", False),
    "VISIBILITY": ("Visibility", "Visibility", "NONE", True),
}
EDGES = {
    "SPOT_SOURCE_ID": ("Source spot ID", "Source ID", "NONE", True),
    "SPOT_TARGET_ID": ("Target spot ID", "Target ID", "NONE", True),
}
TRACKS = {
    "TRACK_INDEX": ("Track index", "Index", "NONE", True),
    "TRACK_ID": ("Track ID", "ID", "NONE", True),
}


def write_trackmate(path: Path, objects: Objects) -> None:
    """Write a film's objects as spots, in µm, and what links them as TrackMate's tracks.

    A track of TrackMate is a family: with all that descends from it by division. Spots are called
    by their number. In images a spot has the outline of its largest piece.

    Parameters
    ----------
    path : Path
        File to write.
    objects : Objects
    """
    root = ET.Element("TrackMate", version=VERSION)
    unit = "µm" if objects.spacing_known else "pixel"
    model = ET.SubElement(root, "Model", spatialunits=unit, timeunits="frame")
    declared = ET.SubElement(model, "FeatureDeclarations")
    for name, features in (("Spot", SPOTS), ("Edge", EDGES), ("Track", TRACKS)):
        _declare(ET.SubElement(declared, f"{name}Features"), features)
    spots = ET.SubElement(model, "AllSpots")
    places: dict[int, list[int]] = {}
    count = 0
    for frame in objects.each_frame():
        inside = ET.SubElement(spots, "SpotsInFrame", frame=str(frame.frame))
        for spot, label in _spots(frame):
            spot.set("ID", str(count))
            inside.append(spot)
            places.setdefault(label, []).append(count)
            count += 1
    spots.set("nspots", str(count))
    _add_tracks(model, places, objects.tracks or ())
    _add_settings(root, objects)
    ET.SubElement(root, "GUIState", state="ConfigureViews")
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)


FORMAT = ObjectFormat(".xml", write_trackmate, films=True, tracks=True)


def _declare(parent: ET.Element, features: dict[str, tuple[str, str, str, bool]]) -> None:
    for feature, (name, short, dimension, whole) in features.items():
        ET.SubElement(
            parent,
            "Feature",
            feature=feature,
            name=name,
            shortname=short,
            dimension=dimension,
            isint=str(whole).lower(),
        )


# -- spots -----------------------------------------------------------------------------------------
def _spots(frame: Objects) -> Iterator[tuple[ET.Element, int]]:
    """Yield a spot for each object of a frame, and its label."""
    outlines = _outlines(frame) if frame.ndim == 2 else {}
    ids, time = list(frame.boxes), str(frame.frame)
    for label, centre in zip(ids, centroids(frame.labels, frame.spacing), strict=True):
        volume = frame.sizes[label] * math.prod(frame.spacing)
        radius = (
            math.sqrt(volume / math.pi)
            if frame.ndim == 2
            else math.cbrt(3 * volume / (4 * math.pi))
        )
        position = [0.0] * (3 - frame.ndim) + centre.tolist()
        spot = ET.Element("Spot", name=str(label), QUALITY="1.0", POSITION_T=time, FRAME=time)
        for axis, value in zip("ZYX", position, strict=True):
            spot.set(f"POSITION_{axis}", f"{value:.6g}")
        spot.set("RADIUS", f"{radius:.6g}")
        spot.set("VISIBILITY", "1")
        if label in outlines:
            ring = outlines[label] - centre[::-1]
            spot.set("ROI_N_POINTS", str(len(ring)))
            spot.text = " ".join(f"{value:.6g}" for value in ring.ravel().tolist())
        yield spot, label


def _outlines(frame: Objects) -> dict[int, NDArray[np.float64]]:
    """Return the ring around the largest piece of each object: corners as x, y in µm."""
    size = np.asarray(frame.spacing)[::-1]
    return {
        outline.label: (max((each[0] for each in outline.polygons), key=_area) - 0.5) * size
        for outline in frame.outlines()
    }


def _area(ring: NDArray[np.int32]) -> float:
    x, y = ring.astype(np.float64).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


# -- tracks and settings ---------------------------------------------------------------------------
def _add_tracks(model: ET.Element, places: dict[int, list[int]], tracks: tuple[Track, ...]) -> None:
    """Add a track for each family of more than one spot; `places` has the spots of each number."""
    families: dict[int, list[tuple[int, int]]] = {}
    first: dict[int, int] = {}
    for track in tracks:
        # Parents have smaller numbers.
        family = first[track.number] = first.get(track.parent, track.number)
        chain = [*places.get(track.parent, [])[-1:], *places[track.number]]
        families.setdefault(family, []).extend(pairwise(chain))
    every = ET.SubElement(model, "AllTracks")
    shown = ET.SubElement(model, "FilteredTracks")
    linked = [family for family, links in families.items() if links]
    for index, family in enumerate(linked):
        names = {"name": f"Track_{family}", "TRACK_INDEX": str(index), "TRACK_ID": str(family)}
        element = ET.SubElement(every, "Track", names)
        for source, target in families[family]:
            ids = {"SPOT_SOURCE_ID": str(source), "SPOT_TARGET_ID": str(target)}
            ET.SubElement(element, "Edge", ids)
        ET.SubElement(shown, "TrackID", TRACK_ID=str(family))


def _add_settings(root: ET.Element, objects: Objects) -> None:
    """Add size and pixels of the image, and that spots and links are given."""
    frames, *space = objects.labels.shape
    planes, height, width = [1] * (3 - len(space)) + space
    depth, tall, wide = [1.0] * (3 - len(space)) + list(objects.spacing)
    settings = ET.SubElement(root, "Settings")
    image = {
        "filename": objects.name,
        "folder": "",
        "width": width,
        "height": height,
        "nslices": planes,
        "nframes": frames,
        "pixelwidth": wide,
        "pixelheight": tall,
        "voxeldepth": depth,
        "timeinterval": 1.0,
    }
    ET.SubElement(settings, "ImageData", {name: str(value) for name, value in image.items()})
    ends = {"x": width, "y": height, "z": planes, "t": frames}
    crop = {f"{axis}start": "0" for axis in ends}
    crop |= {f"{axis}end": str(length - 1) for axis, length in ends.items()}
    ET.SubElement(settings, "BasicSettings", crop)
    ET.SubElement(settings, "DetectorSettings", DETECTOR_NAME="MANUAL_DETECTOR", RADIUS="1.0")
    ET.SubElement(settings, "InitialSpotFilter", feature="QUALITY", value="0.0", isabove="true")
    ET.SubElement(settings, "SpotFilterCollection")
    ET.SubElement(settings, "TrackerSettings", TRACKER_NAME="MANUAL_TRACKER")
    ET.SubElement(settings, "TrackFilterCollection")
    analyzers = ET.SubElement(settings, "AnalyzerCollection")
    for name in ("Spot", "Edge", "Track"):
        ET.SubElement(analyzers, f"{name}Analyzers")
