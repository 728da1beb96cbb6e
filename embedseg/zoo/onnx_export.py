"""The net of a model as ONNX."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from embedseg.nets import Net
from embedseg.zoo.exporters import ModelFormat, Release

#: Names of input and output.
INPUT, OUTPUT = "image", "maps"
#: Prefix of the properties of the file.
PREFIX = "embedseg."


def write_onnx(path: Path, release: Release) -> None:
    """Write the net of a model, with the settings that its use needs.

    The program maps normalised images, (B, C, *space) float32 with sizes that are multiples of the
    divisor, to raw maps, (B, M, *space). The properties of the file hold `embedseg.config`, the
    model's settings as JSON, and values derived from them.

    Parameters
    ----------
    path : Path
        File to write.
    release : Release
    """
    from embedseg.common import __version__

    config, net = release.model.config, release.net
    program = export_net(net, config.channels, config.train.crop)
    program.model.doc_string = (
        f"{release.description} Input: image normalised as in embedseg.config, sizes multiples of "
        f"{net.divisor}. Output: raw maps, to be activated and decoded by embedseg."
    )
    maps = [
        {
            "name": spec.name,
            "kind": spec.kind,
            "channels": spec.channels,
            "activation": spec.activation,
        }
        for spec in config.method.maps(config.ndim)
    ]
    facts = {
        "config": config.model_dump_json(),
        "version": __version__,
        "name": release.name,
        "divisor": json.dumps(net.divisor),
        "maps": json.dumps(maps),
    }
    program.model.metadata_props.update({PREFIX + key: value for key, value in facts.items()})
    program.save(str(path))


FORMAT = ModelFormat(".onnx", write_onnx, ("onnx", "onnxscript"))


def export_net(net: Net, channels: int, crop: tuple[int, ...]) -> Any:
    """Return the ONNX program of a net, for batches and images of any size.

    Parameters
    ----------
    net : Net
        In evaluation mode.
    channels : int
        Channels of an image.
    crop : tuple of int
        Size of an image that the net accepts.

    Returns
    -------
    torch.onnx.ONNXProgram
    """
    # The exporter makes an axis of one pixel, or a batch of one, a constant.
    image = torch.zeros(2, channels, *(max(n, 2) for n in crop))
    sizes: dict[int, Any] = {
        axis: torch.export.Dim(f"n{axis}", min=2)
        if divisor == 1
        else divisor * torch.export.Dim(f"n{axis}", min=1)
        for axis, divisor in enumerate(net.divisor, 2)
    }
    with quiet():
        program = torch.onnx.export(
            net,
            (image,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch"), **sizes},),
        )
    assert program is not None
    return program


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings of libraries about themselves; errors are still raised."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
