"""Instance segmentation of microscopy images in 2D and 3D by spatial embeddings."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedseg.config import Config
    from embedseg.io import read_image
    from embedseg.metrics import score
    from embedseg.model import Segmenter
    from embedseg.planning import plan

__version__ = "0.1.0"
__all__ = ["Config", "Segmenter", "__version__", "plan", "read_image", "score"]

# Resolved on first use: `import embedseg` and `embedseg --help` must not wait for torch.
_HOMES = {
    "Config": "embedseg.config",
    "Segmenter": "embedseg.model",
    "plan": "embedseg.planning",
    "read_image": "embedseg.io",
    "score": "embedseg.metrics",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
