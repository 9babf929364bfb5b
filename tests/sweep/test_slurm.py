"""The submission of a sweep to SLURM and what an element does at signals; SLURM itself is played by small programs.

tests/slurm/run.sh does the same on a real one.
"""
import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from submitit.core.utils import DelayedSubmission

from openmix import workdir
from openmix.cli import main
from openmix.sweep import slurm
from openmix.sweep import slurm_element as element
from openmix.sweep.jobs import Job
from openmix.workdir.status import state
from tests.results.made import small_result

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = dict(
    sbatch='echo "$@" >> $D/sbatch; if [ -e $D/refuse ]; then echo "no such partition" >&2; exit 1; fi; '
           'echo "Submitted batch job $((40 + $(wc -l < $D/sbatch)))"',
    squeue="cat $D/queue 2>/dev/null; true", srun="true",
    scontrol='echo "$@" >> $D/scontrol; case "$1" in show) cat $D/job 2>/dev/null;; esac')


@pytest.fixture(autouse=True)
def cluster(tmp_path, monkeypatch):
    """A folder to train in; ``.cluster`` in it holds the arguments of SLURM's programs and their answers."""
    folder = tmp_path / ".cluster"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).with_suffix(".sh").write_text(f"#!/bin/sh\nD={folder}\n{text}\n")
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin" / name).symlink_to((folder / name).with_suffix(".sh"))
        (folder / name).with_suffix(".sh").chmod(0o755)
    for name in [n for n in os.environ if n.startswith(("SLURM_", "SUBMITIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    Path("configs/sweeps/grid").mkdir(parents=True)
    return folder


def options(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--retries", type=int, default=3)
    for flag in ("--dry-run", "--failed"):
        parser.add_argument(flag, action="store_true")
    slurm.add_arguments(parser)
    return parser.parse_args(words)


def made(*names, **more):
    return [Job(f"{name}/seed0", f"configs/sweeps/grid/{name}.py", 0, f"runs/{name}", **more) for name in names]


def submit(jobs, *words, problems=None) -> int:
    return slurm.submit("grid", jobs, problems or {}, options(*words))


def script(number=41) -> tuple[dict, list[str]]:
    """Options and commands of a submitted script."""
    lines = Path(f"work_dirs/sweeps/grid/.slurm/{number}_submission.sh").read_text().splitlines()
    asked = [shlex.split(line)[1].removeprefix("--").partition("=") for line in lines if line.startswith("#SBATCH")]
    return {k: v for k, _, v in asked}, [line for line in lines if line and not line.startswith("#")]


# -- submission ----------------------------------------------------------------------------------------------------


def test_the_script_asks_for_what_the_options_say():
    assert submit(made("a", "b", "c"), "--partition", "gpu", "--time", "12:00:00", "--warning", "240", "--parallel",
                  "2", "--cpus-per-process", "6", "--sbatch", "account=vision", "mem=32G", "exclusive") == 0
    asked, commands = script()
    assert asked.pop("output").endswith("work_dirs/sweeps/grid/.slurm/%A_%a_0_log.out")
    assert asked == {
        "array": "0-2%2", "partition": "gpu", "time": "720", "signal": "USR2@240", "requeue": "", "nodes": "1",
        "ntasks-per-node": "1", "gpus-per-node": "1", "cpus-per-task": "6", "job-name": "grid", "open-mode": "append",
        "account": "vision", "mem": "32G", "exclusive": ""}
    assert commands[0] == f"export PYTHONPATH={ROOT}${{PYTHONPATH:+:$PYTHONPATH}}"
    assert commands[-1].startswith("srun ") and "--cpus-per-task=6" in commands[-1]


def test_each_element_runs_one_job():
    jobs = made("a", "b")
    submit(jobs, "--requeues", "7", "--retries", "2")
    for index, job in enumerate(jobs):
        submission = DelayedSubmission.load(f"work_dirs/sweeps/grid/.slurm/41_{index}_submitted.pkl")
        assert (submission.function, submission.args) == (element.run, (job, 2, 7))


def test_pickles_are_for_the_user_alone():
    submit(made("a"))
    assert Path("work_dirs/sweeps/grid/.slurm").stat().st_mode & 0o777 == 0o700


def test_jobs_of_another_shape_are_an_array_of_their_own(cluster):
    submit([*made("a", "b"), *made("big", processes=4, nodes=2)], "--cpus-per-process", "3")
    assert len((cluster / "sbatch").read_text().splitlines()) == 2
    small, big = script(41)[0], script(42)[0]
    assert small["array"] == "0-1%2" and "array" not in big
    shape = ("nodes", "ntasks-per-node", "gpus-per-node", "cpus-per-task")
    assert [small[k] for k in shape] == ["1", "1", "1", "3"] and [big[k] for k in shape] == ["2", "1", "4", "12"]


def test_on_cpus_no_gpu_is_asked_for_and_none_is_seen():
    submit(made("a"), "--gpus-per-process", "0", "--nodes", "2")
    asked, commands = script()
    assert "gpus-per-node" not in asked and asked["nodes"] == "2" and "export CUDA_VISIBLE_DEVICES=" in commands


def test_what_is_done_running_or_queued_is_not_submitted(cluster, capsys):
    jobs = made("new", "done", "failed", "running", "queued", "stopped", "wrong")
    submit(made("queued", "stopped"))
    (cluster / "queue").write_text("41_0\n7_1\n")
    for name in ("done", "failed", "stopped"):
        Path("runs", name).mkdir(parents=True)
        workdir.write_status(f"runs/{name}", dict(stopped="preempted").get(name, name))
    workdir.write_json("runs/done/result.json", small_result(50.0))
    Path("runs/running").mkdir()
    capsys.readouterr()
    with workdir.Lock("runs/running"):
        assert submit(jobs, problems={jobs[-1].config: "no such key"}) == 1
    printed = capsys.readouterr()
    assert "array 42: 2 run(s)" in printed.out
    for why in ("done", "failed", "running", "queued", "invalid"):
        assert f"{why}, not submitted: 1\n" in printed.out
    assert "wrong/seed0: no such key" in printed.err and state("runs/wrong") == "invalid"
    sent = [DelayedSubmission.load(f"work_dirs/sweeps/grid/.slurm/42_{i}_submitted.pkl").args[0] for i in range(2)]
    assert sent == [jobs[0], jobs[5]]


def test_what_failed_is_submitted_when_asked_for(cluster):
    Path("runs/failed").mkdir(parents=True)
    workdir.write_status("runs/failed", "failed")
    submit(made("failed"))
    assert not (cluster / "sbatch").exists()
    submit(made("failed"), "--failed")
    assert len((cluster / "sbatch").read_text().splitlines()) == 1


def test_a_dry_run_starts_nothing_and_leaves_nothing(cluster, capsys):
    assert submit(made("a", nodes=2), "--dry-run", "--sbatch", "account=vision") == 0
    printed = capsys.readouterr().out
    assert "account=vision" in printed and "-m openmix train configs/sweeps/grid/a.py --seed 0" in printed
    assert not (cluster / "sbatch").exists() and not Path("work_dirs").exists()


@pytest.mark.parametrize("text, expected", [
    ("90", 90), ("90:00", 90), ("90:30", 91), ("12:00:00", 720), ("2-00", 2880), ("2-12", 3600), ("1-00:30", 1470),
    ("1-01:02:03", 1503), ("0:10", 1)])
def test_times_are_read_as_sbatch_reads_them(text, expected):
    assert options("--time", text).time == expected


@pytest.mark.parametrize("words, message", [
    (["--sbatch", "array=1-3"], "array"), (["--sbatch", "Account=x"], "Account"), (["--requeues", "-1"], "--requeues"),
    (["--warning", "600", "--time", "10"], "10 minutes"), (["--cpus-per-process", "0"], "--cpus-per-process"),
    (["--parallel", "0"], "--parallel"), (["--nodes", "0"], "--nodes")])
def test_options_that_cannot_be_are_refused(cluster, words, message):
    with pytest.raises(ValueError, match=message):
        submit(made("a"), *words)
    assert not (cluster / "sbatch").exists()


def test_the_word_of_sbatch_is_passed_on(cluster):
    (cluster / "refuse").touch()
    with pytest.raises(ValueError, match="no such partition"):
        submit(made("a"), "--partition", "gqu")


def test_without_slurm_or_submitit_one_line_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match="no SLURM cluster"):
        submit(made("a"))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ImportError, match=r"pip install submitit"):
        submit(made("a"))


def test_the_tool_submits_the_runs_of_a_grid(cluster, capsys):
    Path("tiny.py").write_text('base = "configs/shapes/r20_mixup.py"\nmixups = ["MixUp"]\nseeds = 2\n')
    assert main(["sweep", "run", "tiny.py", "--engine", "slurm", "--only", "*/seed1"]) == 0
    assert "array 41: 1 run(s)" in capsys.readouterr().out
    submission = DelayedSubmission.load("work_dirs/sweeps/tiny/.slurm/41_submitted.pkl").args[0]
    assert submission.seed == 1 and Path(submission.config).is_file()


# -- an element ----------------------------------------------------------------------------------------------------


def start(name, *words, **environment):
    """An element as srun starts it, in a group of its own: SLURM signals all processes of a step."""
    env = {**os.environ, "SLURM_JOB_ID": "77", "SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": "5", **environment}
    return subprocess.Popen([sys.executable, "-m", "tests.sweep.node", name, *words], env=env, text=True,
                            stdout=subprocess.PIPE, start_new_session=True)


def disturb(process, *numbers, after="steps"):
    """Wait until the training has begun, signal all processes; returns the exit status."""
    (name,) = process.args[3:4]
    end = time.monotonic() + 30
    while not Path("runs", name, after).exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    for number in numbers:
        os.killpg(process.pid, number)
    return process.wait(30)


def asked(cluster) -> list[str]:
    """What scontrol was asked to do."""
    path = cluster / "scontrol"
    return [line for line in path.read_text().splitlines() if "show" not in line] if path.exists() else []


@pytest.mark.parametrize("name, code, end", [("good", 0, "done"), ("bad", 2, "invalid"), ("worse", 2, "invalid"),
                                             ("nan", 3, "diverged"), ("full", 1, "failed")])
def test_an_element_ends_as_its_training_and_an_end_is_not_requeued(cluster, name, code, end):
    process = start(name)
    printed = process.communicate()[0]
    assert process.returncode == code and f"{name}/seed0: {end}" in printed
    assert state(f"runs/{name}") == end and asked(cluster) == []


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_after_a_time_limit_an_element_requeues_what_was_saved(cluster, number):
    assert disturb(start("stubborn"), number) == 128 + number
    assert asked(cluster) == ["requeue 70_5"] and state("runs/stubborn") == "preempted"


def test_the_requeues_are_counted(cluster):
    assert disturb(start("long", "3", SLURM_RESTART_COUNT="2"), signal.SIGUSR2) == 140
    assert asked(cluster) == ["requeue 70_5"]
    assert disturb(start("long-2", "3", SLURM_RESTART_COUNT="3"), signal.SIGUSR2) == 140
    assert asked(cluster) == ["requeue 70_5"]


@pytest.mark.parametrize("numbers", [[signal.SIGTERM], [signal.SIGUSR2, signal.SIGTERM],
                                     [signal.SIGTERM, signal.SIGUSR2]])
def test_scancel_wins(cluster, numbers):
    (cluster / "job").write_text("JobId=77 JobState=CANCELLED PreemptTime=2026-01-01T00:00:00 Restarts=0\n")
    assert disturb(start("stubborn"), *numbers) == 143
    assert asked(cluster) == [] and state("runs/stubborn") == "preempted"


@pytest.mark.parametrize("preempted, calls", [("2026-01-01T00:00:00", ["requeue 70_5"]), ("None", [])])
def test_sigterm_requeues_in_the_grace_time_of_a_preemption_alone(cluster, preempted, calls):
    (cluster / "job").write_text(f"JobId=77 JobState=RUNNING Reason=None PreemptTime={preempted} Restarts=0\n")
    assert disturb(start("long"), signal.SIGTERM) == 143
    assert asked(cluster) == calls


def test_a_signal_before_the_training_can_hear_it_requeues(cluster):
    """While torch is imported a signal kills: nothing is saved, nothing is lost."""
    assert disturb(start("deaf"), signal.SIGUSR2, after="output.log") == 140
    assert asked(cluster) == ["requeue 70_5"] and state("runs/deaf") == "waiting"


def test_a_killed_training_is_started_again_but_not_forever(cluster):
    assert start("dies").wait(30) == 1
    assert len(Path("runs/dies/starts").read_text().split()) == 2 and asked(cluster) == []


def test_the_first_node_speaks_for_all(cluster):
    assert disturb(start("long", SLURM_PROCID="1"), signal.SIGUSR2) == 0 and asked(cluster) == []
    assert Path("runs/long/output.node1.log").exists()


def test_torchruns_of_several_nodes_meet_on_the_first(cluster, monkeypatch):
    (job,) = made("a", nodes=2, processes=4)
    (cluster / "job").write_text("n7\nn9\n")
    for name, value in dict(NNODES="2", STEP_NODELIST="n[7,9]", JOB_ID="40017", RESTART_COUNT="2").items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert element.meeting(job, 3) == ["--rdzv-backend=c10d", f"--rdzv-endpoint=n7:{20000 + 40017 % 20000}",
                                       "--rdzv-id=40017-2-3"]


@pytest.mark.parametrize("end, code, killed", [
    ("failed", 1, True), ("running", 1, True), ("diverged", 1, False), ("invalid", 1, False), ("oom", 1, False),
    ("done", 1, False), ("running", 0, False)])
def test_the_files_of_several_processes_show_whether_one_was_killed(end, code, killed):
    (job,) = made("a", nodes=2)
    Path(job.work_dir).mkdir(parents=True)
    workdir.write_status(job.work_dir, end)
    if end == "done":
        workdir.write_json(Path(job.work_dir, "result.json"), small_result(50.0))
    assert element.was_killed(job, code) is killed


def test_of_one_process_the_exit_status_shows_it():
    (job,) = made("a")
    assert [element.was_killed(job, code) for code in (-9, -11, 0, 1, 2, 3)] == [True, True, *[False] * 4]


@pytest.mark.parametrize("words, says", [
    (["--partition", "a\n#SBATCH --uid=0"], "--partition takes"), (["--partition", "a b"], "--partition takes"),
    (["--partition=-x"], "--partition takes"), (["--sbatch", "account=a\ntouch x"], "--sbatch account"),
    (["--sbatch", "comment=$(x)"], "--sbatch comment"), (["--sbatch", "comment=a;b"], "--sbatch comment"),
    (["--sbatch", "comment='"], "--sbatch comment"), (["--sbatch", "a;b=1"], "--sbatch takes options"),
    (["--sbatch", "account\n=1"], "--sbatch takes options")])
def test_nothing_but_plain_values_reaches_the_batch_script(words, says, cluster):
    with pytest.raises(ValueError, match=says):
        submit(made("a"), *words)
    with pytest.raises(ValueError, match="the sweep is called"):
        slurm.submit("a;b", made("a"), {}, options())
    assert not (cluster / "sbatch").exists()


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', '{"a": [1]}'])
def test_a_damaged_list_of_elements_is_refused_with_the_way_out(content):
    Path("work_dirs/sweeps/grid/.slurm").mkdir(parents=True)
    Path("work_dirs/sweeps/grid/.slurm/elements.json").write_text(content)
    with pytest.raises(ValueError, match="elements.json .* submitted twice; delete it once none"):
        submit(made("a"))
