"""Curves of a training, and its log for TensorBoard."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from embedseg.training import save_history
from embedseg.training.tensorboard import Board
from embedseg.types import UsageError

ROWS = [
    {"epoch": 1.0, "step": 10.0, "minutes": 0.1, "rate": 1e-3, "total": 2.0},
    {"epoch": 2.0, "step": 20.0, "minutes": 0.2, "rate": 1e-3, "total": 1.0, "val_ap_mean": 0.5},
]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [], [ROWS[0] | {"total": np.nan}]])
def test_curves_are_drawn_of_whatever_there_is(
    rows: list[dict[str, float]], tmp_path: Path
) -> None:
    save_history(tmp_path / "new" / "history.png", rows)
    assert imread(tmp_path / "new" / "history.png").shape[1] == 1400
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["history.png"]


def test_the_log_holds_what_the_history_does(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = Board(tmp_path)
    for row in ROWS:
        board.row(row)
    save_history(tmp_path / "history.png", ROWS)
    board.picture("preview", tmp_path / "history.png", 20)
    board.close()
    log = EventAccumulator(str(tmp_path)).Reload()
    assert set(log.Tags()["scalars"]) == {
        "train/minutes",
        "train/rate",
        "train/total",
        "val/ap_mean",
    }
    assert [(e.step, e.value) for e in log.Scalars("train/total")] == [(10, 2.0), (20, 1.0)]
    assert log.Tags()["images"] == ["preview"]


def test_without_tensorboard_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install tensorboard"):
        Board(tmp_path / "log")
    board = Board(None)
    board.row(ROWS[0])
    board.picture("preview", tmp_path / "none.png", 1)
    board.close()
    assert not list(tmp_path.iterdir())
