"""One process at a time in a work dir."""
import contextlib
import fcntl
import os
import socket
import time
import warnings
from pathlib import Path


class InUse(RuntimeError):
    """Another process holds the lock of a folder; ``holder`` describes it."""

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
        try:
            self.file.seek(0)
            self.before = self.file.read(), os.fstat(self.file.fileno()).st_mtime_ns
            self._note(f"pid {os.getpid()} on {socket.gethostname()}\n")
        except BaseException:  # a full disk: let go, or the same process could not try again
            with contextlib.suppress(OSError):  # of what is still to be written
                self.file.close()
            raise

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
