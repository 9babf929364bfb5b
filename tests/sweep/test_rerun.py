"""tools/rerun.py: a run again, with the same outcome or the differences named."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from openmix.engine import checkpoint, run_checkpoints
from openmix.results.records import read_records
from openmix.sweep import rerun
from tests import forked
from tests.engine.tiny import config
from tests.results.fake_runs import write_run

ROOT = Path(__file__).resolve().parents[2]


def tool(*arguments, cwd):
    return forked.run(ROOT / "tools" / "rerun.py", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """(home, what the tool printed) after a run of one thread was repeated where it was started."""
    home = tmp_path_factory.mktemp("home")
    cfg = config("unused", env_cfg=dict(amp="off", channels_last=False, num_threads=1))
    cfg.pop("work_dir")
    cfg.dump(str(home / "mine.py"))
    done = forked.run(ROOT / "tools" / "train.py", "mine.py", "--seed", "5", "--work-dir", "runs/mine/seed5", cwd=home)
    assert done.returncode == 0, done.stderr
    return home, tool("runs/mine", cwd=home)


def test_a_run_on_a_cpu_repeats_itself_bit_by_bit(again):
    home, done = again
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same, bit by bit" in done.stdout
    old, new = (json.loads((home / folder / "result.json").read_text())
                for folder in ("runs/mine/seed5", "reruns/runs/mine/seed5"))
    assert new["seed"] == 5 and new["config_hash"] == old["config_hash"] and new["networks"] == old["networks"]


def test_the_next_repetition_gets_a_folder_of_its_own(again):
    home, _ = again
    done = tool("runs/mine/seed5", "--dry-run", cwd=home)
    assert done.stdout.split()[-3:] == ["--work-dir", "reruns/runs/mine/seed5_2", "--resume"]
    assert "--seed 5" in done.stdout and not (home / "reruns/runs/mine/seed5_2").exists()


def test_differences_of_losses_accuracies_and_weights_are_named(again):
    home, _ = again
    old, = read_records(home / "runs")
    new, = read_records(home / "reruns")
    assert rerun.differences(old, new) == []
    new.result["networks"]["net"]["top1"][1] += 0.5
    log, = Path(new.folder).glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[0]["loss"] += 1e-6
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = run_checkpoints.newest(new.folder)
    content = checkpoint.load(path)
    content["state_dict"]["net.head.fc.bias"] += torch.tensor(0.25)
    checkpoint.save(path, content)
    actual = rerun.differences(old, new)
    assert len(actual) == 3
    assert actual[0].startswith("net top1: 1 of 2 epochs differ, by up to 0.50; last ")
    assert "steps differ, first at step 3: loss" in actual[1]
    assert "1 of " in actual[2] and "tensors differ, by up to 0.25" in actual[2]


def test_speed_is_no_difference(tmp_path):
    runs = [write_run(tmp_path / name / "seed0", top1=[1.0, 2.0], losses=[3.0, 2.0], img_s=speed)
            for name, speed in (("a", 10.0), ("b", 20.0))]
    old, new = (read_records(folder)[0] for folder in runs)
    assert [line for line in rerun.differences(old, new) if not line.startswith("weights: not compared")] == []


def test_the_circumstances_are_named(tmp_path):
    runs = [write_run(tmp_path / name / "seed0", top1=[1.0], hardware=hardware)
            for name, hardware in (("a", "GPU A"), ("b", "GPU B"))]
    assert rerun.circumstances(*(read_records(folder)[0] for folder in runs)) == [
        "hardware: GPU A -> GPU B"]


def test_several_cells_and_folders_without_runs_end_with_2_and_one_line(tmp_path):
    write_run(tmp_path / "x" / "seed0", "type='MixUp'", top1=[1.0])
    write_run(tmp_path / "y" / "seed0", "type='CutMix'", top1=[1.0])
    (tmp_path / "empty").mkdir()
    for where, message in ((".", "runs of 2 cells (CutMix / CifarResNet-20 / 1 epochs, MixUp"),
                           ("empty", "no run in empty"), ("nothing", "no folder nothing")):
        done = tool(where, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and message in done.stderr


def test_another_runs_folder_is_not_written_to(tmp_path):
    write_run(tmp_path / "x" / "seed0", top1=[1.0], seed=0)
    write_run(tmp_path / "x2" / "seed1", top1=[1.0], seed=1)
    done = tool("x/seed0", "--work-dir", "x2/seed1", cwd=tmp_path)
    assert done.returncode == 2 and "holds another run" in done.stderr


def test_a_run_is_not_compared_with_itself(tmp_path):
    folder = write_run(tmp_path / "x" / "seed0", top1=[1.0], seed=0)
    (tmp_path / "link").symlink_to(folder)
    for where in ("x/seed0", "x/../x/seed0", "link"):
        for more in ((), ("--dry-run",)):
            done = tool("x/seed0", "--work-dir", where, *more, cwd=tmp_path)
            assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stdout == ""
            assert "is the run that is to be repeated" in done.stderr


def test_ctrl_c_waits_until_the_training_has_saved(tmp_path):
    child = ("import pathlib, signal, sys, time\n"
             "def save(*_): time.sleep(1); pathlib.Path('saved').touch(); sys.exit(130)\n"
             "signal.signal(signal.SIGINT, save); pathlib.Path('begun').touch(); time.sleep(60)")
    program = ("import sys, types\n"
               "from openmix.sweep import rerun\n"
               f"rerun.command = lambda *_: [sys.executable, '-c', {child!r}]\n"
               "rerun.rerun(types.SimpleNamespace(env={}), 'new')")
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, start_new_session=True,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    end = time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=30)[1] and (tmp_path / "saved").exists()
