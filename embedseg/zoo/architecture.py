"""The net of a package, for programs that load its weights with torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from embedseg.model import Config
from embedseg.nets import Net, net_options


def build(
    net: Mapping[str, Any],
    ndim: int,
    channels: int,
    heads: Sequence[int],
    spacing: Sequence[float],
    crop: Sequence[int],
) -> Net:
    """Return the net of these options, ready for its weights.

    Parameters are plain numbers, texts and lists, as in a package.

    Parameters
    ----------
    net : mapping
        Options of the net, with its name under "type".
    ndim, channels, heads, spacing, crop
        As in `embedseg.nets.NetOptions.build`.

    Examples
    --------
    >>> build({"type": "unet", "width": 4}, 2, 1, [4, 1], [1.0, 1.0], [64, 64]).divisor
    (8, 8)
    """
    return net_options(dict(net)).build(ndim, channels, tuple(heads), tuple(spacing), tuple(crop))


def described(config: Config) -> dict[str, Any]:
    """Return the arguments with which `build` makes the net of a model."""
    return {
        "net": config.net.model_dump(mode="json"),
        "ndim": config.ndim,
        "channels": config.channels,
        "heads": list(config.method.heads(config.ndim)),
        "spacing": list(config.spacing),
        "crop": list(config.train.crop),
    }
