"""Configuration: the options of all parts, validated and saved."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from embedseg.common import quote, unknown_name, write_text
from embedseg.data import DataOptions, PixelSize
from embedseg.images import Fixed, Normalization, Percentile
from embedseg.methods import Method, as_method
from embedseg.nets import Net, NetOptions, net_options
from embedseg.prediction import PredictOptions
from embedseg.training import TrainOptions
from embedseg.types import LONGEST, Spacing, UsageError

#: Longest duration, seconds, and bounds of memory, bytes.
LONGEST_TRAINING = 365 * 24 * 3600.0
LEAST_MEMORY, MOST_MEMORY = 1e6, 1e15
#: Most images of a data folder.
MOST_IMAGES = 2**40
#: Least length of the longest axis of a crop, pixels.
SMALLEST_CROP = 8


class Trained(BaseModel):
    """What a model was trained on, and when.

    Attributes
    ----------
    data : str
        Name of the data folder.
    images, val_images : int
        Samples to train on and to validate with, planes of volumes for a 2D net.
    date : str
        Day on which its training began or was resumed, such as "2026-03-31".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    images: int = Field(ge=0, le=MOST_IMAGES)
    val_images: int = Field(ge=0, le=MOST_IMAGES)
    date: str


class Config(BaseModel):
    """Configuration of a model: all that training, prediction and loading need.

    Attributes
    ----------
    schema_version : int
        Version of this layout.
    ndim : {2, 3}
        Space axes of the net.
    channels : int
        Channels of an image.
    spacing : tuple of float
        Size of a pixel along each array axis the model works in, µm; 1.0 where it is not known.
    spacing_known : bool
        Whether the spacing comes from the data or a user; if not, images are never resampled.
    extent : tuple of float, optional
        98th percentile of object extents along each axis, µm; None for classes.
    data, normalize, method, net, train, predict
        Options of the parts.
    trained : Trained, optional
        What it was trained on; None before, and of an ensemble, whose members have their own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    ndim: Literal[2, 3]
    channels: int = Field(default=1, ge=1, le=2**16)
    spacing: tuple[PixelSize, ...]
    spacing_known: bool = False
    extent: tuple[Annotated[float, Field(ge=0, le=LONGEST)], ...] | None = None
    data: DataOptions = DataOptions()
    normalize: Normalization = Percentile()
    method: Annotated[SerializeAsAny[Method], BeforeValidator(as_method)]
    net: Annotated[SerializeAsAny[NetOptions], BeforeValidator(net_options)]
    train: TrainOptions
    predict: PredictOptions = PredictOptions()
    trained: Trained | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, value in (("spacing", self.spacing), ("train.crop", self.train.crop)):
            if len(value) != self.ndim:
                raise ValueError(f"{name} {value} has {len(value)} values, ndim is {self.ndim}")
        if max(self.train.crop) < SMALLEST_CROP:
            raise ValueError(
                f"train.crop {self.train.crop} is too small; expected an axis of at least "
                f"{SMALLEST_CROP} pixels"
            )
        if isinstance(self.normalize, Fixed) and len(self.normalize.limits) != self.channels:
            raise ValueError(
                f"normalize.limits has {len(self.normalize.limits)} pairs of values, "
                f"expected one per channel ({self.channels})"
            )
        if self.data.channels and len(self.data.channels) != self.channels:
            raise ValueError(
                f"data.channels {', '.join(self.data.channels)}: {len(self.data.channels)}, "
                f"expected as many as channels ({self.channels})"
            )
        named = [each.name for each in self.data.classes or ()]
        if list(self.method.colours) != named:
            raise ValueError(
                f"data.classes are {', '.join(named) or 'none'}, those of the method "
                f"{self.method.type} {', '.join(self.method.colours) or 'none'}"
            )
        return self

    @property
    def known_spacing(self) -> Spacing | None:
        """The spacing that images are resampled to; None if they are not."""
        return self.spacing if self.spacing_known else None

    def build_net(self, source: Path | str = "config") -> Net:
        """Return the net with fresh weights, drawn from torch's global generator.

        `source` is the file of the configuration, for messages.

        Raises
        ------
        UsageError
            If it cannot be built, as where it does not fit into memory.
        """
        heads = self.method.heads(self.ndim)
        try:
            return self.net.build(self.ndim, self.channels, heads, self.spacing, self.train.crop)
        except (MemoryError, OverflowError, RuntimeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UsageError(
                f"{source}: the net {self.net.type} cannot be built with these options ({reason})"
            ) from error

    def changed(self, settings: Mapping[str, Any]) -> Config:
        """Return a copy with options changed by dotted name, validated again.

        Parameters
        ----------
        settings : mapping of str to object
            Such as {"train.epochs": 50}. Strings are read as JSON where they can be.

        Raises
        ------
        UsageError
            If an option does not exist or a value does not fit; one line per problem.
        """
        tree = self.model_dump(mode="json")
        for name, value in settings.items():
            _put(tree, name, parse_value(value))
        return parse_config(tree)


def parse_config(tree: Any, source: str = "config") -> Config:
    """Validate a configuration read from a file.

    Raises
    ------
    UsageError
        With one line per problem.
    """
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(part) for part in problem['loc']) or 'config'}: {problem['msg']}"
            + ("" if isinstance(problem["input"], dict) else f" (got {problem['input']!r})"[:300])
            for problem in error.errors()
        )
        raise UsageError(f"{source}: " + "; ".join(problems)) from None


def save_config(config: Config, path: Path) -> None:
    """Write a configuration as JSON; its folder is made if missing."""
    write_text(path, config.model_dump_json(indent=2) + "\n")


def load_config(path: Path | str) -> Config:
    """Read a configuration file.

    Raises
    ------
    UsageError
        If the file is missing, is not JSON, or does not validate.
    """
    try:
        tree = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a readable JSON file ({error})") from None
    return parse_config(tree, str(path))


def parse_value(value: Any) -> Any:
    """Read an option's value from the command line: JSON where it can be, lists by comma.

    Examples
    --------
    >>> parse_value("0.8"), parse_value("1,64,64"), parse_value("erfnet")
    (0.8, [1, 64, 64], 'erfnet')
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        # "1,64,64" is how lists are written on the command line.
        parts = value.split(",")
        return [parse_value(part) for part in parts] if len(parts) > 1 else value


