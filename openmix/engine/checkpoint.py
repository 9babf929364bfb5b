"""Checkpoints: plain data in one file, whole or absent, with a checksum.

``epoch_<n>.pth`` holds a run after n epochs, ``iter_<n>.pth`` after n iterations in the middle of an epoch, and
``best.pth`` the best so far. Beside each is ``<name>.sha256`` (``sha256sum -c`` reads it). Files are read with
``weights_only=True`` and nothing else, so a checkpoint cannot run code.
"""
import hashlib
import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ..moved import renamed
from ..workdir.files import write_atomic
from . import tensor_files

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


__getattr__ = renamed(__name__, newest="engine.run_checkpoints.newest",
                      newest_valid="engine.run_checkpoints.newest_valid",
                      prune="engine.run_checkpoints.prune")
