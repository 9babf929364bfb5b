"""An index of the runs below a folder, so that listing a thousand of them does not read a thousand folders' files.

It is a cache and never the truth: one SQLite file that may be deleted at any time. A run is read again if name, size,
time or inode of one of its files has changed. Where the index cannot be used (damaged, locked, read-only), the files
are read, and a damaged one is made anew.
"""
import json
import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path

from ..version import __version__

NAME = ".openmix_index.sqlite"
FORMAT = f"1 {__version__}"  # of the rows; others are read from the files again
READ = (".json", ".py")  # files of a work dir that facts depend on


def signature(folder) -> str:
    """Changes whenever a file that tells about the run in ``folder`` does."""
    try:
        with os.scandir(folder) as entries:
            files = [(e.name, e.stat()) for e in entries if e.name.endswith(READ) and e.is_file()]
    except OSError as error:  # it is gone meanwhile, or must not be read
        return str(error.errno)
    return " ".join(f"{name}:{s.st_mtime_ns}:{s.st_size}:{s.st_ino}" for name, s in sorted(files, key=lambda f: f[0]))


def facts(root, folders: Iterable[str], read: Callable[[str], dict]) -> list[dict]:
    """``[read(folder) for folder in folders]``, of unchanged folders without reading again.

    Args:
        root: where the index lies. read: gives plain data that goes through JSON unchanged.
    """
    folders = list(folders)
    keys = [os.path.relpath(folder, root) for folder in folders]
    path = Path(root) / NAME
    known = _load(path)
    found, new = [], []
    for key, folder in zip(keys, folders, strict=True):
        now = f"{FORMAT} {signature(folder)}"  # before reading: a file that changes meanwhile is read again next time
        if key in known and known[key][0] == now:
            found.append(json.loads(known[key][1]))
        else:
            found.append(read(folder))
            new.append((key, now, json.dumps(found[-1])))
    gone = known.keys() - set(keys)
    if new or gone:
        _save(path, new, gone)
    return found


def _load(path: Path) -> dict[str, tuple[str, str]]:
    """{folder: (signature, facts as JSON)}; empty if there is no index, or none that can be read."""
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(path, timeout=1)) as base:
            rows = base.execute("SELECT folder, signature, facts FROM runs")
            return {key: (signed, text) for key, signed, text in rows}
    except sqlite3.OperationalError:  # locked for long, or without the table
        return {}
    except sqlite3.DatabaseError:
        with suppress(OSError):  # in a folder one may only read it stays
            path.unlink(missing_ok=True)
        return {}


def _save(path: Path, new: list[tuple], gone: Iterable[str]) -> None:
    try:
        with closing(sqlite3.connect(path, timeout=1)) as base, base:
            base.execute("CREATE TABLE IF NOT EXISTS runs (folder TEXT PRIMARY KEY, signature TEXT, facts TEXT)")
            base.executemany("DELETE FROM runs WHERE folder = ?", [(key,) for key in gone])
            base.executemany("REPLACE INTO runs VALUES (?, ?, ?)", new)
    except sqlite3.Error:  # a folder one may only read, a full disk, another reader that is slow: next time
        pass
