"""Runs and their results, resumed after an interruption."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedseg.blockwise.options import BlockOptions
from embedseg.blockwise.outputs import Output
from embedseg.common import FULL, check_output_folder, write_text
from embedseg.images import LazyImage
from embedseg.model import Predictor
from embedseg.types import DataError, UsageError

log = logging.getLogger("embedseg")

#: Files of a run in its scratch folder: its request, and its result.
REQUEST, RESULT = "asked.json", "result.json"
#: File with the bytes of each process: boxes, and so the last digits of maps, depend on them.
MEMORY = "memory.txt"


@dataclass(frozen=True)
class Result:
    """Result of segmenting an image in blocks.

    Attributes
    ----------
    labels : Path
        An OME-Zarr group or a BigTIFF.
    table : Path or None
        CSV with a row per object; None for classes.
    count : int
        Objects; for classes 0.
    blocks : int
        Blocks that the image was cut into.
    retried : int
        Blocks that were decoded again with wider halos.
    cut : int
        Objects that reach beyond the widest halo.
    lost : int
        Objects that the block they grew from decoded differently; see
        `embedseg.blockwise.joining.Numbering`.
    """

    labels: Path
    table: Path | None
    count: int
    blocks: int
    retried: int
    cut: int
    lost: int


@dataclass(frozen=True)
class Run:
    """One run: its scratch folder and its request.

    Attributes
    ----------
    scratch : Path
    request : dict
        Everything that has to be the same for a run to resume, as JSON.
    """

    scratch: Path
    request: dict[str, Any]

    def interrupted(self) -> bool:
        """Return whether an earlier run with the same request left its files."""
        return self._earlier_request() == self.request

    def begin(self, overwrite: bool) -> None:
        """Make the scratch folder.

        Raises
        ------
        UsageError
            If it holds a run with another request, unless `overwrite`; or what is no run.
        """
        held = self.scratch.is_dir() and not (self.scratch / REQUEST).is_file()
        check_output_folder(self.scratch, True, () if held else None)
        if self.scratch.exists() and not overwrite:
            earlier = self._earlier_request() or {}
            other = sorted(name for name in self.request if earlier.get(name) != self.request[name])
            raise UsageError(
                f"{self.scratch}: holds an interrupted run with another "
                f"{', '.join(other)}; remove it, or --overwrite"
            )
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        write_text(self.scratch / REQUEST, json.dumps(self.request, indent=2) + "\n")

    def memory(self, share: float) -> float:
        """Return the bytes of each process in the interrupted run; those given, if it is new."""
        file = self.scratch / MEMORY
        if not file.exists():
            write_text(file, f"{share}\n")
        return float(file.read_text(encoding="utf-8"))

    def remove(self) -> None:
        """Remove the scratch folder."""
        shutil.rmtree(self.scratch)

    def save_result(self, result: Result) -> None:
        """Write the result, before the output gets its name, and which file has that until then."""
        plain = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(result).items()
        }
        held = {"result": plain, "replaces": _identity(result.labels)}
        write_text(self.scratch / RESULT, json.dumps(held))

    def load_result(self, output: Output) -> Result | None:
        """Return the result of a run that was killed while it cleaned up; None for any other."""
        path = self.scratch / RESULT
        if not self.interrupted() or not output.path.exists() or not path.exists():
            return None
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["replaces"] == _identity(output.path):
            return None
        held = saved["result"]
        return Result(
            **held | {"labels": output.path, "table": output.table if held["table"] else None}
        )

    def _earlier_request(self) -> dict[str, Any] | None:
        try:
            held: dict[str, Any] = json.loads((self.scratch / REQUEST).read_text(encoding="utf-8"))
            return held
        except (OSError, ValueError, RecursionError):
            return None


def _identity(path: Path) -> list[int] | None:
    """Return what differs between a file and one that replaces it; None if there is none."""
    state = path.stat() if path.exists() else None
    return state and [state.st_dev, state.st_ino]


def request_of(model: Predictor, image: LazyImage, options: BlockOptions) -> dict[str, Any]:
    """Return everything that has to be the same for a run to resume, as JSON."""
    request = {
        "image": image.source,
        "shape": image.shape,
        "axes": image.axes,
        "channels": image.origin.channels,
        "spacing": image.spacing,
        "block": options.block,
        "halo": options.halo,
        "threads": options.threads,
        "memory": options.memory,
        "weights": model.fingerprint(),
        "model": model.config.model_dump(mode="json", exclude={"train"}),
    }
    plain: dict[str, Any] = json.loads(json.dumps(request))
    return plain


@contextmanager
def explain_full_disk(scratch: Path) -> Iterator[None]:
    """Turn the error of a full disk into one that explains what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DataError(
            f"no space left: {error.filename or scratch}; finished blocks are kept in {scratch}, "
            "the same command resumes once there is room"
        ) from error
