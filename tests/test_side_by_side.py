"""tools/side_by_side.sh with stubs in place of Python and of NVIDIA's MPS, and once for real."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.tiny import ROOT, config, dump

SCRIPT = ROOT / "tools/side_by_side.sh"

RUN = """#!/usr/bin/env bash
# a run: notes its beginning and its end in $NOTES; bad.py fails, long.py waits for a signal
note() { echo "$1 $name" >> "$NOTES"; }
shift; name=$(basename "$1" .py); note start
echo "$* threads=$OMP_NUM_THREADS mps=${CUDA_MPS_PIPE_DIRECTORY:-none} gpu=${CUDA_VISIBLE_DEVICES:-none}"
for signal in INT TERM; do trap "note $signal; exit 9" $signal; done
if [ "$name" = long ]; then for i in $(seq 200); do sleep 0.05; done; else sleep 0.3; fi
note end
[ "$name" != bad ] || exit 3
"""
MPS = """#!/usr/bin/env bash
# a daemon: runs while $NOTES.mps is there
if [ "${1:-}" = -d ]; then
  [ -z "${MPS_BROKEN:-}" ] || exit 1
  echo "mps start" >> "$NOTES"; touch "$NOTES.mps"; exit
fi
[ -e "$NOTES.mps" ] || exit 1
if [ "$(cat)" = quit ]; then echo "mps quit" >> "$NOTES"; rm "$NOTES.mps"; fi
"""
SMI = """#!/usr/bin/env bash
echo GPU-of-${1#--id=}
"""


@pytest.fixture
def stage(tmp_path):
    """``stage(*arguments, stubs=(), **environment)`` starts the script; ``stage.notes()`` is what the stubs noted."""
    def start(*arguments, stubs=(), **environment):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, text in {"python": RUN, **dict(stubs)}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        env = {**os.environ, "PYTHON": str(folder / "python"), "PATH": f"{folder}:{os.environ['PATH']}",
               "NOTES": str(tmp_path / "notes"), "LOGS": str(tmp_path / "logs"), **environment}
        for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUDA_MPS_PIPE_DIRECTORY"):
            env.pop(name, None)
        return subprocess.Popen(["bash", str(SCRIPT), *map(str, arguments)], env=env, cwd=tmp_path, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    start.notes = lambda: (tmp_path / "notes").read_text().splitlines() if (tmp_path / "notes").exists() else []
    start.log = lambda name: (tmp_path / "logs" / name).read_text().strip()
    return start


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)


def test_so_many_run_at_a_time_each_with_its_arguments_log_and_share_of_the_threads(stage):
    script = stage(2, "a.py", "b.py --seed 1", "-", "--", "--resume")
    out, _ = script.communicate("c.py --seed 2\n\n# not this\nd.py\n")
    assert script.returncode == 0, out
    running, most = 0, 0
    for note in stage.notes():
        running += 1 if note.startswith("start") else -1
        most = max(most, running)
    assert most == 2 and len(stage.notes()) == 8
    threads = max(1, os.sysconf("SC_NPROCESSORS_ONLN") // 2)
    for log, line in (("00_a.log", "a.py"), ("01_b.log", "b.py --seed 1"), ("02_c.log", "c.py --seed 2"),
                      ("03_d.log", "d.py")):
        assert stage.log(log).startswith(f"{line} --resume threads={threads} mps=none")


def test_a_run_that_fails_is_named_and_the_others_go_on(stage):
    script = stage(1, "bad.py", "a.py")
    out, _ = script.communicate()
    assert script.returncode == 1
    assert "exit status 3: bad.py" in out and "exit status 0: a.py" in out


@pytest.mark.parametrize("number, told, code", [(signal.SIGINT, "INT", 130), (signal.SIGTERM, "TERM", 143)])
def test_a_signal_reaches_each_run_once_no_more_start_and_mps_is_stopped(stage, number, told, code):
    script = stage(2, "long.py --seed 1", "long.py --seed 2", "a.py", stubs={"nvidia-cuda-mps-control": MPS})
    wait_until(lambda: stage.notes().count("start long") == 2)
    time.sleep(0.1)
    script.send_signal(number)
    out, _ = script.communicate(timeout=60)
    assert script.returncode == code, out
    assert stage.notes() == ["mps start", *2 * ["start long"], *2 * [f"{told} long"], "mps quit"]


def test_mps_is_started_for_the_chosen_gpu_in_a_folder_of_its_own_and_stopped(stage):
    script = stage(2, "a.py", "b.py", stubs={"nvidia-cuda-mps-control": MPS, "nvidia-smi": SMI})
    out, _ = script.communicate()
    assert script.returncode == 0, out
    notes = stage.notes()
    assert notes[0] == "mps start" and notes[-1] == "mps quit" and notes.count("mps quit") == 1
    folder = stage.log("00_a.log").split("mps=")[1].split()[0]
    assert folder.startswith("/tmp/openmix_mps.") and not Path(folder).exists()
    assert stage.log("01_b.log").endswith(f"mps={folder} gpu=GPU-of-0")


def test_mps_of_somebody_else_is_used_and_left_alone(stage, tmp_path):
    (tmp_path / "notes.mps").touch()
    script = stage(2, "a.py", "b.py", stubs={"nvidia-cuda-mps-control": MPS})
    out, _ = script.communicate()
    assert script.returncode == 0 and "MPS is running already" in out
    assert not any("mps" in note for note in stage.notes()) and (tmp_path / "notes.mps").exists()


@pytest.mark.parametrize("environment", [dict(MPS="0"), dict(MPS_BROKEN="1")])
def test_without_mps_the_runs_go_on(stage, environment):
    script = stage(2, "a.py", "b.py", stubs={"nvidia-cuda-mps-control": MPS}, **environment)
    script.communicate()
    assert script.returncode == 0 and not any("mps" in note for note in stage.notes())
    assert "mps=none" in stage.log("00_a.log")


@pytest.mark.parametrize("arguments", [(), ("2",), ("0", "a.py"), ("a.py",), ("2", "--resume"), ("2", "--", "-x")])
def test_wrong_arguments_show_the_usage(stage, arguments):
    script = stage(*arguments)
    out, _ = script.communicate("")
    assert script.returncode == 2 and "usage: bash tools/side_by_side.sh K" in out and not stage.notes()


def test_ctrl_c_lets_real_runs_save(tmp_path):
    path = dump(config(tmp_path / "unused", epochs=2000, custom_hooks=[]), tmp_path / "tiny.py")
    runs = [f"{path} --seed {seed} --work-dir {tmp_path / str(seed)}" for seed in (1, 2)]
    env = {**os.environ, "PYTHON": sys.executable, "LOGS": str(tmp_path / "logs"), "CUDA_VISIBLE_DEVICES": "",
           "OMP_NUM_THREADS": "1"}
    script = subprocess.Popen(["bash", str(SCRIPT), "2", *runs], env=env, text=True, stdout=subprocess.PIPE)

    def status(seed):
        found = tmp_path / str(seed) / "status.json"
        return json.loads(found.read_text()) if found.exists() else {}

    wait_until(lambda: all(status(seed).get("step", 0) > 1 or script.poll() is not None for seed in (1, 2)), 120)
    script.send_signal(signal.SIGINT)
    out, _ = script.communicate(timeout=120)
    assert script.returncode == 130 and out.count("exit status 130") == 2, out
    for seed in (1, 2):
        assert status(seed)["state"] == "preempted" and list((tmp_path / str(seed)).glob("*.pth"))
