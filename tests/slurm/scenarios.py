"""Sweeps on a real SLURM: what disturbs a run must not change its weights. Run by tests/slurm/run.sh on its cluster."""
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from openmix import workdir
from openmix.sweep import jobs
from openmix.workdir.status import read_status

ROOT = Path(__file__).resolve().parents[2]
GRID = '''"""Trainings of ten seconds."""
base = "configs/shapes/r20_{mixup}.py"
mixups = ["mixup"]
epochs = 6
seeds = %s
vary = {"optim_wrapper.optimizer.lr": %s}
overrides = [dict(set={
    "model.backbone.depth": 8, "train_dataloader.total_batch": 10, "train_dataloader.dataset.num_images": 200,
    "val_dataloader.dataset.num_images": 50, "train_cfg.limit": 20, "default_hooks.preview": None,
    "default_hooks.checkpoint.min_seconds": 0, "env_cfg.num_threads": 1, "env_cfg.amp": "off",
    "custom_imports": dict(imports=["tests.slurm.slow"]), "custom_hooks": [dict(type="WaitHook")]})]
'''
PATIENCE = 240


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty folder to train in; nothing of an earlier scenario is in the queue."""
    wait(lambda: not slurm("squeue", "-h"), "the queue is empty")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECONDS_PER_STEP", "0.1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # the names of these nodes mean nothing to a resolver
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    yield tmp_path
    subprocess.run(["scancel", "-u", str(os.getuid())])


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Hashes of the weights of a run on this machine in so many processes that nothing disturbed."""
    known = {}

    def get(processes: int) -> tuple[str, str]:
        if processes not in known:
            job = replace(jobs.load_jobs("grid")[0], processes=processes,
                          work_dir=str(tmp_path_factory.mktemp(f"reference{processes}")))
            env = {**os.environ, "SECONDS_PER_STEP": "0"}
            subprocess.run(jobs.command(job), env=env, check=True, capture_output=True)
            known[processes] = weights(job)
        return known[processes]
    return get


def weights(job) -> tuple[str, str]:
    """Hashes at the end of a run: of every parameter, and of the statistics of BatchNorm."""
    state = torch.load(Path(job.work_dir, "epoch_6.pth"), weights_only=True)["state_dict"]
    digests = hashlib.sha256(), hashlib.sha256()
    for name in sorted(state):
        digests["running_" in name].update(name.encode() + state[name].contiguous().numpy().tobytes())
    return tuple(digest.hexdigest() for digest in digests)


def slurm(*words) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def wait(condition, what: str, seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}\n{slurm('squeue', '-t', 'all')}\n" + "\n".join(
            f"{p}\n{p.read_text()[-2000:]}" for g in ("*.out", "output*.log") for p in Path().rglob(g))
        time.sleep(0.2)


