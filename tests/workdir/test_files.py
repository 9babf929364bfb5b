"""The work dir of a run: whole files, one owner, a status."""
import json
import multiprocessing
import os
import resource
import signal
import socket
import time

import pytest

from openmix import workdir
from openmix.workdir import files

fork = multiprocessing.get_context("fork")


# -- files -----------------------------------------------------------------------------------------------------

def test_json_is_whole_or_as_before(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    workdir.write_json(path, dict(a=1))

    def broke(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", broke)
    with pytest.raises(OSError, match=r"cannot write .*a\.json \(\d+ bytes\): No space left on device; \d+ bytes are"):
        workdir.write_json(path, dict(a=2))
    assert json.loads(path.read_text()) == dict(a=1)
    assert os.listdir(tmp_path) == ["a.json"]


def test_json_holds_no_nan(tmp_path):
    workdir.write_json(tmp_path / "a.json", dict(a=[float("nan"), 1.0, (float("inf"),)], b=dict(c=-float("inf"))))
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == dict(a=[None, 1.0, [None]], b=dict(c=None))


def write_with_little_room(path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        workdir.write_atomic(path, b"x" * 5000)
    except OSError as error:
        os._exit(0 if "5000 bytes" in str(error) else 1)
    os._exit(2)


def test_full_disk_leaves_no_half_file(tmp_path):
    (tmp_path / "a").write_bytes(b"before")
    child = fork.Process(target=write_with_little_room, args=(tmp_path / "a",))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert (tmp_path / "a").read_bytes() == b"before" and os.listdir(tmp_path) == ["a"]


def test_work_dir_is_made(tmp_path):
    assert workdir.check_writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert workdir.check_writable(tmp_path / "a" / "b").is_dir()
    assert os.listdir(tmp_path / "a" / "b") == []


def test_unusable_work_dir_is_a_clear_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=r"cannot use .*file.* as work dir: .*--work-dir"):
            workdir.check_writable(folder)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", denied)
    with pytest.raises(ValueError, match="Permission denied; name a folder you may write to with --work-dir"):
        workdir.check_writable(tmp_path / "new")


# -- lock ------------------------------------------------------------------------------------------------------

def hold(folder, ready):
    with workdir.Lock(folder):
        ready.set()
        time.sleep(600)


@pytest.fixture
def holder(tmp_path):
    ready = fork.Event()
    child = fork.Process(target=hold, args=(tmp_path, ready), daemon=True)
    child.start()
    assert ready.wait(60)
    yield child
    child.kill()
    child.join()


def test_second_process_is_refused_with_the_holders_name(tmp_path, holder):
    with pytest.raises(RuntimeError, match=rf"in use by another run \(pid {holder.pid} on {socket.gethostname()}\)"):
        workdir.Lock(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_lock_of_a_killed_process_is_free(tmp_path, holder, how):
    os.kill(holder.pid, how)
    with workdir.Lock(tmp_path, wait=60):
        assert (tmp_path / ".lock").read_text() == f"pid {os.getpid()} on {socket.gethostname()}\n"


def test_lock_in_one_process_and_release(tmp_path):
    with workdir.Lock(tmp_path) as lock:
        with pytest.raises(RuntimeError, match=f"pid {os.getpid()} "):
            workdir.Lock(tmp_path)
    lock.release()
    with workdir.Lock(tmp_path):
        pass


def test_only_the_first_rank_locks(tmp_path):
    with workdir.Lock(tmp_path, rank=0), workdir.Lock(tmp_path, rank=1):
        pass


# -- status ----------------------------------------------------------------------------------------------------

def test_status_shows_what_a_run_does(tmp_path):
    assert workdir.read_status(tmp_path) == workdir.read_status(tmp_path / "none") == {}
    workdir.write_status(tmp_path, "running", epoch=1, step=7)
    actual = workdir.read_status(tmp_path)
    assert {k: actual[k] for k in ("state", "attempt", "host", "pid", "epoch", "step")} == dict(
        state="running", attempt=1, host=socket.gethostname(), pid=os.getpid(), epoch=1, step=7)
    assert actual["heartbeat"].endswith("+00:00")


def test_attempts_are_counted_over_stops_and_kills(tmp_path):
    def attempt():
        return workdir.read_status(tmp_path)["attempt"]

    for step in range(3):
        workdir.write_status(tmp_path, "running", step=step)
    assert attempt() == 1
    workdir.write_status(tmp_path, "preempted", reason="signal 15")
    assert attempt() == 1 and workdir.read_status(tmp_path)["step"] == 2
    workdir.write_status(tmp_path, "running")
    assert attempt() == 2 and not {"reason", "step"} & workdir.read_status(tmp_path).keys()
    child = fork.Process(target=workdir.write_status, args=(tmp_path, "running"))  # as after a kill -9: never said why
    child.start()
    child.join()
    assert attempt() == 3
    workdir.write_status(tmp_path, "running")
    workdir.write_status(tmp_path, "diverged", reason="nan")
    assert attempt() == 4 and workdir.read_status(tmp_path)["reason"] == "nan"


def test_a_run_that_fails_at_once_counts_as_an_attempt(tmp_path):
    assert workdir.write_status(tmp_path, "invalid", reason="no data")["attempt"] == 1


def test_unknown_state_names_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'diverged'"):
        workdir.write_status(tmp_path, "diverge")


def test_torn_status_reads_as_none(tmp_path):
    (tmp_path / "status.json").write_text('{"state": "runn')
    assert workdir.read_status(tmp_path) == {}
