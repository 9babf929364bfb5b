"""Commands of runs, and what the files of a work dir say became of one, killed ones included."""
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openmix import workdir
from openmix.sweep.jobs import Job, command, load_jobs, record_exit, run_list, write_list
from openmix.workdir.status import is_alive, state

JOB = Job("r18_mixup/seed1", "configs/sweeps/s/r18_mixup.py", 1, "w/r18_mixup/seed1")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").mkdir()


def put(file, **content):
    workdir.write_json(f"w/{file}", content)


# -- commands and lists ----------------------------------------------------------------------------------------


def test_the_command_is_plain_and_the_same_for_every_start():
    line = shlex.join(command(JOB))
    assert line == (f"{sys.executable} -m openmix train configs/sweeps/s/r18_mixup.py --seed 1 "
                    "--work-dir w/r18_mixup/seed1 --resume")


def test_several_processes_are_started_by_torchrun():
    job = Job("a/seed0", "c.py", 0, "w/a", processes=2)
    assert command(job)[1:3] == ["-m", "openmix.engine.distributed.processes"]
    assert command(job)[3:6] == ["--standalone", "--nnodes=1", "--nproc_per_node=2"]
    assert command(job)[-2:] == ["--launcher", "pytorch"]
    wide = command(Job("a/seed0", "c.py", 0, "w/a", nodes=2), "--rdzv-endpoint=host:29500")
    assert wide[3:6] == ["--rdzv-endpoint=host:29500", "--nnodes=2", "--nproc_per_node=1"]


@pytest.mark.parametrize("named", ["s", "grids/s.py", "configs/sweeps/s", "configs/sweeps/s/runs.json"])
def test_a_run_list_comes_back_as_it_was_written_however_it_is_named(named):
    run_list("s").parent.mkdir(parents=True)
    jobs = [JOB, Job("b/seed0", "b.py", 0, "w/b", processes=4, nodes=2, epochs=7, config_hash="ab")]
    write_list(run_list("s"), jobs, grid="s.py")
    assert load_jobs(named) == jobs


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 1, "jobs": [{"nam', '{"schema": 1, "jobs": [{"name": "a"}]}',
                                     '{"schema": 2, "jobs": []}'])
def test_a_list_that_is_torn_or_of_another_version_says_how_to_write_it_anew(content):
    run_list("s").parent.mkdir(parents=True)
    run_list("s").write_text(content)
    with pytest.raises(ValueError, match="openmix sweep make"):
        load_jobs("s")


def test_a_sweep_that_was_not_made_names_the_nearest():
    run_list("cifar100_r18").parent.mkdir(parents=True)
    write_list(run_list("cifar100_r18"), [JOB])
    with pytest.raises(FileNotFoundError, match="did you mean 'cifar100_r18'"):
        load_jobs("configs/grids/cifar10_r18.py")


# -- states ----------------------------------------------------------------------------------------------------


def test_nothing_there_is_waiting():
    assert state("w") == state("none") == "waiting"


@pytest.mark.parametrize("last", ["preempted", "diverged", "oom", "invalid", "failed"])
def test_what_a_run_wrote_last_is_its_state(last):
    workdir.write_status("w", last)
    assert state("w") == last


def test_running_is_believed_only_while_the_process_holds_the_lock():
    workdir.write_status("w", "running", epoch=3)
    assert state("w") == "interrupted"
    with workdir.Lock("w"):
        assert is_alive("w") and state("w") == "running"
    assert not is_alive("w") and state("w") == "interrupted"


