"""The folder of a model: an old one stays until the new one is whole; one process at a time."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from embedseg.common import lock_folder
from embedseg.model import ModelFolder
from embedseg.model.folder import ASIDE, NEXT, Making
from embedseg.nets import WEIGHTS, load_weights, save_weights
from embedseg.types import DataError, UsageError


def fill(folder: Path, word: str, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(word)


def held(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir() if p.is_file()}


class Killed(BaseException):
    """Stands for a process that ends at once."""


def killed_at(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """End the process before the nth change of a name."""
    done = []

    def guarded(change):
        def changed(*args, **more):
            if len(done) == at:
                raise Killed
            done.append(1)
            return change(*args, **more)

        return changed

    for name in ("replace", "rename", "unlink", "rmdir"):
        monkeypatch.setattr(Path, name, guarded(getattr(Path, name)))


@pytest.mark.parametrize("at", range(10))
def test_killed_at_any_moment_one_model_is_there(tmp_path, monkeypatch, at):
    folder = ModelFolder(tmp_path / "m")
    fill(folder.path, "old", "config.json", WEIGHTS, "last.ckpt", "tuning.json")
    fill(folder.path / "members" / "1-a", "old", WEIGHTS)
    fill(folder.path, "[]", "ensemble.json")
    fill(folder.aside(), "new", "config.json", WEIGHTS, "history.csv")
    with monkeypatch.context() as patched:
        killed_at(patched, at)
        try:
            folder.publish()
        except Killed:
            pass
    names = ("config.json", WEIGHTS)
    assert len({folder._file(name).read_text() for name in names}) == 1
    new = folder._file("config.json").read_text() == "new"
    assert folder._file("ensemble.json").is_file() != new
    with folder.locked():
        pass
    if new:
        assert held(folder.path) == dict.fromkeys(["config.json", WEIGHTS, "history.csv"], "new")
        assert not (folder.path / "members").exists() and not (folder.path / NEXT).exists()
    else:
        assert set(held(folder.path)) > {"config.json", "last.ckpt", "ensemble.json"}


def test_an_old_model_stays_until_there_are_weights(tmp_path):
    folder = ModelFolder(tmp_path / "m")
    assert Making.plan(folder, None, False).work == folder.path
    fill(folder.path, "old", "config.json", WEIGHTS)
    making = Making.plan(folder, None, False)
    fill(making.work, "new", "config.json")
    assert making.work == folder.path / ASIDE and folder._file(WEIGHTS).read_text() == "old"
    making.abandon()
    assert not making.work.exists() and set(held(folder.path).values()) == {"old"}
    fill(making.work, "new", "config.json", "last.ckpt")
    making.abandon()  # a checkpoint can be resumed
    assert folder.unfinished().path == making.work
    fill(making.work, "new", WEIGHTS)
    assert making.publish() == making.publish() == folder.path
    assert set(held(folder.path).values()) == {"new"} and folder.unfinished() == folder


def test_what_a_killed_process_left_blocks_nothing(tmp_path):
    folder = ModelFolder(tmp_path / "m")
    fill(folder.aside(), "half", "config.json")
    fill(folder.path, "", ".lock", ".config.json.1.part")
    folder.check_free()
    with folder.locked():
        assert not list(folder.path.glob("*.part"))
    fill(folder.path, "mine", "notes.txt")
    with pytest.raises(UsageError, match="exists and is not empty"):
        folder.check_free()


def test_two_processes_do_not_share_a_folder(tmp_path):
    code = (
        "import sys; from pathlib import Path; from embedseg.common import lock_folder\n"
        "with lock_folder(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, tmp_path / "m"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as other:
        assert other.stdout is not None and other.stdout.readline().strip() == b"held"
        with pytest.raises(UsageError, match="m: another process"), lock_folder(tmp_path / "m"):
            pass
        other.kill()
    with lock_folder(tmp_path / "m"):
        pass
    assert not list((tmp_path / "m").iterdir())


def test_damaged_weights_are_told(tmp_path):
    from safetensors.torch import save_file

    path, values = tmp_path / WEIGHTS, {"a": torch.arange(64.0), "n": torch.tensor(3)}
    save_weights(values, path)
    assert load_weights(path)["n"] == 3
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(DataError, match=rf"{WEIGHTS}: the weights are damaged"):
        load_weights(path)
    save_file(values, path)  # of an earlier version: without a checksum
    assert load_weights(path)["n"] == 3
    save_file({"a": torch.tensor([1.0, torch.nan])}, path)
    with pytest.raises(DataError, match=rf"{WEIGHTS}: the weights a are NaN"):
        load_weights(path)


def test_copies_leave_out_what_is_being_made(tmp_path):
    folder = ModelFolder(tmp_path / "m")
    fill(folder.path, "old", "config.json", WEIGHTS)
    before = folder.fingerprint()
    fill(folder.aside(), "new", "config.json", WEIGHTS)
    assert folder.fingerprint() == before and folder.weights_files() == [folder.path / WEIGHTS]
    shutil.rmtree(folder.path / ASIDE)


def test_a_complete_model_without_a_checkpoint_is_not_resumed(tmp_path):
    folder = ModelFolder(tmp_path / "m")
    folder.check_free(resume=True)
    fill(folder.path, "old", "config.json")
    folder.check_free(resume=True)  # begun, and ended before its first checkpoint
    fill(folder.path, "old", WEIGHTS)
    folder.check_free(resume=True)  # so it is with the first weights
    (folder.path / WEIGHTS).unlink()
    for names in ((WEIGHTS, "history.csv"), (WEIGHTS, "tuning.json"), ("ensemble.json",)):
        fill(folder.path, "old", *names)
        with pytest.raises(UsageError, match=r"m: .*without last\.ckpt.*--from .*m, or .*--overwr"):
            folder.check_free(resume=True)
        for name in names:
            (folder.path / name).unlink()
    fill(folder.path, "old", WEIGHTS, "last.ckpt")
    folder.check_free(resume=True)
    assert set(held(folder.path).values()) == {"old"}


def test_only_a_model_is_replaced(tmp_path):
    folder = ModelFolder(tmp_path / "m")
    fill(folder.path, '{"mine": 1}', "config.json")
    with pytest.raises(UsageError, match=r"m: holds config\.json, which embedseg did not write"):
        folder.check_free(overwrite=True)
    fill(folder.path, '{"method": {}, "net": {}}', "config.json")
    fill(folder.path, "mine", "notes.txt")
    folder.check_free(overwrite=True)  # notes stay
    fill(folder.path / "members" / "1-a", "old", WEIGHTS, "halo.json")
    folder.check_free(overwrite=True)
    fill(folder.path / "members" / "1-a", "mine", "notes.txt")
    with pytest.raises(UsageError, match=r"m: holds members/1-a/notes\.txt, which embedseg did"):
        folder.check_free(overwrite=True)


def test_a_folder_of_others_does_not_become_a_model(tmp_path):
    folder = ModelFolder(tmp_path / "data")
    fill(folder.path / "train" / "images", "mine", "a.tif")
    with pytest.raises(UsageError, match="data: holds train, which embedseg did not write"):
        folder.check_free(overwrite=True)
    shutil.rmtree(folder.path)
    fill(folder.path / "members" / "mine", "mine", "a.txt")
    with pytest.raises(UsageError, match="data: holds members, which embedseg did not write"):
        folder.check_free(overwrite=True)
    folder = ModelFolder(tmp_path / "m")
    folder.aside().mkdir(parents=True, exist_ok=True)
    (folder.path / "last.ckpt").write_text("")
    folder.check_free(overwrite=True)  # of a training that was killed
