"""Pictures that commands draw."""

from __future__ import annotations

import shutil
from pathlib import Path

from matplotlib.image import imread

from commands import Run


def test_pictures_are_drawn_where_they_are_asked_for(
    model: Path, data: Path, tmp_path: Path, run: Run
) -> None:
    own, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(model, own)
    truth = data / "test/masks"
    asked = [
        ("check", data),
        ("plan", data),
        ("tune", own, data),
        ("info", own),
        ("evaluate", own, data),
        ("score", truth, truth),
        ("convert", next(truth.iterdir()), "-o", tmp_path / "c.csv"),
    ]
    for command, *rest in asked:
        assert run(command, *rest, "--plot", tmp_path / f"{command}.png").code == 0
        assert imread(tmp_path / f"{command}.png").std() > 0.02
    assert run("info", own, "--plot", tmp_path / "i.txt").last == (
        f"error: --plot {tmp_path / 'i.txt'}: pictures end with .png, .pdf, .svg"
    )
    assert run("predict", own, data / "test/images", "-o", out, "--plot").code == 0
    stems = sorted(path.stem for path in (data / "test/images").iterdir())
    assert sorted(path.name for path in (out / "plots").iterdir()) == sorted(
        f"{stem}{more}.png" for stem in stems for more in ("", "_maps")
    )
    plain = tmp_path / "plain"
    assert run("predict", own, data / "test/images", "-o", plain).code == 0
    for stem in stems:
        assert (out / f"{stem}.tif").read_bytes() == (plain / f"{stem}.tif").read_bytes()
