"""The folder of one run: files that are written whole or not at all, its lock and its status."""
import contextlib
import errno
import fcntl
import json
import math
import os
import shutil
import socket
import tempfile
import time
import warnings
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from ..errors import did_you_mean
from .files import fits, fitting, number, read_json, whole
from .provenance import (  # noqa: F401  what the files of a work dir say about the run
    RESUMABLE,
    canonical,
    config_difference,
    config_hash,
    environment,
    hardware,
    kernels,
    refuse_secrets,
    version,
)

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # errors of a disk that is full or fails
ROOM = 64 * 2**10  # bytes that the start of a run writes
TERMINAL = ("done", "diverged", "oom", "invalid", "failed")
STATES = ("running", "preempted", *TERMINAL)
STATUS = dict(  # the kinds of the fields of status.json
    state=lambda value: fits(value, str) and value in STATES, attempt=whole(), epoch=whole(), step=whole(), pid=whole(),
    process_started=number(0, 1e12), host=str, heartbeat=str, reason=str)
STARTED = round(time.time(), 3)  # with pid and host: which process this is (pids repeat in containers)

# -- files -----------------------------------------------------------------------------------------------------

def sync_folder(folder) -> None:
    """Make the names in ``folder`` survive a power loss, where the file system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:  # some network file systems cannot; the data itself is safe
        pass
    finally:
        os.close(handle)


def write_atomic(path, data: bytes, durable: bool = True) -> None:
    """Write ``data`` so that ``path`` is at any moment either as it was or complete.

    Args:
        durable: also survive a power loss (fsync); leave out for what is written often and matters little.

    Raises:
        OSError: disk full, no permission ...; names the path and the sizes. The old file stays, no half file does.
    """
    path, data = Path(path), memoryview(data)
    tmp = path.with_name(path.name + ".tmp")
    try:
        with open(tmp, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(tmp, path)
    except OSError as error:
        reason = f"cannot write {path} ({data.nbytes} bytes): {error.strerror or error}{_room(path.parent)}"
        raise OSError(error.errno, reason) from error
    finally:
        if os.path.lexists(tmp):
            tmp.unlink()
    if durable:
        sync_folder(path.parent)


def _room(folder: Path) -> str:
    return f"; {shutil.disk_usage(folder).free} bytes are free there" if folder.is_dir() else "; no such folder"


def write_json(path, data, durable: bool = True) -> None:
    """``data`` as JSON, atomically. NaN and infinity become null, bytes of names that are no UTF-8 ``\\udcff``."""
    write_atomic(path, (json.dumps(_plain(data), indent=2) + "\n").encode(), durable)


def _plain(value):
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, str):  # a message may name a file whose name is no UTF-8
        return value.encode(errors="backslashreplace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def naming(folder):
    """An error of the disk in here names ``folder`` and the room there, unless it does so already."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK or "bytes are free" in str(error):
            raise
        reason = f"cannot write in {folder}: {error.strerror or error}{_room(Path(folder))}"
        raise OSError(error.errno, reason) from error


def check_writable(work_dir) -> Path:
    """Make ``work_dir`` and check that files can be written in it.

    Raises:
        ValueError: it cannot be made or written to. OSError: the disk is full.
    """
    work_dir = Path(work_dir)
    try:
        with naming(work_dir):
            work_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=work_dir) as file:
                file.write(bytes(ROOM))
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        if error.errno in DISK:
            raise
        raise ValueError(f"cannot use {work_dir} as work dir: {error.strerror or error}; "
                         "name a folder you may write to with --work-dir") from error
    return work_dir


def holds_run(work_dir) -> bool:
    """Whether a run has begun in ``work_dir``: it left a checkpoint or a result, or its status says more than refused.
    """
    work_dir = Path(work_dir)
    begun = read_status(work_dir).get("state") in {*STATES} - {"invalid"}
    return begun or (work_dir / "result.json").is_file() or any(work_dir.glob("*.pth*"))


class InUse(RuntimeError):
    """Another process holds the lock of a folder; ``holder`` says which."""

    def __init__(self, folder, holder: str):
        super().__init__(f"{folder} is in use by another run ({holder}); "
                         "wait for it, stop it, or choose another --work-dir")
        self.holder = holder


class Lock:
    """One run a work dir: an advisory lock that the kernel releases when the process ends, however it ends.

    Args:
        rank: of this process; the first one holds the lock for all of a run.
        wait: seconds to wait for a holder that is about to leave (a restart overlaps the process it replaces, and who
            looks whether a run is alive holds its lock for a moment).
        name: of the lock file.

    Raises:
        InUse: another process holds the lock; names its pid and host.
    """

    def __init__(self, work_dir, rank: int = 0, wait: float = 0.0, name: str = ".lock"):
        self.path, self.file, self.before = Path(work_dir) / name, None, None
        if rank == 0:
            self._acquire(wait)

    def _acquire(self, wait: float) -> None:
        self.file = open(self.path, "a+")
        deadline = time.monotonic() + wait
        while not self._take():
            if time.monotonic() >= deadline:
                self.file.seek(0)
                holder = self.file.read().strip() or "unknown process"
                self.file.close()
                raise InUse(self.path.parent, holder)
            time.sleep(0.1)
        self.file.seek(0)
        self.before = self.file.read(), os.fstat(self.file.fileno()).st_mtime_ns
        self._note(f"pid {os.getpid()} on {socket.gethostname()}\n")

    def _note(self, text: str) -> None:
        self.file.truncate(0)
        self.file.write(text)
        self.file.flush()

    def _take(self) -> bool:
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:  # a file system without locks
            warnings.warn(f"{self.path} cannot be locked ({error}): make sure that no second run uses this folder",
                          stacklevel=3)
        return True

    def release(self, untouched: bool = False) -> None:
        """Let others in. ``untouched`` leaves the file as it was before, with its time."""
        if self.file is not None and not self.file.closed:
            text, modified = self.before if untouched else ("", None)
            self._note(text)
            if untouched:
                os.utime(self.path, ns=(modified, modified))
            fcntl.flock(self.file, fcntl.LOCK_UN)
            self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()


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
    kept = {} if begins else {k: v for k, v in old.items() if k != "reason"}
    new = {**kept, "state": state, "attempt": old.get("attempt", 0) + (begins or not old), **me,
           "heartbeat": datetime.now(timezone.utc).isoformat(timespec="seconds"), **info}
    write_json(Path(work_dir) / "status.json", new, durable=state != "running")
    return new
