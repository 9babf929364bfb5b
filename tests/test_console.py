"""How tools end: quietly when nobody reads on, in one line after wrong input."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmix import console
from openmix.errors import InputError
from openmix.sweep.jobs import Job, write_list
from tests.results.made import last_ten, make_run

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("line", [
    "model_zoo.py runs", "model_zoo.py runs --format csv", "compare.py runs/a runs/b", "report.py runs",
    "rerun.py runs/a --dry-run", "sweep.py status s"])
def test_a_closed_pipe_ends_a_tool_quietly(line, tmp_path):
    for name, mixup in (("a", "type='MixUp'"), ("b", "type='CutMix'")):
        make_run(tmp_path / "runs" / name / "seed0", mixup, curve=last_ten(80.0))
    (tmp_path / "configs/sweeps/s").mkdir(parents=True)
    write_list(tmp_path / "configs/sweeps/s/runs.json", [Job("a/seed0", "c.py", 0, "w")])
    reader, writer = os.pipe()
    os.close(reader)
    tool, *arguments = line.split()
    done = subprocess.run([sys.executable, str(ROOT / "tools" / tool), *arguments], cwd=tmp_path, stdout=writer,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_is_one_line_without_control_characters(capsys):
    def fail():
        raise InputError("a\nb\x1b[2J")
    assert console.run(fail) == 2 and capsys.readouterr().err == "error: a b\\x1b[2J\n"
    assert console.run(lambda: 1) == 1
