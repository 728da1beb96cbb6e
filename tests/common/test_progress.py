"""Progress in a terminal, by callbacks, and in a file of messages."""

import logging

from embedseg.common import open_bar, progress


def test_a_file_gets_a_line_a_minute(caplog, monkeypatch):
    caplog.set_level(logging.INFO, "embedseg")
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with open_bar(True, "segment", "block", total=1000, initial=100) as bar:
        for _ in range(900):
            now += 5.0
            bar.update()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 75  # 4500 seconds
    assert lines[0] == "segment: 112 of 1000 blocks, about 1 h 14 min left"
    assert lines[-1] == "segment: 1000 of 1000 blocks, about 0 min left"


def test_short_work_leaves_no_line(caplog):
    caplog.set_level(logging.INFO, "embedseg")
    with open_bar(True, "segment", "block", total=10) as bar:
        bar.update(10)
    assert not caplog.records
