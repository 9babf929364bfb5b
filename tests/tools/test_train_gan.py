"""The command of the toy GAN: runs, a picture, a table; again, it repeats nothing."""
import json
import runpy
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "train_gan.py"


def call(monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, args)])
    runpy.run_path(str(TOOL), run_name="__main__")


def test_runs_leave_results_pictures_and_a_table_and_are_not_repeated(tmp_path, monkeypatch, capsys):
    args = ["ring", "--steps", 12, "--width", 16, "--seeds", 2, "--alpha", 0.2, "--out", tmp_path]
    call(monkeypatch, *args)
    text = capsys.readouterr().out
    assert "| ring | paper | 16 | 0.2 | 12 | 2 |" in text and " ± " in text
    folder = tmp_path / "ring_paper_alpha0.2_width16_steps12_seeds2"
    result = json.loads((folder / "gan.json").read_text())
    assert [entry["step"] for entry in result["history"]] == [10, 12] and result["settings"]["alpha"] == 0.2
    assert (folder / "samples.png").read_bytes()[:4] == b"\x89PNG"
    before = (folder / "gan.json").stat().st_mtime_ns
    call(monkeypatch, *args)
    assert (folder / "gan.json").stat().st_mtime_ns == before and capsys.readouterr().out == text


def test_a_run_that_stops_at_a_step_goes_on_from_there(tmp_path, monkeypatch, capsys):
    args = ["ring", "--steps", 14, "--width", 16, "--alpha", 0, "--out", tmp_path]
    folder = tmp_path / "ring_paper_alpha0_width16_steps14_seeds1"
    call(monkeypatch, *args, "--until", 10)
    first = json.loads((folder / "gan.json").read_text())
    assert first["step"] == 10 and [entry["step"] for entry in first["history"]] == [10]
    call(monkeypatch, *args)
    second = json.loads((folder / "gan.json").read_text())
    assert second["history"][0] == first["history"][0] and second["step"] == second["history"][1]["step"] == 14


def test_wrong_settings_end_in_one_line(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as exit:
        call(monkeypatch, "ring", "--steps", 0, "--out", tmp_path)
    assert exit.value.code == 2 and capsys.readouterr().err.startswith("error: steps")


@pytest.mark.parametrize("until", [0, -3])
def test_a_step_before_the_first_is_refused_and_trains_nothing(until, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as exit:
        call(monkeypatch, "ring", "--until", until, "--out", tmp_path)
    assert exit.value.code == 2 and "--until must be a step of at least 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
