"""The driver with stand-ins for trainings: slots are kept busy, and no death of anything loses, repeats or orphans."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openmix import workdir
from openmix.sweep.jobs import Job, moved
from openmix.sweep.local import Pool, last_line
from openmix.sweep.progress import PlainProgress
from openmix.sweep.slots import CPU, Slots, make_slots
from openmix.workdir.status import is_alive, state
from tests.sweep.drive import jobs, stub

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("openmix.sweep.local.AGAIN", 0.1)
    return tmp_path


def pool(names, slots=2, command=stub, **options):
    said = []
    made = Pool(jobs(names), Slots([CPU] * slots if isinstance(slots, int) else slots), make_command=command,
                screen=PlainProgress(said.append), **options)
    made.said = said
    return made


def notes(name, file):
    path = Path("runs", name, file)
    return path.read_text().split("\n")[:-1] if path.exists() else []


def spans(names):
    """(beginning, end) of every start that came to its end."""
    return [(float(a), float(b)) for n in names for a, b in zip(notes(n, "starts"), notes(n, "ends"), strict=True)]


def most_at_once(spans):
    changes = sorted([(a, 1) for a, _ in spans] + [(b, -1) for _, b in spans])
    return max(sum(change for _, change in changes[:i + 1]) for i in range(len(changes)))


def alive():
    """Stand-ins of this test that still run."""
    actual = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.joinpath("cwd").resolve() == Path.cwd() and b"stub.py" in entry.joinpath("cmdline").read_bytes():
                actual.append(int(entry.name))
        except OSError:
            pass
    return actual


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)


# -- slots -----------------------------------------------------------------------------------------------------


def test_all_jobs_end_well_with_both_slots_busy_together_and_never_more():
    names = [f"job-{i}" for i in range(6)]
    made = pool(names)
    assert made.run() == 0
    assert (made.done, made.failed, made.waiting, made.running) == (6, {}, [], [])
    assert [state(f"runs/{n}") for n in names] == ["done"] * 6 and most_at_once(spans(names)) == 2
    assert sum("started" in line for line in made.said) == 6 and "(6/6)" in made.said[-1]


def test_what_is_done_is_not_started_again():
    assert pool(["a", "b"]).run() == 0
    made = pool(["a", "b", "c"])
    assert made.done == 2 and made.run() == 0 and made.done == 3
    assert [len(notes(n, "starts")) for n in "abc"] == [1, 1, 1] and notes("a", "repeated") == []


def test_jobs_are_spread_over_gpus_so_many_on_each_with_their_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16))
    names = [f"job-{i}" for i in range(8)]
    assert pool(names, slots=["0", "1", "0", "1"], command=lambda job: stub(job, seconds=0.15)).run() == 0
    on = {gpu: [n for n in names if notes(n, "environment") == [f"{gpu} 4"]] for gpu in "01"}
    assert sorted(on["0"] + on["1"]) == names and on["0"] and on["1"]
    assert most_at_once(spans(on["0"])) <= 2 and most_at_once(spans(on["1"])) <= 2 and most_at_once(spans(names)) >= 3


def test_a_job_of_two_processes_gets_two_different_gpus():
    several = [Job("pair/seed0", "pair", 0, "runs/pair", processes=2), *jobs(["a", "b", "c"])]
    made = Pool(several, Slots(["0", "0", "1", "1"]), make_command=stub, screen=PlainProgress(lambda _: None))
    assert made.run() == 0 and made.done == 4
    assert notes("pair", "environment")[0].split()[0] == "0,1"


@pytest.mark.parametrize("job, words", [(Job("big", "c", 0, "w", processes=3), "needs 3 GPUs, there are 2: 0, 1"),
                                        (Job("wide", "c", 0, "w", nodes=2), "--engine slurm")])
def test_a_job_that_never_fits_is_refused_before_anything_starts(job, words):
    with pytest.raises(ValueError, match=words):
        Pool([*jobs(["a"]), job], Slots(["0", "1"]), make_command=stub)
    assert not Path("runs").exists()


# -- ends of jobs ----------------------------------------------------------------------------------------------


def test_a_failure_for_good_is_reported_with_its_reason_not_retried_and_holds_up_nothing():
    made = pool(["bad", "worse", "nan", "full", "good"])
    assert made.run() == 0 and made.done == 1
    assert made.failed == {
        "bad/seed0": "invalid: no data here", "worse/seed0": "invalid: this cannot be",
        "nan/seed0": "diverged: loss is nan", "full/seed0": "failed: OSError: cannot write epoch_1.pth"}
    assert [state(f"runs/{n}") for n in ("bad", "worse", "nan", "full")] == ["invalid", "invalid", "diverged", "failed"]
    assert [len(notes(n, "starts")) for n in ("bad", "nan", "full")] == [1, 1, 1]
    second = pool(["bad", "worse", "nan", "full", "good"])
    assert second.run() == 0 and second.said == [] and second.failed == made.failed
    assert [len(notes(n, "starts")) for n in ("bad", "nan", "full")] == [1, 1, 1], "the next start leaves them alone"


def test_what_failed_is_started_again_when_asked_for():
    assert pool(["full"]).run() == 0
    made = pool(["full"], again=True, command=lambda job: [*stub(job)[:2], "mended", *stub(job)[3:]])
    assert made.run() == 0 and made.done == 1 and state("runs/full") == "done"


def test_what_a_signal_killed_is_started_again_so_often_and_no_more():
    made = pool(["dies", "good"], retries=2)
    assert made.run() == 0 and made.done == 1
    assert len(notes("dies", "starts")) == 3 and notes("dies", "steps") == ["0", "1", "2"]
    assert "killed: 3 times" in made.failed["dies/seed0"]
    again = pool(["dies", "good"], retries=2)  # a later driver goes on: it was not the run that failed
    assert again.run() == 0 and again.done == 2 and notes("dies", "steps") == ["0", "1", "2", "3"]


def test_a_config_known_to_be_wrong_fails_without_being_started():
    made = pool(["a", "b"], problems={"b": "unknown key 'modle'"})
    assert made.run() == 0 and made.done == 1 and made.failed == {"b/seed0": "invalid: unknown key 'modle'"}
    assert notes("b", "starts") == [] and workdir.read_status("runs/b")["reason"] == "unknown key 'modle'"


def test_a_work_dir_that_cannot_be_made_fails_that_job_alone():
    Path("runs").mkdir()
    Path("runs/b").write_text("a file")
    made = pool(["a", "b"])
    assert made.run() == 0 and made.done == 1 and "runs/b" in made.failed["b/seed0"]


def test_a_finished_run_of_another_config_is_reported_and_left_alone():
    assert pool(["a"]).run() == 0
    job = Job("a/seed0", "a", 0, "runs/a", config_hash="another")
    made = Pool([job], Slots([CPU]), make_command=stub, screen=PlainProgress(lambda _: None))
    assert made.run() == 0 and "another config" in made.failed["a/seed0"] and len(notes("a", "starts")) == 1


def test_a_work_dir_that_is_moved_while_it_trains_is_named():
    def move_then(job):
        return ["sh", "-c", "mv runs/a elsewhere; exit 1"]
    made = pool(["a"], command=move_then)
    assert made.run() == 0 and made.failed == {"a/seed0": "failed: runs/a was moved or deleted while it ran"}


def test_a_sweep_whose_work_dirs_are_gone_says_so():
    assert moved("s", jobs(["a"])) == "", "it was never run"
    Path("configs/sweeps/s").mkdir(parents=True)
    Path("configs/sweeps/s/.driver").touch()
    assert "none of its work dirs is here, such as runs/a; if they were moved" in moved("s", jobs(["a"]))
    Path("runs/a").mkdir(parents=True)
    assert moved("s", jobs(["a", "b"])) == ""


@pytest.mark.parametrize("end", ["diverged", "failed", "invalid"])
def test_what_failed_elsewhere_while_it_was_waited_for_is_not_started_here(end):
    Path("runs/a").mkdir(parents=True)
    workdir.write_status("runs/a", "running")
    made = pool(["a", "b"])
    workdir.write_status("runs/a", end, reason="so it was")  # by another process, after this one looked
    assert made.run() == 0 and made.done == 1 and made.failed == {"a/seed0": f"{end}: so it was"}
    assert notes("a", "starts") == []


def test_gpus_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr("openmix.sweep.slots.find_gpus", list)
    with pytest.raises(ValueError, match="--gpus names 7, GPUs here: none"):
        make_slots("7")
    monkeypatch.setattr("openmix.sweep.slots.find_gpus", lambda: ["0", "1"])
    with pytest.raises(ValueError, match="--gpus names 7, GPUs here: 0, 1"):
        make_slots("1,7")
    assert make_slots("1", 2).free == ["1", "1"] and make_slots("GPU-1a2b").free == ["GPU-1a2b"]


def test_the_output_of_every_start_is_kept_in_the_work_dir():
    pool(["worse"]).run()
    pool(["worse"], again=True).run()
    assert Path("runs/worse/output.log").read_text() == "error: this cannot be\n" * 2
    assert last_line(Path("runs/worse/output.log")) == "this cannot be" and last_line(Path("none")) == ""


def test_a_reader_of_the_output_that_goes_away_does_not_stop_the_sweep():
    def broken(text):
        raise BrokenPipeError

    made = Pool(jobs(["a", "b"]), Slots([CPU]), make_command=stub, screen=PlainProgress(broken))
    assert made.run() == 0 and made.done == 2


# -- deaths of the driver --------------------------------------------------------------------------------------


@pytest.fixture
def driver():
    """``driver(names, slots)`` starts one in a process of its own; none of them outlives the test."""
    started = []

    def start(names, slots=2):
        started.append(subprocess.Popen([sys.executable, str(ROOT / "tests/sweep/drive.py"), str(slots), *names],
                                        stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_sweep_under_fire_ends_with_every_step_taken_once(driver):
    """The driver is killed twice, a training once; one config is wrong, one diverges, the disk of one is full."""
    names = [f"job-{i}" for i in range(7)] + ["bad", "nan", "full", "worse", "long"]
    for kill in range(2):
        process = driver(names)
        wait_until(lambda kill=kill: sum(bool(notes(n, "ends")) for n in names) > 3 * kill and len(alive()) == 2)
        process.kill()
        process.wait()
        wait_until(lambda: not alive(), 5)  # its children save and leave, without a signal
    process = driver(names)
    wait_until(lambda: is_alive("runs/long") and len(notes("long", "steps")) > 3)
    os.kill(workdir.read_status("runs/long")["pid"], signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and alive() == []
    assert [state(f"runs/{n}") for n in names] == ["done"] * 7 + ["invalid", "diverged", "failed", "invalid",
                                                                     "done"]
    for name in [*names[:7], "long"]:
        steps = 20 if name == "long" else 4
        assert notes(name, "steps") == [str(i) for i in range(steps)], "nothing is lost and nothing done twice"
    assert not any(notes(n, "collisions") + notes(n, "repeated") for n in names)
    assert all(f"failed {n}/seed0" in out for n in names[7:11])
    starts = [len(notes(n, "starts")) for n in names]
    last = driver(names)
    last.communicate(timeout=60)
    assert [len(notes(n, "starts")) for n in names] == starts, "a second start repeats nothing"


def test_a_driver_waits_for_a_run_that_the_killed_one_left_saving(driver):
    process = driver(["stubborn"])
    wait_until(lambda: is_alive("runs/stubborn") and notes("stubborn", "steps"))
    process.kill()
    process.wait()
    out, _ = driver(["stubborn"]).communicate(timeout=60)
    assert "waiting for stubborn/seed0: it is being trained by another process" in out and "done stubborn" in out
    assert notes("stubborn", "collisions") == [] and notes("stubborn", "steps") == [str(i) for i in range(20)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_lets_the_runs_save_and_reports_how_it_ended(driver, number):
    process = driver(["long", "stubborn", "b"])
    wait_until(lambda: notes("long", "steps") and notes("stubborn", "steps"))
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number and alive() == [] and "2 run(s) save" in out
    assert [state(f"runs/{n}") for n in ("long", "stubborn", "b")] == ["preempted", "preempted", "waiting"]
    again = driver(["long", "stubborn", "b"])
    again.communicate(timeout=60)
    assert again.returncode == 0 and notes("stubborn", "steps") == [str(i) for i in range(20)]


def test_a_second_ctrl_c_does_not_wait(driver):
    process = driver(["stubborn"])
    wait_until(lambda: notes("stubborn", "steps"))
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "save" in process.stdout.readline())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130 and alive() == [] and state("runs/stubborn") == "interrupted"
