"""Packages of the BioImage Model Zoo."""

from __future__ import annotations

import logging
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedseg.export import require
from embedseg.model import MODEL, NEEDED
from embedseg.types import DataError, UsageError
from embedseg.zoo.architecture import described
from embedseg.zoo.description import activation_of, inputs, outputs
from embedseg.zoo.example import make_example, paint_cover
from embedseg.zoo.exporters import ModelFormat, Release
from embedseg.zoo.onnx_export import quiet, write_onnx
from embedseg.zoo.readme import CITATIONS, page, tags

log = logging.getLogger("embedseg")

#: Names of the files of a package, besides those of the model.
ONNX, TORCH, COVER, PAGE = "weights.onnx", "weights.pt", "cover.png", "README.md"
BEFORE, AFTER = "test_input.npy", "test_output.npy"
#: Fields that the zoo requires, and their options.
WANTED = {"license": "--license", "authors": "--authors"}


def write_package(path: Path, release: Release) -> None:
    """Write a package that passes the zoo's own tests, with the model's folder in it.

    Parameters
    ----------
    path : Path
        File to write.
    release : Release

    Raises
    ------
    UsageError
        If the description by the author does not fit the format.
    DataError
        If the package does not reproduce its own example.
    """
    check_libraries()
    missing = [option for field, option in WANTED.items() if not getattr(release.about, field)]
    if missing:
        log.info("the zoo takes only models with authors and a licence: %s", ", ".join(missing))
    with tempfile.TemporaryDirectory() as place, calm():
        folder = Path(place)
        opset = _fill(folder, release)
        model = _validated(folder, _tree(release, opset))
        whole = folder / "package.zip"
        require("bioimageio.spec", "zoo").save_bioimageio_package(model, output_path=whole)
        check_package(whole)
        shutil.move(whole, path)


FORMAT = ModelFormat(
    ".zip", write_package, ("bioimageio.core", "onnx", "onnxscript", "onnxruntime")
)


def check_package(path: Path) -> None:
    """Check that a package is valid, and that its weights in every format reproduce its example.

    Raises
    ------
    DataError
        If not.
    """
    with calm():
        summary = require("bioimageio.core", "zoo").test_description(
            path, devices=["cpu"], determinism="seed_only"
        )
    # A package whose description alone is right counts as "valid-format".
    if summary.status != "passed":
        wrong = [
            f"{detail.name}: {error.msg}" for detail in summary.details for error in detail.errors
        ]
        raise DataError("\n".join(["the package fails the test of bioimageio.core", *wrong]))


def check_libraries() -> None:
    """Check that the zoo's library works with the installed pydantic.

    Raises
    ------
    UsageError
        If not: some versions of the first fail with later ones of the second.
    """
    import pydantic

    spec = require("bioimageio.spec", "zoo")
    weights = require("bioimageio.spec.model.v0_5", "zoo").OnnxWeightsDescr
    try:
        with spec.ValidationContext(perform_io_checks=False):
            weights(source="https://example.com/a.onnx", opset_version=18).model_dump(mode="json")
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"bioimageio.spec {spec.__version__} does not work with pydantic "
            f"{pydantic.__version__}: pip install 'pydantic<2.14', or a later bioimageio.core"
        ) from error


@contextmanager
def calm() -> Iterator[None]:
    """Silence the logs of the zoo's libraries; errors are still raised."""
    logger = require("loguru", "zoo").logger
    # Their tests seed the generators of the caller.
    determined = torch.are_deterministic_algorithms_enabled()
    state, plain = np.random.get_state(), random.getstate()  # noqa: NPY002
    logger.disable("bioimageio")
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        logger.enable("bioimageio")
        np.random.set_state(state)  # noqa: NPY002
        random.setstate(plain)
        torch.use_deterministic_algorithms(determined)


def _fill(folder: Path, release: Release) -> int:
    """Write all files but the description; return the version of the ONNX operators."""
    from matplotlib.image import imsave

    config = release.model.config
    write_onnx(folder / ONNX, release)
    torch.save(release.net.state_dict(), folder / TORCH)
    example = make_example(
        config, release.net, activation_of(config.method.maps(config.ndim)), release.about.data
    )
    np.save(folder / BEFORE, example.image[np.newaxis])
    np.save(folder / AFTER, example.output[np.newaxis])
    imsave(folder / COVER, paint_cover(example, config))
    (folder / PAGE).write_text(page(release, example.source, AFTER), encoding="utf-8")
    for name in _model_files(release.folder):
        shutil.copyfile(release.folder / name, folder / name)
    program = require("onnx", "zoo").load(folder / ONNX, load_external_data=False)
    return int(next(each.version for each in program.opset_import if not each.domain))


def _model_files(folder: Path) -> list[str]:
    return [name for name in MODEL if name in NEEDED or (folder / name).is_file()]


def _tree(release: Release, opset: int) -> dict[str, Any]:
    """Return the description of a package."""
    from embedseg.common import __version__

    latest = require("bioimageio.spec.model.v0_5", "zoo").ModelDescr.implemented_format_version
    config, about, divisor = release.model.config, release.about, release.net.divisor
    return {
        "type": "model",
        "format_version": latest,
        "name": release.name,
        "description": release.description,
        "authors": [{"name": name} for name in about.authors],
        "license": about.license,
        "tags": tags(release),
        "cite": list(CITATIONS),
        "documentation": {"source": PAGE},
        "covers": [{"source": COVER}],
        "attachments": [{"source": name} for name in _model_files(release.folder)],
        "inputs": inputs(config, divisor, BEFORE),
        "outputs": outputs(config, AFTER),
        "weights": {
            "pytorch_state_dict": {
                "source": TORCH,
                "pytorch_version": torch.__version__.partition("+")[0],
                "architecture": {
                    "import_from": "embedseg.zoo.architecture",
                    "callable": "build",
                    "kwargs": described(config),
                },
            },
            "onnx": {"source": ONNX, "opset_version": opset, "parent": "pytorch_state_dict"},
        },
        "config": {"embedseg": {"version": __version__, "method": config.method.type}},
    }


def _validated(folder: Path, tree: dict[str, Any]) -> Any:
    spec = require("bioimageio.spec", "zoo")
    context = spec.ValidationContext(root=folder, file_name="bioimageio.yaml")
    found = spec.build_description(tree, context=context)
    if isinstance(found, spec.InvalidDescr):
        wrong = [
            f"{'.'.join(map(str, error.loc))}: {error.msg}"
            for detail in found.validation_summary.details
            for error in detail.errors
        ]
        raise UsageError(
            "\n".join(["the description is not valid for the BioImage Model Zoo", *wrong])
        )
    return found
