"""Models for other programs and back: the same numbers by ONNX, the same model from a package."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import typing
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from commands import Run
from embedseg.data import default_colour
from embedseg.images import Absolute, Fixed, Normalization, Percentile, ZScore, write_blobs
from embedseg.methods import METHODS, as_method
from embedseg.model import Config, ModelFolder, load_config
from embedseg.nets import NETS
from embedseg.segmenter import Segmenter
from embedseg.types import DataError, UsageError
from embedseg.zoo import About, export_model, import_model
from embedseg.zoo.architecture import build, described
from embedseg.zoo.description import PREPROCESSING, activation_of, inputs, outputs
from embedseg.zoo.example import COVER, make_example, paint_cover
from embedseg.zoo.exporters import EXPORTERS
from embedseg.zoo.importer import MODEL
from embedseg.zoo.readme import CITATIONS

Test = typing.TypeVar("Test", bound=Callable[..., None])
CROPS = {2: (32, 48), 3: (8, 16, 32)}
SPACINGS = {2: (0.5, 0.5), 3: (1.0, 0.5, 0.5)}
NARROW = {"erfnet": {"width": 0.25}}
SMALL = {name: NARROW.get(name, {"width": 4, "depth": 2}) for name in NETS}
METHOD_OPTIONS = {"semantic": {"names": ["ground", "cell"]}}


def config_of(
    ndim: int,
    *,
    net: str = "unet",
    method: str = "embedding",
    channels: int = 1,
    normalize: object = None,
) -> Config:
    options = METHOD_OPTIONS.get(method, {})
    classes = [
        {"name": name, "values": [k], "colour": default_colour(k)}
        for k, name in enumerate(options.get("names", ()))
    ]
    tree = {
        "ndim": ndim,
        "channels": channels,
        "spacing": SPACINGS[ndim],
        "spacing_known": True,
        "method": {"type": method, **options},
        "net": {"type": net, **SMALL[net]},
        "train": {"crop": CROPS[ndim]},
        "data": {"classes": classes or None},
    }
    return Config.model_validate(tree if normalize is None else tree | {"normalize": normalize})


def save(folder: Path, ndim: int = 2, **options: typing.Any) -> Path:
    """Save an untrained model whose maps are of some size."""
    model = Segmenter.new(config_of(ndim, **options), "cpu")
    with torch.no_grad():
        for layer in typing.cast(typing.Any, model.net).outputs:
            layer.weight.normal_()
    model.history = [{"epoch": 1.0, "val_ap_mean": 0.5}]
    model.save(folder)
    return folder


def in_package(path: Path, model: Path, **others: bytes) -> Path:
    """Zip a model as a package, with what the import does not look at left out."""
    with zipfile.ZipFile(path, "w") as file:
        for name in MODEL:
            if (model / name).is_file():
                file.write(model / name, name)
        for name, content in ({"rdf.yaml": b"type: model"} | others).items():
            file.writestr(name, content)
    return path


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "flat")


@pytest.fixture(scope="module")
def package(flat: Path) -> Path:
    return in_package(flat.parent / "package.zip", flat)


def image_of(config: Config) -> np.ndarray:
    shape = (config.channels, *(2 * n for n in config.train.crop))
    return np.random.default_rng(0).gamma(2, 50, shape).astype(np.float32)


# -- ONNX ------------------------------------------------------------------------------------------
NET_CASES = [(name, ndim) for name in NETS for ndim in NETS[name].ndims]


@pytest.mark.parametrize(
    ("name", "ndim"),
    [
        pytest.param(
            *case, marks=[] if case in {("unet", 2), ("unet2d3d", 3)} else pytest.mark.slow
        )
        for case in NET_CASES
    ],
)
def test_onnx_file_computes_the_same(name: str, ndim: int, tmp_path: Path) -> None:
    folder = save(tmp_path / "model", ndim, net=name, channels=2)
    assert export_model(folder, tmp_path / "net.onnx") == "onnx"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["model", "net.onnx"]
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    net = Segmenter.load(folder, "cpu").net.eval()
    for batch, factor in (1, 1), (3, 2):
        image = torch.randn(batch, 2, *(factor * n for n in CROPS[ndim]))
        (found,) = session.run(["maps"], {"image": image.numpy()})
        with torch.no_grad():
            expected = net(image).numpy()
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_onnx_file_holds_what_it_takes_to_use_it(flat: Path, tmp_path: Path, run: Run) -> None:
    assert run("export", flat, "-o", tmp_path / "a.onnx", "--name", "my net").code == 0
    meta = onnxruntime.InferenceSession(tmp_path / "a.onnx").get_modelmeta()
    facts = meta.custom_metadata_map
    assert Config.model_validate_json(facts["embedseg.config"]) == load_config(flat / "config.json")
    assert json.loads(facts["embedseg.divisor"]) == [4, 4]
    assert [each["name"] for each in json.loads(facts["embedseg.maps"])] == [
        "offset",
        "bandwidth",
        "seed",
    ]
    assert facts["embedseg.name"] == "my net" and "normalised" in meta.description
    again = run("export", flat, "-o", tmp_path / "a.onnx")
    assert again.code == 2 and "exists" in again.last


def test_net_is_built_from_plain_numbers(flat: Path) -> None:
    config = load_config(flat / "config.json")
    kwargs = json.loads(json.dumps(described(config)))
    build(**kwargs).load_state_dict(Segmenter.load(flat, "cpu").net.state_dict())


# -- what is described -----------------------------------------------------------------------------
NORMALS = {
    "percentile": Percentile(low=2, high=98),
    "clipped": Percentile(low=0, high=90, clip=True),
    "zscore": ZScore(),
    "absolute": Absolute(low=20, high=220),
    "unit": Absolute(low=0, high=1),
    "fixed": Fixed(limits=[(0, 100), (7, 7)], clip=True),
}


def done(steps: list[dict], image: np.ndarray) -> np.ndarray:
    """Apply described steps, written down literally from the standard, to (C, *space)."""
    for step in steps:
        kwargs, space = step["kwargs"], tuple(range(1, image.ndim))
        if step["id"] == "scale_range":
            assert len(kwargs["axes"]) == len(space)
            low, high = np.percentile(
                image, (kwargs["min_percentile"], kwargs["max_percentile"]), space, keepdims=True
            )
            image = (image - low) / (high - low + kwargs["eps"])
        elif step["id"] == "zero_mean_unit_variance":
            assert len(kwargs["axes"]) == len(space)
            image = (image - image.mean(space, keepdims=True)) / (
                image.std(space, keepdims=True) + kwargs["eps"]
            )
        elif step["id"] == "scale_linear":
            gain, offset = (
                np.reshape(kwargs[name], (-1, *(1 for _ in space))) for name in ("gain", "offset")
            )
            image = image * gain + offset
        else:
            assert step["id"] == "clip"
            image = image.clip(kwargs["min"], kwargs["max"])
    return image


@pytest.mark.parametrize("normal", NORMALS.values(), ids=NORMALS)
@pytest.mark.parametrize("ndim", [2, 3])
def test_described_steps_normalise_as_the_model_does(normal: typing.Any, ndim: int) -> None:
    config = config_of(ndim, channels=2, normalize=normal.model_dump(mode="json"))
    image = image_of(config)
    (described,) = inputs(config, (4,) * ndim, "a.npy")
    np.testing.assert_allclose(
        done(described["preprocessing"], image), normal.apply(image), rtol=1e-4, atol=1e-4
    )


def test_every_normalisation_can_be_described() -> None:
    kinds = typing.get_args(typing.get_args(Normalization)[0])
    assert {kind.model_fields["type"].default for kind in kinds} == set(PREPROCESSING)


def test_what_of_decoding_the_standard_knows() -> None:
    found = {
        name: activation_of(as_method({"type": name, **METHOD_OPTIONS.get(name, {})}).maps(2))
        for name in METHODS
    }
    assert found == {
        "affinity": "sigmoid",
        "boundary": "sigmoid",
        "embedding": "none",
        "semantic": "softmax",
    }


def test_axes_say_sizes_and_spacing() -> None:
    config = config_of(3)
    (given,) = inputs(config, (2, 4, 4), "a.npy")
    assert [(a["id"], a["scale"], a["unit"], a["size"]) for a in given["axes"][2:]] == [
        ("z", 1.0, "micrometer", {"min": 8, "step": 2}),
        ("y", 0.5, "micrometer", {"min": 16, "step": 4}),
        ("x", 0.5, "micrometer", {"min": 16, "step": 4}),
    ]
    (made,) = outputs(config, "b.npy")
    assert made["axes"][1]["channel_names"] == [
        "offset0",
        "offset1",
        "offset2",
        "bandwidth0",
        "bandwidth1",
        "bandwidth2",
        "seed",
    ]
    unknown = config.model_copy(update={"spacing_known": False})
    assert "unit" not in inputs(unknown, (2, 4, 4), "a.npy")[0]["axes"][2]


def test_citations_are_those_of_the_project() -> None:
    text = (Path(__file__).parents[2] / "CITATION.cff").read_text()
    assert len(CITATIONS) == text.count("- type: conference-paper") + text.count("- type: article")
    for entry in CITATIONS:
        place = entry.get("doi") or entry["url"].replace("https://arxiv.org/abs/", "arXiv:")
        assert place in text


# -- the example -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("ndim", "method"), [(2, "semantic"), (3, "boundary")])
def test_example_made_up_fits_the_net(ndim: int, method: str) -> None:
    config = config_of(ndim, method=method)
    net = Segmenter.new(config, "cpu").net.eval()
    example = make_example(config, typing.cast(typing.Any, net), "none", None)
    assert example.source == "synthetic blobs" and example.image.std() > 10
    space = example.image.shape[1:]
    assert all(n % d == 0 for n, d in zip(space, typing.cast(typing.Any, net).divisor, strict=True))
    assert example.output.shape[1:] == example.labels.shape == space
    with torch.no_grad():
        expected = net(torch.from_numpy(config.normalize.apply(example.image))[None])[0]
    np.testing.assert_array_equal(example.output, expected.numpy())
    cover = paint_cover(example, config)
    assert cover.shape == (COVER, 2 * COVER, 3) and cover.dtype == np.uint8
    assert cover[:, :COVER].std() > 10


def test_example_is_a_validation_image_or_a_plane_of_one(tmp_path: Path) -> None:
    write_blobs(tmp_path, 3, splits={"train": 1, "val": 1}, shape=(4, 30, 40))
    from embedseg.images import read_image

    config = config_of(2)
    net = typing.cast(typing.Any, Segmenter.new(config, "cpu").net.eval())
    example = make_example(config, net, "none", tmp_path)
    assert example.source.startswith("the image val0_z00")
    volume = read_image(tmp_path / "val/images/val0.tif").data
    # The middle of the plane, in multiples of 4.
    assert any(np.array_equal(plane[1:29], example.image[0]) for plane in volume)
    with pytest.raises(DataError, match=r"train0|val0.*1 channel"):
        make_example(config_of(2, channels=2), net, "none", tmp_path)


# -- what is refused -------------------------------------------------------------------------------
def test_bad_requests_say_what_is_wrong(flat: Path, tmp_path: Path, run: Run) -> None:
    assert run("export", flat, "-o", tmp_path / "a.h5").last.endswith(
        "a.h5: no format has this suffix; bioimageio ends with .zip, onnx with .onnx"
    )
    assert (
        "a.zip: bioimageio ends"
        in run("export", flat, "-o", tmp_path / "a.zip", "--to", "onnx").last
    )
    assert (
        "no format 'tflite'; there are bioimageio, onnx"
        in run("export", flat, "-o", tmp_path / "a.zip", "--to", "tflite").last
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no model here" in run("export", empty, "-o", tmp_path / "a.onnx").last
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_ensembles_are_exported_member_by_member(flat: Path, tmp_path: Path) -> None:
    from embedseg.model import join_models

    joined = join_models([flat, shutil.copytree(flat, tmp_path / "copy")], tmp_path / "joined")
    with pytest.raises(UsageError, match=r"is an ensemble.*one by one, from .*members"):
        export_model(joined, tmp_path / "a.onnx")


@pytest.mark.parametrize("kind", EXPORTERS)
def test_missing_libraries_are_named(
    kind: str, flat: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in EXPORTERS[kind].libraries:
        monkeypatch.setitem(sys.modules, library, None)
    found = run("export", flat, "-o", tmp_path / f"a{EXPORTERS[kind].suffix}")
    assert found.code == 2 and found.err.count("\n") == 1
    assert "pip install bioimageio.core onnx" in found.last


# -- import ----------------------------------------------------------------------------------------
def assert_same_model(one: Path, other: Path) -> None:
    for name in MODEL:
        assert (one / name).is_file() == (other / name).is_file()
        if (one / name).is_file():
            assert (one / name).read_bytes() == (other / name).read_bytes()
    before, after = Segmenter.load(one, "cpu"), Segmenter.load(other, "cpu")
    image = image_of(before.config)
    axes = "C" + "ZYX"[-before.config.ndim :]
    np.testing.assert_array_equal(
        before.predict(image, axes=axes).data, after.predict(image, axes=axes).data
    )


def test_a_package_gives_the_model_back(
    flat: Path, package: Path, tmp_path: Path, run: Run
) -> None:
    found = run("import", package, "-o", tmp_path / "back")
    assert found.code == 0 and "embedseg predict" in found.out
    assert_same_model(flat, tmp_path / "back")
    # Unpacked too; and nothing is written over unless that is asked for.
    with zipfile.ZipFile(package) as file:
        file.extractall(tmp_path / "unpacked")
    again = run("import", tmp_path / "unpacked", "-o", tmp_path / "back")
    assert again.code == 2 and "not empty" in again.last
    (tmp_path / "back" / "tuning.json").write_text("of another model")
    assert run("import", tmp_path / "unpacked", "-o", tmp_path / "back", "--overwrite").code == 0
    assert_same_model(flat, tmp_path / "back")


class Killed(BaseException):
    """Stands for a process that ends at once."""


def end_after(changes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the process before a change of names; then nothing changes any more."""
    left = [changes]

    def change(real: Callable[..., None], *args: typing.Any, **how: typing.Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        real(*args, **how)

    for name in ("rename", "replace", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, partial(change, getattr(os, name)))


# A killed process closes its files.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_killed_at_any_moment_a_whole_model_is_there(
    flat: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = save(tmp_path / "old", net="erfnet")
    (old / "tuning.json").write_text('{"words": "old", "trials": []}')
    found: list[str] = []
    while True:
        at = tmp_path / str(len(found))
        shutil.copytree(old, at)
        with monkeypatch.context() as patched:
            end_after(len(found), patched)
            try:
                import_model(package, at, overwrite=True)
                break
            except Killed:
                pass
        model = Segmenter.load(at, "cpu")
        found.append(model.config.net.type)
        assert (ModelFolder(at).trials() is None) == (model.config.net.type == "unet")
        import_model(package, at, overwrite=True)
        assert_same_model(flat, at)
        assert not [path for path in at.iterdir() if path.name.startswith(".")]
    # The old one, then the new one.
    assert found == sorted(found) and {*found} == {"erfnet", "unet"}
    assert_same_model(flat, at)


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil"])
def test_paths_that_lead_out_are_refused(name: str, flat: Path, tmp_path: Path) -> None:
    bad = in_package(tmp_path / "bad.zip", flat, **{name: b"x"})
    with pytest.raises(DataError, match="leads out of it"):
        import_model(bad, tmp_path / "in" / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


def test_links_that_lead_out_are_refused(flat: Path, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    shutil.copytree(flat, folder)
    (folder / "rdf.yaml").touch()
    (folder / "history.csv").unlink()
    (folder / "history.csv").symlink_to(flat / "history.csv")
    with pytest.raises(DataError, match=r"history.csv leads out of it"):
        import_model(folder, tmp_path / "back")


def test_code_of_a_package_is_not_run(flat: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n".encode()

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return exec, (code.decode(),)

    torch.save({"weight": Trap()}, tmp_path / "weights.pt")
    bad = in_package(
        tmp_path / "bad.zip",
        flat,
        **{
            "architecture.py": code,
            "embedseg.py": code,
            "safetensors.py": code,
            "weights.pt": (tmp_path / "weights.pt").read_bytes(),
        },
    )
    import_model(bad, tmp_path / "back")
    assert not mark.exists()
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == [
        "config.json",
        "history.csv",
        "weights.safetensors",
    ]


def test_other_files_are_refused_with_the_reason(flat: Path, tmp_path: Path, run: Run) -> None:
    def refused(path: Path) -> str:
        found = run("import", path, "-o", tmp_path / "back")
        assert found.code == 1 and not (tmp_path / "back").exists()
        return found.last

    foreign = tmp_path / "foreign.zip"
    with zipfile.ZipFile(foreign, "w") as file:
        file.writestr("rdf.yaml", "type: model")
        file.writestr("config.json", "{}")
    assert "not made by embedseg (weights.safetensors missing)" in refused(foreign)
    assert "no package of the BioImage Model Zoo" in refused(flat)
    assert "no such file" in refused(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("text")
    assert "no zip" in refused(tmp_path / "text.zip")
    other = save(tmp_path / "other", net="erfnet")
    shutil.copyfile(flat / "weights.safetensors", other / "weights.safetensors")
    mixed = in_package(tmp_path / "mixed.zip", other)
    assert f"{mixed}: the weights do not fit the net" in refused(mixed)


# -- packages of the zoo ---------------------------------------------------------------------------
def why_not() -> str:
    """Say what is missing to write packages here."""
    from embedseg.zoo.package import check_libraries

    try:
        check_libraries()
    except UsageError as error:
        return str(error)
    return ""


WHY_NOT = why_not()


def zoo(test: Test) -> Test:
    """Mark a test that writes packages; what bioimageio leaves open is not ours."""
    for mark in (
        pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "works"),
        pytest.mark.usefixtures("tidy"),
        pytest.mark.filterwarnings("ignore::ResourceWarning"),
        pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    ):
        test = mark(test)
    return test


@pytest.fixture
def tidy() -> Iterator[None]:
    """Close here what bioimageio leaves open, not in whichever test comes next."""
    yield
    gc.collect()


def exported(folder: Path, **about: typing.Any) -> Path:
    output = folder / "a.zip"
    export_model(folder / "model", output, about=About(**about))
    return output


@zoo
@pytest.mark.parametrize(
    ("ndim", "method", "normal"),
    [
        (2, "boundary", "clipped"),
        pytest.param(3, "embedding", "percentile", marks=pytest.mark.slow),
        pytest.param(2, "semantic", "zscore", marks=pytest.mark.slow),
        pytest.param(3, "semantic", "absolute", marks=pytest.mark.slow),
        pytest.param(2, "embedding", "fixed", marks=pytest.mark.slow),
    ],
)
def test_a_package_passes_the_zoos_test_and_comes_back(
    ndim: int, method: str, normal: str, tmp_path: Path
) -> None:
    from bioimageio.core import test_description
    from bioimageio.spec import load_model_description

    save(
        tmp_path / "model",
        ndim,
        method=method,
        channels=2,
        normalize=NORMALS[normal].model_dump(mode="json"),
    )
    output = exported(
        tmp_path,
        authors=("A. Author", "B. Author"),
        license="CC-BY-4.0",
        name="My model",
        description="What it does.",
    )
    assert test_description(output, determinism="seed_only").status == "passed"
    found = load_model_description(output)
    assert (found.name, found.description, found.license) == (
        "My model",
        "What it does.",
        "CC-BY-4.0",
    )
    assert [author.name for author in found.authors] == ["A. Author", "B. Author"]
    assert found.weights.onnx and found.weights.pytorch_state_dict and len(found.cite) == 3
    import_model(output, tmp_path / "back")
    assert_same_model(tmp_path / "model", tmp_path / "back")


@zoo
def test_a_package_that_does_not_reproduce_its_example_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedseg.zoo import description as describing

    save(tmp_path / "model")
    monkeypatch.setitem(describing.PREPROCESSING, "percentile", lambda normal, space: [])
    with pytest.raises(DataError, match=r"fails the test of bioimageio.core"):
        exported(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@zoo
@pytest.mark.parametrize(
    ("about", "words"), [({"name": "né"}, "name"), ({"license": "none of these"}, "license")]
)
def test_what_the_zoo_does_not_allow_is_said(
    about: dict[str, str], words: str, tmp_path: Path
) -> None:
    save(tmp_path / "model")
    with pytest.raises(UsageError, match=rf"not valid for the BioImage Model Zoo\n(.|\n)*{words}"):
        exported(tmp_path, **about)
