"""The nets by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedseg.common import Registry
from embedseg.types import UsageError

if TYPE_CHECKING:
    from embedseg.nets.base import NetOptions

#: Options of each net. A further net is one file and one line here; in another package, an entry
#: point of the group `embedseg.nets`.
NETS: Registry[type[NetOptions]] = Registry(
    "net",
    "embedseg.nets",
    {
        "cenet": "embedseg.nets.cenet:CENetOptions",
        "erfnet": "embedseg.nets.erfnet:ERFNetOptions",
        "unet": "embedseg.nets.unet:UNetOptions",
        "unet2d3d": "embedseg.nets.unet2d3d:UNet2D3DOptions",
        "unetpp": "embedseg.nets.unetpp:UNetPPOptions",
    },
)


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
    return NETS[value["type"]].model_validate(value)
