"""Exit codes and last lines, as scripts rely on them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands import Run, broken
from embedseg.cli import main


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["nonsense"], "nonsense"),
        (["train", "DATA"], "--output"),
        (["check", "no/such/folder"], "no/such/folder"),
        (["check", "DATA", "--method", "magic"], "magic.*embedding"),
        (["check", "DATA", "--spacing", "2,x"], "2,x.*2,0.5,0.5"),
        (["check", "DATA", "--spacing", "0,1"], "positive"),
        (["plan", "DATA", "--net", "magic"], "magic.*erfnet.*unet"),
        (["plan", "DATA", "--ndim", "3"], "3"),
        (["plan", "DATA", "--set", "train.nonsense=1"], "train.nonsense.*batch"),
        (["plan", "DATA", "--set", "train.batch=0"], r"train\.batch.*greater"),
        (["plan", "DATA", "--set", "train.batch"], "KEY=VALUE"),
        (["train", "DATA", "-o", "OUT", "--time-limit", "15"], "'15' has no unit.*15m"),
        (["plan", "DATA", "--memory", "lots"], "lots.*4GB or 800MB"),
        (["plan", "DATA", "--memory", "1MB"], "takes at least"),
        (["train", "DATA", "-o", "OUT", "--from", "DATA"], "config.json"),
        (["train", "DATA", "-o", "OUT", "--time-limit", "soon"], "soon.*1h30m"),
        (["train", "DATA", "-o", "OUT", "--resume", "--overwrite"], "choose one"),
        (["train", "DATA", "-o", "DATA", "--resume"], "is an input too"),
        (["train", "DATA", "-o", "OUT", "--devices", "3", "--set", "train.batch=4"], "3 devices"),
        (["train", "DATA", "-o", "DATA"], "is an input too"),
        (["train", "DATA", "-o", "OUT", "--device", "abacus"], "abacus"),
        (["predict", "DATA", "DATA/test/images", "-o", "OUT"], "no model here"),
        (["demo", "-o", "DATA"], "not empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage_is_2(args: list[str], found: str, data: Path, tmp_path: Path, run: Run) -> None:

    names = {"DATA": str(data), "OUT": str(tmp_path / "OUT")}
    done = run(*(arg.replace("DATA", names["DATA"]).replace("OUT", names["OUT"]) for arg in args))
    assert (done.code, done.out) == (2, "")
    assert re.search(found, done.err)
    assert done.last.lower().startswith("error: ")


def test_bad_data_is_1_with_the_findings_above(data: Path, tmp_path: Path, run: Run) -> None:
    bad = broken(data, tmp_path / "bad")
    for args in (["check", bad], ["plan", bad], ["train", bad, "-o", tmp_path / "model"]):
        done = run(*args)
        assert done.code == 1
        assert done.last.startswith("error: ")
        findings = (done.out + done.err).split(done.last)[0]
        assert "file without partner" in findings
        assert "unreadable image" in findings
    assert not (tmp_path / "model").exists()


def test_traceback_is_for_debugging(data: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("embedseg.data.check_folder", fail)
    done = run("check", data)
    assert done.code == 1
    assert done.last == "error: RuntimeError: a bug (not foreseen; --debug shows where)"
    with pytest.raises(RuntimeError, match="a bug"):
        main(["check", str(data), "--debug"])
    monkeypatch.setenv("EMBEDSEG_DEBUG", "1")
    with pytest.raises(RuntimeError, match="a bug"):
        main(["check", str(data)])


# -- Ctrl-C ----------------------------------------------------------------------------------------
def test_ctrl_c_says_what_was_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from embedseg.cli import app, score

    assert set(app.KEPT) == set(app.COMMANDS)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(score, "given_options", interrupt)
    done = run("score", tmp_path, tmp_path)
    assert (done.code, done.last) == (130, "interrupted: nothing was written")
