"""The checkpoints of a work dir: the newest, a damaged one, those to remove."""
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from .checkpoint import load, side_file

NAME = re.compile(r"(epoch|iter)_(\d+)\.pth")


def _position(path: Path) -> tuple[int, int] | None:
    """(epochs completed, iterations done) of a checkpoint, from its name and ``meta``; None if that is unreadable."""
    kind, number = NAME.fullmatch(path.name).groups()
    try:  # memory-mapped: reads the small things, not the tensors
        content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
        meta = content.get("meta") or {}
        epoch, iteration = int(meta.get("epoch", -1)), int(meta.get("iter", -1))
    except MemoryError:
        raise
    except Exception:
        return None
    return (int(number), iteration) if kind == "epoch" else (epoch, int(number))


def _checkpoints(work_dir) -> list[tuple[tuple[int, int] | None, Path]]:
    """(position, path) of the checkpoints a run can resume from, newest first, unreadable ones before all."""
    files = [(_position(p), p) for p in Path(work_dir).glob("*.pth") if NAME.fullmatch(p.name)]
    return sorted(files, key=lambda pair: (pair[0] is None, pair[0] or (0, 0), pair[1].name), reverse=True)


def newest(work_dir) -> Path | None:
    """The newest checkpoint whose position can be read, without a lock and without touching anything."""
    return next((path for position, path in _checkpoints(work_dir) if position is not None), None)


def newest_valid(work_dir, warn: Callable[[str], None] | None = None) -> Path | None:
    """The checkpoint to resume from; None where the run has saved none yet. Call it with the work dir locked.

    Nothing is touched, as the run may yet be refused; damaged files are reported to ``warn`` (a warning by default).

    Raises:
        ValueError: there were checkpoints and none is valid. A run never starts again silently.
    """
    work_dir, warn = Path(work_dir), warn or (lambda message: warnings.warn(message, stacklevel=3))
    for _, path in _checkpoints(work_dir):
        try:
            load(path)
            return path
        except ValueError as error:
            warn(f"{error}. Trying the one before")
    damaged = sorted(p.name for p in work_dir.glob("*.pth*") if NAME.fullmatch(p.name.removesuffix(".corrupt")))
    if damaged:
        raise ValueError(f"{work_dir} has no valid checkpoint left, only {', '.join(damaged)}; to train from the "
                         "beginning remove them or choose another --work-dir")
    return None


def set_aside(work_dir, resumed: Path | None, warn: Callable[[str], None]) -> None:
    """Once a run goes on from ``resumed``: rename newer checkpoints, which are damaged, ``*.corrupt``, with a warning.

    What a crashed save left is removed.
    """
    work_dir = Path(work_dir)
    for tmp in (*work_dir.glob("*.pth.tmp"), *work_dir.glob("*.pth.sha256.tmp")):
        tmp.unlink()
    for side in work_dir.glob("*.pth.sha256"):
        if not side.with_suffix("").exists():
            side.unlink()
    for _, path in _checkpoints(work_dir):
        if path == resumed:
            return
        corrupt = path.replace(path.with_name(path.name + ".corrupt"))
        side_file(path).unlink(missing_ok=True)
        warn(f"{path} is damaged: renamed {corrupt.name}")


def prune(work_dir, keep: int) -> None:
    """Delete all but the newest ``keep`` checkpoints (``best*`` not counted). Call it after the new one is saved.

    Raises:
        ValueError: ``keep`` is below 1.
    """
    if keep < 1:
        raise ValueError(f"at least one checkpoint must be kept, got {keep}")
    for _, path in [file for file in _checkpoints(work_dir) if file[0] is not None][keep:]:
        try:
            path.unlink()
            side_file(path).unlink(missing_ok=True)
        except OSError as error:
            warnings.warn(f"old checkpoint not deleted: {error}", stacklevel=2)
