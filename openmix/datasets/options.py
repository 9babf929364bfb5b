"""Options that data sets share: whole numbers, channel statistics, paths, names of classes."""
import math
import os
from collections.abc import Mapping
from pathlib import Path

import torch


def statistics(name: str, values, default, channels: int | None = 3, pixels: bool = True) -> tuple | None:
    """``mean`` or ``std`` of the channels from any sequence, array or tensor of one number a channel.

    Args:
        values: None for ``default``, which may be None. channels: how many numbers; None for any.
        pixels: whether they are of uint8 images, in units of pixel / 255.

    Raises:
        ValueError: another count, a number that is not finite, of pixels one outside [0, 1], or a ``std`` of 0.
    """
    values = default if values is None else values
    if values is None:
        return None
    try:
        numbers = tuple(torch.as_tensor(values, dtype=torch.float64).flatten().tolist())
    except (TypeError, ValueError, RuntimeError):
        numbers = ()
    counted = len(numbers) == channels or channels is None and len(numbers) > 0
    in_range = all(0 <= v <= 1 if pixels else math.isfinite(v) for v in numbers)
    if not counted or not in_range or name.endswith("std") and min(numbers) <= 0:
        unit = " in units of pixel / 255, so in [0, 1]" if pixels else ""
        raise ValueError(f"{name} must be {count_of_numbers(channels)}{unit}"
                         f"{' and above 0' * name.endswith('std')}, got {values!r}")
    return numbers


def count_of_numbers(channels: int | None) -> str:
    """"three numbers" and the like, for errors."""
    return {None: "one number a channel", 1: "one number", 3: "three numbers"}.get(channels, f"{channels} numbers")


def with_seed(cfg, seed: int):
    """``cfg`` (plain data) with the run's seed wherever it holds the text ``"{seed}"``.

    A data set that is drawn anew for each run, such as the folds of a table, takes its number from there.
    """
    if isinstance(cfg, Mapping):
        return {key: with_seed(value, seed) for key, value in cfg.items()}
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(with_seed(value, seed) for value in cfg)
    return seed if cfg == "{seed}" else cfg


def local_path(path) -> Path:
    """``path`` with ``~`` expanded to the home folder."""
    return Path(path).expanduser()


def printable(text) -> str:
    """``text`` (a path, a name) as text that any terminal and file takes; bytes that are no UTF-8 become ``\\xff``."""
    return str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def class_names(classes, where: str = "classes") -> list[str]:
    """Names of classes as a list of different texts; bytes are decoded, numbers written out.

    Args:
        classes: a sequence or array of names, or a dict {number: name} that counts from 0.

    Raises:
        TypeError: no sequence of names. ValueError: a name that occurs twice, a dict with gaps.
    """
    if isinstance(classes, Mapping):
        keys = {int(k): v for k, v in classes.items() if str(k).isdecimal()}
        if sorted(keys) != list(range(len(classes))):
            raise ValueError(f"{where} as a dict must count from 0 without gaps, got the keys {list(classes)[:5]}")
        classes = [keys[k] for k in range(len(keys))]
    try:
        names = classes.tolist() if hasattr(classes, "tolist") else list(classes)
    except TypeError:
        names = None
    if not isinstance(names, list) or any(isinstance(name, (list, tuple, dict)) or name is None for name in names):
        raise TypeError(f"{where} must be a flat list of names, got {classes!r}")
    names = [printable(name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name) for name in names]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"{where}: {listed(twice)} occurs more than once; each class needs a name of its own")
    return names


def listed(names, most: int = 5) -> str:
    """The first names, and how many more there are."""
    names = [printable(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def lies_in(path, folder) -> bool:
    """Whether the real path ``path`` is the real path ``folder`` or below it."""
    same_drive = os.path.splitdrive(path)[0] == os.path.splitdrive(folder)[0]
    return same_drive and os.path.commonpath([path, folder]) == folder
