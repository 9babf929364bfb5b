"""The status of a run: ``status.json`` and the processes behind it."""
import fcntl
import os
import socket
import time
from datetime import datetime, timezone
from pathlib import Path

from ..errors import did_you_mean
from .files import write_json
from .json_files import fits, fitting, number, open_regular, read_json, whole

TERMINAL = ("done", "diverged", "oom", "invalid", "failed")
STATES = ("running", "preempted", *TERMINAL)
STATUS = dict(  # the kinds of the fields of status.json
    state=lambda value: fits(value, str) and value in STATES, attempt=whole(), epoch=whole(), step=whole(), pid=whole(),
    process_started=number(0, 1e12), host=str, heartbeat=str, reason=str)
STARTED = round(time.time(), 3)  # with pid and host: which process this is (pids repeat in containers)


# -- status ----------------------------------------------------------------------------------------------------

def read_status(work_dir) -> dict:
    """The run's ``status.json``, without fields of a wrong kind; empty where there is none that can be read."""
    try:
        return fitting(read_json(Path(work_dir) / "status.json"), STATUS)
    except (OSError, ValueError):
        return {}


def write_status(work_dir, state: str, **info) -> dict:
    """Write ``status.json``: state, attempt, host, pid, heartbeat (UTC) and ``info`` (step, epoch, reason ...).

    The first ``running`` of a process, and one after any other state, begins a new attempt. Later calls keep the
    ``info`` of earlier ones of the same attempt, except ``reason``, which belongs to one state.

    Args:
        state: one of :data:`STATES`.

    Raises:
        OSError: the file could not be written (a training should go on without).
    """
    if state not in STATES:
        raise ValueError(f"unknown state {state!r}; {did_you_mean(state, STATES)}")
    old = read_status(work_dir)
    me = dict(host=socket.gethostname(), pid=os.getpid(), process_started=STARTED)
    begins = state == "running" and (old.get("state") != "running" or any(old.get(k) != v for k, v in me.items()))
    before = {} if begins else {k: v for k, v in old.items() if k != "reason"}
    new = {**before, "state": state, "attempt": old.get("attempt", 0) + (begins or not old), **me,
           "heartbeat": datetime.now(timezone.utc).isoformat(timespec="seconds"), **info}
    write_json(Path(work_dir) / "status.json", new, durable=state != "running")
    return new


SILENCE = 300  # seconds without a heartbeat after which a run is taken for dead where locks do not work


# -- the state of a run -----------------------------------------------------------------------------------------


def is_alive(work_dir) -> bool:
    """Whether a process trains in ``work_dir`` now: it holds the lock, which the kernel takes away when it dies."""
    try:
        with open(open_regular(Path(work_dir) / ".lock")) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: believe the heartbeat
        return _silence(read_status(work_dir)) < SILENCE


def _silence(status: dict) -> float:
    """Seconds since the last heartbeat."""
    try:
        return (datetime.now(timezone.utc) - datetime.fromisoformat(status["heartbeat"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return float("inf")


def read_result(work_dir) -> dict:
    """``result.json`` if there is a readable one, else nothing; :mod:`openmix.workdir.schema` reads it strictly."""
    try:
        return read_json(Path(work_dir) / "result.json")
    except (OSError, ValueError):
        return {}


def state(work_dir) -> str:
    """``waiting`` (not started), ``running``, ``preempted`` (stopped, saved), ``interrupted`` (killed), or the end:
    ``done``, ``diverged``, ``oom``, ``invalid``, ``failed``.

    A run that was killed leaves ``running`` in its files; whether it still runs is asked of its lock.
    """
    if read_result(work_dir).get("status") == "done":  # also if it was killed before it wrote the last status
        return "done"
    recorded = read_status(work_dir).get("state")
    if recorded in TERMINAL and recorded != "done" or recorded is None and not is_alive(work_dir):
        return recorded or "waiting"
    if recorded == "preempted" and not is_alive(work_dir):
        return recorded
    return "running" if is_alive(work_dir) else "interrupted"



def holds_run(work_dir) -> bool:
    """Whether a run has begun in ``work_dir``: it left a checkpoint or a result, or its status is more than refused.
    """
    work_dir = Path(work_dir)
    begun = read_status(work_dir).get("state") in {*STATES} - {"invalid"}
    return begun or (work_dir / "result.json").is_file() or any(work_dir.glob("*.pth*"))