def sweep(*words, code: int = 0) -> str:
    done = subprocess.run([sys.executable, str(ROOT / "tools/sweep.py"), *words], capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def make(seeds="1", lr="[0.1]") -> list:
    Path("grid.py").write_text(GRID % (seeds, lr))
    sweep("make", "grid.py")
    return jobs.load_jobs("grid")


def submit(*words) -> str:
    """The id of the array."""
    common = ["--partition", "low", "--gpus-per-process", "0", "--cpus-per-process", "1"]
    out = sweep("run", "grid", "--engine", "slurm", *common, *(words or ["--time", "10"]))
    return re.search(r"^array (\d+):", out, re.M)[1]


def element(job_id: str) -> dict:
    """What SLURM says of a job."""
    return dict(pair.split("=", 1) for pair in slurm("scontrol", "show", "job", "-o", job_id).split() if "=" in pair)


def until_in_training(job, epoch: int = 2) -> None:
    wait(lambda: list(Path(job.work_dir).glob(f"epoch_{epoch}.pth")), f"epoch {epoch} of {job.name}")


def until_done(job) -> None:
    wait(lambda: workdir.state(job.work_dir) == "done", f"{job.name} is done")


def until_ended(job_id: str, state: str) -> None:
    wait(lambda: element(job_id)["JobState"] == state, f"job {job_id} is {state}")


def test_an_array_trains_all_once_and_what_diverges_is_not_queued_again():
    all_jobs = make(seeds="2", lr="[0.1, 1e20]")
    array = submit()
    assert "queued, not submitted: 4" in sweep("run", "grid", "--engine", "slurm")
    good, bad = all_jobs[:2], all_jobs[2:]
    for job in good:
        until_done(job)
    for index in (2, 3):
        until_ended(f"{array}_{index}", "FAILED")
    assert [workdir.state(job.work_dir) for job in bad] == ["diverged"] * 2
    shown = [element(f"{array}_{index}") for index in range(4)]
    assert [s["Restarts"] for s in shown] == ["0"] * 4
    assert [s["ExitCode"] for s in shown[2:]] == ["3:0"] * 2
    wait(lambda: not slurm("squeue", "-h"), "the queue is empty")
    again = sweep("run", "grid", "--engine", "slurm")
    assert "done, not submitted: 2" in again and "diverged, not submitted: 2" in again and "array" not in again
    printed = sweep("status", "grid")
    assert "2 done" in printed and "diverged" in printed


def test_a_partition_of_higher_priority_takes_the_place_and_the_run_continues(reference):
    [job] = make()
    array = submit("--time", "10", "--sbatch", "nodelist=n1")
    until_in_training(job)
    slurm("sbatch", "-p", "high", "-w", "n1", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 5")
    wait(lambda: workdir.state(job.work_dir) == "preempted", "the run has saved")
    assert not Path(job.work_dir, "result.json").exists()
    until_done(job)
    until_ended(f"{array}_0" if "_" in array else array, "COMPLETED")
    assert element(array)["Restarts"] == "1" and read_status(job.work_dir)["attempt"] == 2
    assert weights(job) == reference(1)


def test_a_job_that_is_requeued_continues(reference):
    [job] = make()
    array = submit()
    until_in_training(job)
    slurm("scontrol", "requeue", array)
    wait(lambda: workdir.state(job.work_dir) == "preempted", "the run has saved")
    until_done(job)
    until_ended(array, "COMPLETED")
    assert element(array)["Restarts"] == "1" and weights(job) == reference(1)


def test_a_time_limit_saves_and_queues_again_until_the_end(reference, monkeypatch):
    monkeypatch.setenv("SECONDS_PER_STEP", "0.4")  # with its start longer than the least limit, a minute
    [job] = make()
    array = submit("--time", "1", "--warning", "10")
    until_done(job)
    until_ended(array, "COMPLETED")
    assert int(element(array)["Restarts"]) >= 1 and weights(job) == reference(1)
    assert read_status(job.work_dir)["attempt"] == int(element(array)["Restarts"]) + 1


def test_requeues_after_the_time_limit_are_counted():
    [job] = make()
    array = submit("--time", "10", "--requeues", "0")
    until_in_training(job)
    slurm("scancel", "--signal=USR2", array)
    until_ended(array, "FAILED")
    assert workdir.state(job.work_dir) == "preempted" and element(array)["Restarts"] == "0"


def test_scancel_wins_even_over_a_time_limit_and_the_next_submission_continues(reference):
    [job] = make()
    array = submit()
    until_in_training(job)
    slurm("scancel", "--signal=USR2", array)
    slurm("scancel", array)
    until_ended(array, "CANCELLED")
    time.sleep(8)  # longer than a requeued job waits
    assert element(array)["JobState"] == "CANCELLED" and element(array)["Restarts"] == "0"
    assert workdir.state(job.work_dir) == "preempted"
    submit()
    until_done(job)
    assert weights(job) == reference(1)


def test_a_training_that_is_killed_is_started_again_in_its_element(reference):
    [job] = make()
    array = submit()
    until_in_training(job)
    os.kill(read_status(job.work_dir)["pid"], signal.SIGKILL)
    until_done(job)
    until_ended(array, "COMPLETED")
    assert element(array)["Restarts"] == "0" and read_status(job.work_dir)["attempt"] == 2
    assert weights(job) == reference(1)


def test_two_nodes_train_the_weights_of_two_processes(reference):
    [job] = make()
    array = submit("--time", "10", "--nodes", "2")
    wait(lambda: element(array).get("NumNodes") == "2", "two nodes")
    until_done(job)
    until_ended(array, "COMPLETED")
    assert weights(job) == reference(2) and reference(2)[0] != reference(1)[0]


def test_two_nodes_save_before_the_time_limit_and_continue(reference):
    [job] = make()
    array = submit("--time", "10", "--nodes", "2")
    until_in_training(job)
    slurm("scancel", "--signal=USR2", array)
    wait(lambda: workdir.state(job.work_dir) == "preempted", "the run has saved")
    until_done(job)
    until_ended(array, "COMPLETED")
    # a stop in mid-epoch averages the statistics of the processes once more: they are the same but for rounding
    assert element(array)["Restarts"] == "1" and weights(job)[0] == reference(2)[0]


def test_a_process_killed_on_one_of_two_nodes_is_started_again(reference):
    [job] = make()
    array = submit("--time", "10", "--nodes", "2")
    until_in_training(job)
    os.kill(read_status(job.work_dir)["pid"], signal.SIGKILL)
    until_done(job)
    until_ended(array, "COMPLETED")
    assert element(array)["Restarts"] == "0" and weights(job) == reference(2)
