"""The nets by name.

A further net is one file and one line in `NETS`. Classes are imported when asked for, so that
reading the names needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from embedseg.types import UsageError

if TYPE_CHECKING:
    from embedseg.nets.base import NetOptions

NETS = {
    "cenet": "embedseg.nets.cenet:CENetOptions",
    "erfnet": "embedseg.nets.erfnet:ERFNetOptions",
    "unet": "embedseg.nets.unet:UNetOptions",
    "unet2d3d": "embedseg.nets.unet2d3d:UNet2D3DOptions",
    "unetpp": "embedseg.nets.unetpp:UNetPPOptions",
}


def net_class(name: str) -> type[NetOptions]:
    """Return the options class of a net by its name.

    Raises
    ------
    UsageError
        If there is no such net; the message lists the known ones.

    Examples
    --------
    >>> net_class("erfnet").__name__
    'ERFNetOptions'
    """
    if name not in NETS:
        raise UsageError(f"no net {name!r}; there are {', '.join(sorted(NETS))}")
    module, _, attribute = NETS[name].partition(":")
    found: type[NetOptions] = getattr(import_module(module), attribute)
    return found


def net_options(value: Any) -> NetOptions:
    """Return the options of a net from a mapping, as read from a file, or themselves.

    Raises
    ------
    UsageError
        If the value is not a mapping that names a known net under "type".

    Examples
    --------
    >>> net_options({"type": "unet", "width": 16}).type
    'unet'
    """
    from embedseg.nets.base import NetOptions

    if isinstance(value, NetOptions):
        return value
    if not isinstance(value, dict) or "type" not in value:
        raise UsageError(f"a net is a mapping with its name under 'type', not {value!r}")
    return net_class(value["type"]).model_validate(value)


def __getattr__(name: str) -> object:
    if name not in ("Net", "NetOptions"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("embedseg.nets.base"), name)
