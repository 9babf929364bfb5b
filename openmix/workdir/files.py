"""Files of a work dir: written atomically, and where the newest are."""
import contextlib
import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # errors of a disk that is full or fails
ROOM = 64 * 2**10  # bytes that the start of a run writes

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
        durable: also survive a power loss (fsync); leave out for frequent writes that matter little.

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



def last_log(folder: Path) -> Path | None:
    return max(folder.glob("*/*.log"), default=None)


def last_checkpoint(folder: Path) -> Path | None:
    """The one after the most epochs, whose accuracy is nearest to that of the table; else the best one."""
    numbered = [(int(path.stem[6:]), path) for path in folder.glob("epoch_*.pth") if path.stem[6:].isdecimal()]
    best = folder / "best.pth"
    return max(numbered)[1] if numbered else best if best.is_file() else None