def test_a_run_that_was_killed_with_minus_nine_is_interrupted_at_once():
    code = ("import time; from openmix import workdir; lock = workdir.Lock('w'); "
            "workdir.write_status('w', 'running'); print('ready', flush=True); time.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(workdir.__file__).rsplit("/openmix/", 1)[0]})
    assert process.stdout.readline() == "ready\n" and state("w") == "running"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert state("w") == "interrupted"


def test_a_run_that_goes_on_is_running_whatever_the_files_of_its_earlier_part_say():
    workdir.write_status("w", "preempted")
    with workdir.Lock("w"):
        assert state("w") == "running"


def test_done_is_what_has_a_result_and_nothing_else():
    workdir.write_status("w", "done")
    assert state("w") == "interrupted", "the result is lost: the run writes it again from its checkpoint"
    put("result.json", schema=1, status="done")
    assert state("w") == "done"
    workdir.write_status("w", "running")  # killed between the result and the last status
    assert state("w") == "done"


@pytest.mark.parametrize("torn", ['{"schema": 1, "status": "do', "", "[1]"])
def test_a_torn_result_is_no_result(torn):
    workdir.write_status("w", "done")
    (Path("w") / "result.json").write_text(torn)
    assert state("w") == "interrupted"


@pytest.mark.parametrize("text", ["[]", '"x"', "3", "null"])
def test_a_status_that_is_no_dict_is_no_status(text):
    (Path("w") / "status.json").write_text(text)
    assert workdir.read_status("w") == {} and state("w") == "waiting"
    assert workdir.write_status("w", "running")["attempt"] == 1


def test_a_folder_in_place_of_the_status_is_no_status():
    (Path("w") / "status.json").mkdir()
    assert workdir.read_status("w") == {} and state("w") == "waiting"


def test_many_lookers_do_not_keep_a_run_from_its_lock():
    """Each holds the lock for a moment, all of them together nearly always."""
    import threading

    (Path("w") / ".lock").touch()
    over = threading.Event()

    def look():
        while not over.is_set():
            is_alive("w")
            over.wait(0.001)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(30):
            workdir.Lock("w", wait=2).release()
    finally:
        over.set()
        for looker in lookers:
            looker.join()


def test_looking_at_a_run_does_not_keep_it_from_starting():
    for _ in range(20):
        is_alive("w")
        with workdir.Lock("w"):
            assert is_alive("w")


def test_where_locks_do_not_work_the_heartbeat_decides(monkeypatch):
    def refuse(*_):
        raise OSError(95, "not supported")

    (Path("w") / ".lock").touch()
    monkeypatch.setattr("fcntl.flock", refuse)
    workdir.write_status("w", "running")
    assert state("w") == "running"
    workdir.write_status("w", "running", heartbeat="2020-01-01T00:00:00+00:00")
    assert state("w") == "interrupted"


# -- the end of a start ----------------------------------------------------------------------------------------


AT = Job("a/seed0", "c.py", 0, "w")


@pytest.mark.parametrize("code, ended", [(1, "failed"), (2, "invalid"), (3, "diverged"), (0, "failed")])
def test_what_the_run_could_not_write_is_written_for_it(code, ended):
    assert record_exit(AT, code, "the last line") == ended == state("w")
    assert "the last line" in json.loads((Path("w") / "status.json").read_text())["reason"]


@pytest.mark.parametrize("code", [-9, -15, 137, 143])
def test_a_death_by_signal_is_no_failure(code):
    assert record_exit(AT, code) == "interrupted"
    workdir.write_status("w", "running")
    assert record_exit(AT, code) == "interrupted"
    workdir.write_status("w", "preempted")
    assert record_exit(AT, code) == "preempted"


def test_an_old_status_does_not_hide_that_this_start_failed():
    before = workdir.write_status("w", "preempted")
    assert record_exit(AT, 2, "unknown key", before) == "invalid"
    before = workdir.write_status("w", "failed", reason="the disk was full")
    assert record_exit(AT, 2, "unknown key", before) == "invalid"
    assert workdir.read_status("w")["reason"] == "unknown key"
    assert record_exit(AT, -9, "", workdir.read_status("w")) == "interrupted", "killed before it wrote anything"


def test_torchrun_ends_with_one_whatever_happened_so_the_files_decide():
    pair = Job("a/seed0", "c.py", 0, "w", processes=2)
    time.sleep(0.01)
    workdir.write_status("w", "preempted")
    assert record_exit(pair, 1) == "preempted"
    workdir.write_status("w", "running")
    assert record_exit(pair, 1) == "interrupted", "one of its processes was killed"
    assert record_exit(AT, 1, "out of luck") == "failed", "but the status of one process alone counts"


def test_what_another_process_trains_meanwhile_is_running():
    workdir.write_status("w", "preempted")
    with workdir.Lock("w"):
        assert record_exit(AT, 2, "in use") == "running"
