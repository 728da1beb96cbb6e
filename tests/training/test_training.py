"""The fit loop: what it may depend on, what it survives, and what it says when it cannot go on."""

import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from embedseg.common import Stopped
from embedseg.images import read_labels, write_blobs, write_labels
from embedseg.methods.embedding import Embedding
from embedseg.model import Config, ModelFolder, plan
from embedseg.model.fitting import read_training
from embedseg.segmenter import Segmenter
from embedseg.training import Run, TrainingProgress, ValidationResult, loop
from embedseg.training.batches import Batches
from embedseg.types import DataError, UsageError

TINY = {
    "net.width": 8,
    "net.depth": 2,
    "net.norm": "group",
    "train.batch": 4,
    "train.crop": "32,32",
    "train.steps_per_epoch": 5,
    "train.precision": "32-true",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("blobs")
    write_blobs(folder, 2, splits={"train": 4, "val": 2, "test": 1})
    return folder


def tiny(data: Path, **more) -> Config:
    return plan(data).changed(TINY | {name.replace("__", "."): v for name, v in more.items()})


def fitted(config: Config, data: Path, epochs: int = 4, **more) -> Segmenter:
    return Segmenter.new(config, "cpu").fit(
        data, epochs=epochs, **{"tune": False, "progress": False} | more
    )


def weights(model: Segmenter) -> dict[str, torch.Tensor]:
    return {name: value.float() for name, value in model.net.state_dict().items()}


def gap(one: Segmenter, other: Segmenter) -> float:
    pairs = zip(weights(one).values(), weights(other).values(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


# -- batches ---------------------------------------------------------------------------------------
def test_shares_of_processes_are_the_batch(data):
    config = tiny(data)
    samples, *_ = read_training(Segmenter.new(config, "cpu").predictor, data)
    whole, *shares = (
        Batches(samples, config.method, config.train, config.spacing, rank, world)
        for rank, world in ((0, 1), (0, 2), (1, 2))
    )
    batch, parts = whole.batch(7), [share.batch(7) for share in shares]
    assert torch.equal(batch.image, torch.cat([part.image for part in parts]))
    assert torch.equal(batch.targets["labels"], torch.cat([p.targets["labels"] for p in parts]))
    assert batch.sources == parts[0].sources + parts[1].sources
    assert {Path(source) for source in batch.sources} <= {sample.path for sample in samples}
    assert batch.image.is_contiguous(memory_format=torch.channels_last)
    ahead = whole.starting_at(6)
    next(ahead)
    assert torch.equal(next(ahead).image, batch.image)
    ahead.close()


def test_a_batch_may_come_in_parts(data):
    # Sums over two parts round differently, which Muon's orthogonal steps would magnify.
    adam = {"train__optimizer": "adamw", "train__learning_rate": 1e-3}
    whole = fitted(tiny(data, **adam), data)
    parts = fitted(tiny(data, train__batch=2, train__accumulate=2, **adam), data)
    other = fitted(tiny(data, train__batch=2, **adam), data)
    assert gap(whole, parts) < 1e-4 < gap(whole, other)
    assert whole.history[-1]["total"] == pytest.approx(parts.history[-1]["total"], rel=1e-4)


@pytest.mark.slow
def test_two_processes_train_like_one(data, tmp_path):
    # As above.
    config = tiny(data, train__optimizer="adamw", train__learning_rate=1e-3)
    one, two = fitted(config, data), fitted(config, data, devices=2, folder=tmp_path / "m")
    assert one.history[-1]["step"] == two.history[-1]["step"] == 20
    assert gap(one, two) < 1e-5
    assert gap(Segmenter.load(tmp_path / "m", "cpu"), two) == 0
    for key in ("instance", "seed", "total", "val_ap_mean"):
        assert one.history[-1][key] == pytest.approx(two.history[-1][key], rel=1e-4)
    # Processes that disagree on the last step would wait for each other for ever.
    limited = fitted(config, data, None, devices=2, time_limit="30s")
    assert limited.history[-1]["step"] >= 1


@pytest.mark.slow
def test_an_error_in_a_process_is_the_user_s(data, monkeypatch):
    config = tiny(data, train__steps_per_epoch=50, train__epochs=4)
    # A rate that options refuse, so that the loss breaks in every process.
    broken = config.train.model_copy(update={"learning_rate": 1e30})
    config = config.model_copy(update={"train": broken})
    with pytest.raises(DataError, match=r"the loss is nan .*\.tif"):
        fitted(config, data, None, devices=2)
    with pytest.raises(UsageError, match="cannot be shared by 3 devices"):
        fitted(config, data, None, devices=3)


# -- options ---------------------------------------------------------------------------------------
def test_half_precision_learns_the_same(data):
    full, half = (fitted(tiny(data, train__precision=p), data) for p in ("32-true", "bf16-mixed"))
    assert 0 < gap(full, half)
    assert full.history[-1]["total"] == pytest.approx(half.history[-1]["total"], rel=0.05)
    with pytest.raises(UsageError, match="16-mixed needs a GPU"):
        fitted(tiny(data, train__precision="16-mixed"), data)


@pytest.mark.gpu
def test_half_precision_resumes_with_its_scale(data, tmp_path):
    config = tiny(data, train__precision="16-mixed")
    Segmenter.new(config, "cuda").fit(data, epochs=2, folder=tmp_path / "m", progress=False)
    held = torch.load(tmp_path / "m" / "last.ckpt", weights_only=True)
    assert held["precision"]["scale"] > 1
    Segmenter.new(config, "cuda").fit(data, epochs=3, folder=tmp_path / "m", resume=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of torch itself
def test_a_translated_net_learns_the_same(data):
    plain, translated = (fitted(tiny(data, train__compile=c), data) for c in (False, True))
    start = Segmenter.new(tiny(data), "cpu")
    # Rounding grows where a pixel comes to lie on the other side of a kink of the loss.
    assert gap(plain, translated) < 0.1 * gap(start, plain)


def test_long_gradients_are_cut(data):
    start = Segmenter.new(tiny(data), "cpu")
    still, free = (
        fitted(tiny(data, train__clip=clip, train__weight_decay=0), data, 1)
        for clip in (1e-12, 1e12)
    )
    # Adam divides by the gradient's size plus 1e-8: far below that it does not move.
    assert gap(start, still) < 1e-5 < 1e-3 < gap(start, free)


def test_averaged_weights_are_kept_and_resumed(data, tmp_path, monkeypatch):
    config = tiny(data, train__average=0.9)
    seen = []
    step = loop.train_step

    def noting(run, *rest):
        done = step(run, *rest)
        seen.append({n: v.clone() for n, v in run.net.state_dict().items()})
        return done

    monkeypatch.setattr(loop, "train_step", noting)
    whole = fitted(config, data, 2)
    expected = seen[0]
    for count, current in enumerate(seen[1:], 1):
        share = 1 - min(0.9, (1 + count) / (10 + count))
        expected = {n: torch.lerp(v, current[n], share) for n, v in expected.items()}
    for name, value in whole.net.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    _cut(monkeypatch, step, 7)
    with pytest.raises(RuntimeError, match="power"):
        fitted(config, data, 2, folder=tmp_path / "m")
    monkeypatch.setattr(loop, "train_step", step)
    assert gap(fitted(config, data, 2, folder=tmp_path / "m", resume=True), whole) == 0


def test_validation_images_without_objects_choose_nothing(data, tmp_path, caplog):
    shutil.copytree(data, tmp_path / "data")
    for mask in (tmp_path / "data/val/masks").iterdir():
        write_labels(mask, np.zeros_like(read_labels(mask).data), None, "YX")
    _, val, _ = read_training(Segmenter.new(tiny(data), "cpu").predictor, tmp_path / "data")
    assert val == [] and "val: no mask holds an object" in caplog.text


@pytest.mark.parametrize(("stop", "due"), [(3, False), (7, False), (7, True)])
def test_the_loss_of_an_interrupted_epoch_is_that_of_all_its_steps(
    data, tmp_path, monkeypatch, stop, due
):
    monkeypatch.setattr(Run, "due", lambda run: due)
    config, limits = tiny(data), {"time_limit": 1e6, "epochs": 2}

    def interrupt(now: TrainingProgress) -> None:
        if now.step == stop:
            raise Stopped

    whole = fitted(config, data, **limits).history
    fitted(config, data, **limits, folder=tmp_path / "m", watch=interrupt)
    resumed = fitted(config, data, **limits, folder=tmp_path / "m", resume=True).history
    assert [row["step"] for row in resumed] == [5, 10]
    for row, other in zip(resumed, whole, strict=True):
        for name in ("epoch", "rate", "total"):
            assert row[name] == other[name]


def test_training_stops_when_validation_gets_no_better(data, monkeypatch):
    scores = iter([0.1, 0.3, 0.2, 0.3, *[0.25] * 50])
    monkeypatch.setattr(
        loop,
        "validate",
        lambda *_, **__: ValidationResult({"ap_mean": next(scores), "ap_50": 0.0}, []),
    )
    model = fitted(tiny(data, train__patience=0.32), data, 20)
    # Best at epoch 2; more than 32 % of 20 epochs later is epoch 9.
    assert [row["epoch"] for row in model.history][-1] == 9
    monkeypatch.setattr(loop, "validate", lambda *_, **__: ValidationResult({"ap_mean": 0.0}, []))
    assert len(fitted(tiny(data, train__patience=0.32), data, 20).history) == 20


def test_tensorboard_is_an_option(data, tmp_path):
    pytest.importorskip("tensorboard")
    fitted(tiny(data, train__tensorboard=True), data, 2, folder=tmp_path / "m")
    assert list((tmp_path / "m" / "tensorboard").glob("events.*"))


def test_who_watches_is_told_each_step_and_may_stop(data, tmp_path):
    config, told = tiny(data), []
    whole = fitted(config, data, 2, watch=told.append)
    assert [standing.step for standing in told] == [*range(1, 11), 10]
    assert told[-1].history == tuple(whole.history) and told[-1].progress == 1
    looks = [standing.validation for standing in told if standing.validation]
    assert len(looks) == 2  # each once
    assert {sample.name for sample, _ in looks[0].shown} <= {"val0", "val1"}

    def stop(standing):
        if standing.step == 7:
            raise Stopped

    folder = tmp_path / "m"
    stopped = fitted(config, data, 2, folder=folder, watch=stop)
    assert len(stopped.history) == 1
    assert gap(Segmenter.load(folder, "cpu"), stopped) == 0
    assert gap(fitted(config, data, 2, folder=folder, resume=True), whole) == 0
    # Before the first validation there is nothing to keep yet: it is made up for.
    early = fitted(config, data, 2, watch=lambda standing: stop(TrainingProgress(0, 7, (), None)))
    assert [row["step"] for row in early.history] == [1]
    with pytest.raises(UsageError, match="cannot be watched"):
        fitted(config, data, devices=2, watch=told.append)


@pytest.mark.parametrize(("watched", "first"), [(False, 0.4), (True, 0.05)])
def test_who_watches_sees_images_soon(data, watched, first):
    config = tiny(data)
    run = Run(
        Segmenter.new(config, "cpu").net,
        config.method,
        config.train,
        config.spacing,
        [],
        [],
        limit=100.0,
        watch=print if watched else None,
    )
    looks = []
    for spent in range(100):
        run.state.spent = float(spent)
        if run.due():
            run.state.validating += 1
            looks.append(spent)
    assert looks[0] == pytest.approx(100 * first, abs=1) and run.state.validating <= 5


# -- what a run leaves, and what it survives -------------------------------------------------------
def test_pictures_are_always_drawn(data, tmp_path):
    from matplotlib.image import imread

    fitted(tiny(data), data, 1, folder=tmp_path / "m")
    for name in ("history.png", "preview.png"):
        picture = imread(tmp_path / "m" / name)
        assert picture.shape[0] > 100 and np.ptp(picture[..., :3]) > 0.5


def test_a_loss_that_is_no_number_names_the_images(data, tmp_path, monkeypatch):
    config, calls, loss = tiny(data), [], Embedding.loss

    def broken(self, *rest):
        calls.append(1)
        parts = loss(self, *rest)
        return parts if len(calls) != 8 else {n: v * torch.nan for n, v in parts.items()}

    monkeypatch.setattr(Embedding, "loss", broken)
    with pytest.raises(DataError, match=r"the loss is nan at step 8.*train\d\.tif") as error:
        fitted(config, data, folder=tmp_path / "m")
    named = str(error.value)
    assert all(name.is_file() for name in data.rglob("images/*.tif") if name.name in named)
    assert torch.load(tmp_path / "m" / "last.ckpt", weights_only=True)["step"] == 5
    monkeypatch.setattr(Embedding, "loss", loss)
    resumed = fitted(config, data, folder=tmp_path / "m", resume=True)
    assert gap(resumed, fitted(config, data)) == 0


def test_resuming_what_never_began_begins_it(data, tmp_path):
    config, folder = tiny(data), tmp_path / "m"
    whole = fitted(config, data, 1)
    assert gap(fitted(config, data, 1, folder=folder, resume=True), whole) == 0
    for name in ("last.ckpt", "history.csv"):  # killed after the settings were written
        (folder / name).unlink()
    (folder / ".last.ckpt.1.part").write_bytes(b"half")
    assert gap(fitted(config, data, 1, folder=folder, resume=True), whole) == 0
    assert not list(folder.glob(".*"))
    (folder / "last.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match=r"last\.ckpt: not a checkpoint"):
        fitted(config, data, 1, folder=folder, resume=True)


def test_losses_are_read_of_many_steps_together(data, tmp_path, monkeypatch):
    config, read, asked = tiny(data, train__steps_per_epoch=25), [], []
    step, tolist, loss = loop.train_step, torch.Tensor.tolist, Embedding.loss

    class Asked(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            asked.append(str(function))
            return function(*args, **(kwargs or {}))

    def watched(*args):
        with Asked():
            return step(*args)

    def reading(values):
        read.append(len(values))
        return tolist(values)

    monkeypatch.setattr(loop, "train_step", watched)
    monkeypatch.setattr(torch.Tensor, "tolist", reading)
    fitted(config, data, 1)
    assert read == [4 * loop.READ_EVERY, 4 * loop.READ_EVERY, 20, 4]  # and means of the epoch
    assert "aten.tanh.default" in asked and "aten._local_scalar_dense.default" not in asked

    # One that is no number is told by its step, before anything of it is kept.
    def broken(self, *rest):
        asked.append("loss")
        parts = loss(self, *rest)
        return parts if asked.count("loss") != 23 else {n: v * torch.inf for n, v in parts.items()}

    monkeypatch.setattr(Embedding, "loss", broken)
    with pytest.raises(DataError, match="the loss is inf at step 23"):
        fitted(config, data, 1, folder=tmp_path / "m")
    assert asked.count("loss") == 25 and not (tmp_path / "m").exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_old_model_is_lost_only_to_a_new_one(data, tmp_path, monkeypatch):
    config, folder, step = tiny(data), tmp_path / "m", loop.train_step
    old = fitted(config, data, 1, folder=folder)
    before = contents(folder)
    other = config.changed({"train.seed": 1})
    _cut(monkeypatch, step, 3)
    with pytest.raises(RuntimeError, match="power"):
        fitted(other, data, 1, folder=folder, overwrite=True)
    with pytest.raises(RuntimeError, match="power"):
        fitted(other, data, 1, folder=tmp_path / "new")
    monkeypatch.setattr(loop, "train_step", step)
    for wrong in ({"train.batch": 3}, {"train.start": str(tmp_path / "nowhere")}):
        with pytest.raises(UsageError):
            fitted(other.changed(wrong), data, 1, folder=folder, overwrite=True, devices=2)
    assert contents(folder) == before and not (tmp_path / "new").exists()
    onward = other.changed({"train.start": str(folder)})
    new = fitted(onward, data, 1, folder=folder, overwrite=True)
    assert gap(Segmenter.load(folder, "cpu"), new) == 0 < gap(old, new)
    assert ModelFolder(folder).config().train.seed == 1


def test_resuming_checks_before_it_writes(data, tmp_path):
    config, folder = tiny(data), tmp_path / "m"
    fitted(config, data, 1, folder=folder)
    shutil.copytree(data, tmp_path / "more")
    for kind in ("images", "masks"):
        split = tmp_path / "more" / "train" / kind
        shutil.copy(split / "train0.tif", split / "another.tif")
    before = contents(folder)
    with pytest.raises(UsageError, match="not there: train another"):
        fitted(config, tmp_path / "more", 2, folder=folder, resume=True)
    with pytest.raises(UsageError, match=r"train\.seed 0, not 1"):
        fitted(config.changed({"train.seed": 1}), data, 2, folder=folder, resume=True)
    assert contents(folder) == before
    (folder / "last.ckpt").write_bytes(before["last.ckpt"][:5000])
    with pytest.raises(DataError, match=r"last\.ckpt: not a checkpoint"):
        fitted(config, data, 2, folder=folder, resume=True)
    assert (folder / "config.json").read_bytes() == before["config.json"]


def test_weights_that_are_no_numbers_are_not_kept(data, tmp_path, monkeypatch):
    step = loop.train_step

    def breaking(run, *rest):
        done = step(run, *rest)
        with torch.no_grad():
            next(run.net.parameters()).fill_(torch.inf)
        return done

    monkeypatch.setattr(loop, "train_step", breaking)
    config = tiny(data, train__steps_per_epoch=1)
    with pytest.raises(DataError, match="are NaN or infinite after step 1"):
        fitted(config, data, 1, folder=tmp_path / "m")
    monkeypatch.setattr(loop, "train_step", step)
    scores = ValidationResult({"ap_mean": float("nan")}, [])
    monkeypatch.setattr(loop, "validate", lambda *_, **__: scores)
    with pytest.raises(DataError, match="ap_mean of the validation images is nan"):
        fitted(config, data, 1, folder=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def _cut(monkeypatch, step, at: int) -> None:
    def stop(run, *rest):
        if run.state.step == at:
            raise RuntimeError("the power is out")
        return step(run, *rest)

    monkeypatch.setattr(loop, "train_step", stop)


#: Trains; with an argument, is killed while it writes that checkpoint.
PROGRAM = textwrap.dedent("""
    import os, signal, sys, torch
    from embedseg.model import load_config
    from embedseg.segmenter import Segmenter

    torch.set_num_threads(1)
    data, config, folder, *at = sys.argv[1:]
    save, saved = torch.save, []

    def halfway(held, path):
        saved.append(path)
        save(held, path)
        if at and str(path).endswith(".part") and len(saved) == int(at[0]):
            with open(path, "r+b") as file:
                file.truncate(os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = halfway
    Segmenter.new(load_config(config), "cpu").fit(
        data, epochs=30, folder=folder, resume=True, tune=False, progress=False)
""")


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_in_the_same_weights(data, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(tiny(data, train__average=0.9).model_dump_json())

    def start(folder: str, *at: int) -> subprocess.Popen:
        command = [sys.executable, "-c", PROGRAM, data, config, tmp_path / folder, *at]
        return subprocess.Popen(list(map(str, command)), cwd=Path(__file__).parents[2])

    def result(folder: str) -> bytes:
        assert start(folder).wait() == 0
        assert not list((tmp_path / folder).glob(".*"))
        return (tmp_path / folder / "weights.safetensors").read_bytes()

    def first(folder: str) -> subprocess.Popen:
        # Running, and just past its first checkpoint: when that is depends on the machine.
        process = start(folder)
        while not (tmp_path / folder / "last.ckpt").exists():
            assert process.poll() is None
            time.sleep(0.01)
        return process

    def killed(folder: str, after: float) -> bool:
        process = first(folder)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
        return False

    whole = result("whole")
    process, begun = first("again"), time.monotonic()
    assert process.wait() == 0
    left = time.monotonic() - begun
    rng, midway = np.random.default_rng(0), 0
    for moment in range(8):
        folder = f"moment {moment}"
        midway += killed(folder, rng.uniform(0, 0.9) * left)
        assert result(folder) == whole
    assert midway >= 3
    for nth in (1, 20):
        assert start(f"write {nth}", nth).wait() == -signal.SIGKILL
        assert list((tmp_path / f"write {nth}").glob(".last.ckpt.*.part"))
        assert result(f"write {nth}") == whole
