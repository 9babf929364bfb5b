"""Checkpoints: plain data in one file, whole or absent, with a checksum; and the search for the newest valid one.

``epoch_<n>.pth`` holds a run after n epochs, ``iter_<n>.pth`` after n iterations in the middle of an epoch, and
``best.pth`` the best so far. Beside each is ``<name>.sha256`` (``sha256sum -c`` reads it). Files are read with
``weights_only=True`` and nothing else, so a checkpoint cannot run code.
"""
import hashlib
import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from ..workdir.files import write_atomic
from . import tensor_files

NAME = re.compile(r"(epoch|iter)_(\d+)\.pth")
WRAPPERS = ("module.", "_orig_mod.", "model.")  # what DDP, torch.compile and others put before names of parameters
HOLDERS = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema", "network", "module")


def plain(value, where: str = "checkpoint"):
    """``value`` with numpy turned into tensors and numbers, subclasses of dict, list, str ... into the plain type.

    Raises:
        TypeError: something that ``weights_only=True`` could not read back; names its key.
    """
    if value is None or isinstance(value, (bool, torch.dtype, torch.device)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item(), where)
    if isinstance(value, torch.Tensor):
        value = value.detach().as_subclass(torch.Tensor).cpu()
        whole = value.layout != torch.strided or value.untyped_storage().nbytes() <= value.nbytes
        return value if whole else value.clone()  # else the file would hold all that the view was cut from
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, (str, int, float, np.generic)) and key is not None:
                raise TypeError(f"{where}: a key of type {type(key).__name__} cannot be saved; use text or numbers")
        return {plain(k): plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    raise TypeError(f"{where}: {type(value).__name__} cannot be saved, only tensors, numbers, text, None and dicts, "
                    "lists or tuples of them (what weights_only=True reads back); convert it first")


def side_file(path: Path) -> Path:
    """The file of the checksum of ``path``."""
    return path.with_name(path.name + ".sha256")


def _listed(path: Path) -> str:
    """The lines of the side file; empty without one."""
    try:
        return side_file(path).read_text(errors="replace")
    except FileNotFoundError:
        return ""


def save(path, content: dict) -> None:
    """Write ``content`` and its checksum; at any moment ``path`` is absent, the old file or the new one, and valid.

    Raises:
        TypeError: ``content`` is not plain data (nothing is written).
        OSError: disk full, no permission ...; names path and size. What was there before stays as it was.
    """
    path = Path(path)
    buffer = io.BytesIO()
    torch.save(plain(content), buffer)
    data = buffer.getbuffer()
    line, before = f"{hashlib.sha256(data).hexdigest()}  {path.name}\n", ""
    if path.exists():
        before = _listed(path) or f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    # Two files cannot be replaced at once: first allow both checksums, then swap the data, then forget the old one.
    write_atomic(side_file(path), (line + before).encode())
    try:
        write_atomic(path, data)
    except BaseException:
        if not before:
            side_file(path).unlink()
        raise
    if before:
        write_atomic(side_file(path), line.encode())


def verify(path, data) -> None:
    """Compare the bytes of a checkpoint with its side file, or else with the CRCs of its zip archive.

    Raises:
        ValueError: they differ, or the file is empty or cut off.
    """
    lines = _listed(Path(path))
    if not len(data):
        problem = "it is empty"
    elif lines:
        known = {line.split()[0] for line in lines.splitlines() if line.strip()}
        problem = None if hashlib.sha256(data).hexdigest() in known else "its SHA-256 is not that of the side file"
    elif bytes(data[:2]) == b"PK":
        try:
            bad = zipfile.ZipFile(io.BytesIO(data)).testzip()
            problem = f"the CRC of its part {bad} is wrong" if bad else None
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
            problem = f"its archive cannot be read ({error})"
    else:
        problem = None
    if problem:
        raise ValueError(f"{path} is damaged: {problem}; resume from an older checkpoint (--resume takes the newest "
                         "valid one of the work dir) or fetch the file again")


def load(path, map_location="cpu") -> dict:
    """Read a checkpoint, ours or others', after :func:`verify`, as plain data and never as code.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, not a checkpoint, or refused because it holds more than plain data.
        ImportError: a safetensors file without the package that reads it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}")
    data = path.read_bytes()
    verify(path, data)
    if path.suffix == ".safetensors":
        return tensor_files.read_safetensors(path, data)
    try:
        content = torch.load(io.BytesIO(data), map_location=map_location, weights_only=True)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except pickle.UnpicklingError as error:
        reason = " ".join(str(error).split("WeightsUnpickler error:")[-1].split())[:200]
        raise ValueError(f"{path} is refused: it is not plain data that weights_only=True reads ({reason}). Nothing of "
                         "it was executed. Ask its author for a file of the state_dict alone") from error
    except Exception as error:  # torch.load raises almost anything for a file that is none of its own
        if "allocate" in str(error) or "out of memory" in str(error):
            raise
        raise ValueError(f"{path} is no checkpoint that torch can read ({type(error).__name__}: {error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected a dict")
    return content


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


def weights(source) -> dict[str, torch.Tensor]:
    """The model's state dict, of a path or of what :func:`load` gave: our files, ``{"model": ...}`` or a plain one.

    Raises:
        ValueError: no weights in it.
    """
    content = source if isinstance(source, Mapping) else load(source)
    while holder := next((key for key in HOLDERS if isinstance(content.get(key), Mapping)), None):
        content = content[holder]  # also {"state_dict": {"model": ...}}
    if not content or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise ValueError(f"no weights found among the keys {sorted(map(str, content))[:8]}; expected a state dict, or "
                         f"one under any of {', '.join(HOLDERS)}")
    if not all(isinstance(k, str) for k in content):
        raise ValueError("the names of weights must be text")
    while prefix := next((p for p in WRAPPERS if all(k.startswith(p) for k in content)), None):
        content = {k.removeprefix(prefix): v for k, v in content.items()}  # also module.model.
    return dict(content)
