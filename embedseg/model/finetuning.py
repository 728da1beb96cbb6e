"""Fine-tuning: weights taken over from another model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from embedseg.common import format_shape
from embedseg.model.config import Config
from embedseg.model.folder import ModelFolder
from embedseg.nets import Net
from embedseg.types import UsageError


def start_from(net: Net, config: Config, folder: Path | str) -> str:
    """Copy what fits of the weights in a model's folder into a net; see `transfer_weights`.

    Raises
    ------
    UsageError
        If the folder holds no model, or one of which nothing fits.
    """
    source = ModelFolder(Path(folder))
    settings, weights = source.config(), source.weights()
    return transfer_weights(net, config, weights, settings, str(folder))


def transfer_weights(
    net: Net, config: Config, weights: Mapping[str, Tensor], source: Config, name: str = "model"
) -> str:
    """Copy what fits of a model's weights into a net.

    An array fits if net and model have one of that name and shape. The last layer of a decoder
    branch fits only if it makes the same maps; what it puts out is then brought to the options of
    the new method.

    Parameters
    ----------
    net : Net
        Changed in place.
    config : Config
        Of `net`.
    weights : mapping of str to Tensor
        Of the model.
    source : Config
        Of the model.
    name : str
        Name of the model in the message.

    Returns
    -------
    str
        What was kept and what begins anew.

    Raises
    ------
    UsageError
        If nothing fits.
    """
    mine, theirs = (each.method.head_maps(each.ndim) for each in (config, source))
    same = [k < len(theirs) and head == theirs[k] for k, head in enumerate(mine)]
    fresh_heads = tuple(f"outputs.{k}." for k, kept in enumerate(same) if not kept)
    own = net.state_dict()
    taken = {
        key: value
        for key, value in weights.items()
        if key in own and own[key].shape == value.shape and not key.startswith(fresh_heads)
    }
    learnt = {key for key, _ in net.named_parameters()}
    if source.net.type != config.net.type or not learnt & set(taken):
        raise UsageError(
            f"{name}: none of its weights fit; it is a {source.net.type} in "
            f"{source.ndim}D, this one a {config.net.type} in {config.ndim}D"
        )
    net.load_state_dict({**own, **taken})
    if source.method.type == config.method.type:
        for k, specs in enumerate(mine):
            if same[k]:
                config.method.transfer.adopt_head(
                    net.outputs[k], specs, source.method, config.method
                )
    fresh = [
        f"{key} ({_shape(weights[key]) + ' there, ' if key in weights else ''}{_shape(own[key])})"
        for key in own
        if key in learnt and key not in taken
    ]
    kept = sum(taken[key].numel() for key in learnt & set(taken))
    whole = sum(own[key].numel() for key in learnt)
    share = math.floor(1000 * kept / whole) / 10
    message = f"from {name}: {share:g} % of the weights kept"
    return f"{message}; these begin anew: {', '.join(fresh)}" if fresh else message


def _shape(value: Tensor) -> str:
    return format_shape(value.shape)