def parse_duration(text: float | str) -> float:
    """Return seconds from a number of seconds or a text such as "90s", "15m" or "1h30m".

    A text needs a unit: people mean minutes by "15".

    Raises
    ------
    UsageError
        If the text is no duration, has no unit, is not positive, or longer than a year.

    Examples
    --------
    >>> parse_duration("1h30m"), parse_duration("90s"), parse_duration(5)
    (5400.0, 90.0, 5.0)
    """
    number = r"(\d+(?:\.\d+)?)"
    if isinstance(text, str) and re.fullmatch(number, text := text.strip()):
        raise UsageError(f"{quote(text)} has no unit; write 90s, 15m or 1h30m")
    found = re.fullmatch(f"(?:{number}h)?(?:{number}m)?(?:{number}s?)?", str(text))
    parts = [float(part or 0) for part in found.groups()] if found else [0.0]
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not 0 < seconds <= LONGEST_TRAINING:
        raise UsageError(f"{quote(text)} is no duration; write 90s, 15m or 1h30m, up to 8760h")
    return seconds


def parse_memory(text: str) -> float:
    """Return bytes from a text such as "4GB" or "800MB"; a bare number is GB.

    Raises
    ------
    UsageError
        If the text is no amount of memory from 1 MB to 1000 TB.

    Examples
    --------
    >>> parse_memory("4GB"), parse_memory("800 MB"), parse_memory("1.5")
    (4000000000.0, 800000000.0, 1500000000.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT]?)B?", text.strip().upper())
    size = float(found[1]) * {"M": 1e6, "": 1e9, "G": 1e9, "T": 1e12}[found[2]] if found else 0.0
    if not LEAST_MEMORY <= size <= MOST_MEMORY:
        raise UsageError(
            f"{quote(text)} is no amount of memory; write 4GB or 800MB, from 1MB to 1000TB"
        )
    return size


def _put(tree: dict[str, Any], name: str, value: Any) -> None:
    """Set one option by its dotted name, in place; another `type` drops the old one's options."""
    *path, last = name.split(".")
    node = tree
    for i, part in enumerate(path):
        if not isinstance(node.get(part), dict):
            raise UsageError(f"no option {name!r}: {'.'.join(path[: i + 1])} has no options")
        node = node[part]
    if last not in node:
        raise UsageError(unknown_name("option", name, sorted(node)))
    if last == "type":
        node.clear()
    node[last] = value
