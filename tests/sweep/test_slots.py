"""Jobs that share a GPU run under NVIDIA MPS, with a stand-in for its daemon."""
import os
from pathlib import Path

import pytest

from openmix.sweep.jobs import Job
from openmix.sweep.slots import CPU, Slots, make_slots

JOB = Job("a/seed0", "c.py", 0, "w")
MPS = """#!/bin/sh
# a daemon: it runs while $NOTES.daemon is there
if [ "$1" = -d ]; then
  [ -z "$BROKEN" ] || exit 1
  echo "start $CUDA_VISIBLE_DEVICES $CUDA_MPS_PIPE_DIRECTORY $CUDA_MPS_LOG_DIRECTORY" >> "$NOTES"; touch "$NOTES.daemon"
  exit
fi
[ -e "$NOTES.daemon" ] || exit 1
if [ "$(cat)" = quit ]; then echo "quit $CUDA_MPS_PIPE_DIRECTORY" >> "$NOTES"; rm "$NOTES.daemon"; fi
"""
SMI = """#!/bin/sh
[ "$1" = -L ] && { echo "GPU 0: one (UUID: GPU-of-0)"; echo "GPU 1: one (UUID: GPU-of-1)"; exit; }
echo GPU-of-${1#--id=}
"""


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """``notes()``: what the daemon noted."""
    for name, text in {"nvidia-cuda-mps-control": MPS, "nvidia-smi": SMI}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return lambda: (tmp_path / "notes").read_text().splitlines() if (tmp_path / "notes").exists() else []


def test_mps_serves_the_shared_gpus_from_a_folder_of_its_own_and_ends_with_the_sweep(notes):
    slots = make_slots("0,1", 2)
    with slots.mps():
        (start,) = notes()
        word, devices, folder, logs = start.split()
        assert (word, devices, logs) == ("start", "GPU-of-0,GPU-of-1", folder) and Path(folder).is_dir()
        actual = slots.environment(JOB, ["1"])
        assert actual["CUDA_VISIBLE_DEVICES"] == "GPU-of-1" and actual["CUDA_MPS_PIPE_DIRECTORY"] == folder
    assert notes()[1:] == [f"quit {folder}"] and not Path(folder).exists()
    assert slots.environment(JOB, ["1"])["CUDA_VISIBLE_DEVICES"] == "1"


def test_mps_ends_after_an_error_too(notes):
    with pytest.raises(KeyboardInterrupt), make_slots("0", 2).mps():
        raise KeyboardInterrupt
    assert [note.split()[0] for note in notes()] == ["start", "quit"]


@pytest.mark.parametrize("slots", [Slots(["0", "1"]), Slots([CPU, CPU])], ids=["one a GPU", "CPU"])
def test_mps_is_for_shared_gpus_alone(slots, notes):
    with slots.mps():
        assert "CUDA_MPS_PIPE_DIRECTORY" not in slots.environment(JOB, slots.different)
    assert notes() == []


def test_mps_that_runs_already_is_used_and_left_alone(notes, tmp_path):
    (tmp_path / "notes.daemon").touch()
    with make_slots("0", 2).mps():
        pass
    assert notes() == [] and (tmp_path / "notes.daemon").exists()


def test_runs_take_turns_where_mps_does_not_start(notes, monkeypatch, capsys):
    monkeypatch.setenv("BROKEN", "1")
    slots = make_slots("0", 2)
    with slots.mps():
        assert slots.environment(JOB, ["0"])["CUDA_VISIBLE_DEVICES"] == "0"
    assert notes() == [] and "taking turns" in capsys.readouterr().err
