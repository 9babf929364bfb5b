"""Reading files that anybody may have written: regular files alone, of bounded size, JSON of bounded depth.

A named pipe would make a reader wait for ever, a device never ends, deep nesting exhausts the stack, and numbers
without end would stop their reader. Imports nothing heavy.
"""
import json
import math
import os
import stat
from collections.abc import Callable

MIB = 2**20
DEPTH = 50  # nesting of JSON: records have five levels
DIGITS = 20  # of a whole number: seeds have 64 bits
TEXT = MIB  # characters of one string


def open_regular(path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a regular file, without waiting for anything.

    Raises:
        FileNotFoundError: no such file. OSError: it is a folder, a pipe, a device or a socket, or cannot be opened.
    """
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(f"{os.fspath(path)} is a folder, a pipe or a device where a file is expected")


def read_bytes(path, limit: int = 64 * MIB) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: as :func:`open_regular`. ValueError: it has more than ``limit`` bytes.
    """
    with open(open_regular(path), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{os.fspath(path)} has more than {limit / MIB:g} MiB")
    return data


def read_tail(path, size: int) -> list[str]:
    """The lines in the last ``size`` bytes of a regular file, the first one perhaps cut; none without such a file."""
    try:
        with open(open_regular(path), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size).decode(errors="replace").splitlines()
    except OSError:
        return []


def read_json(path, limit: int = 64 * MIB) -> dict:
    """A JSON object from a regular file; see :func:`parse_json`.

    Raises:
        OSError: it cannot be read. ValueError: it is too large, or holds something else.
    """
    content = parse_json(read_bytes(path, limit))
    if not isinstance(content, dict):
        raise ValueError(f"it holds {type(content).__name__}, not an object")
    return content


def parse_json(text: str | bytes, finite: bool = True):
    """Strict JSON in UTF-8 with at most :data:`DEPTH` levels, :data:`DIGITS` digits and :data:`TEXT` characters.

    Args:
        finite: refuse NaN and infinity, which Python's json reads though JSON has none.

    Raises:
        ValueError: it is not.
    """
    try:
        content = json.loads(text if isinstance(text, str) else text.decode("utf-8"), parse_int=_whole)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEPTH} levels") from None
    _check(content, finite, DEPTH)
    return content


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"it holds a whole number of {len(digits)} digits")
    return int(digits)


def _check(value, finite: bool, levels: int) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, float):
        if finite and not math.isfinite(value):
            raise ValueError(f"it holds {value}, which is no number of JSON")
    elif isinstance(value, (dict, list)):
        if not levels:
            raise ValueError(f"it is nested deeper than {DEPTH} levels")
        for inner in value:
            _check(inner, finite, levels - 1)
        for inner in value.values() if isinstance(value, dict) else ():
            _check(inner, finite, levels - 1)


def check_text(text: str) -> None:
    """Raise ValueError for text that no file can hold (half of a surrogate pair), or that is very long."""
    if len(text) > TEXT:
        raise ValueError(f"it holds a text of {len(text)} characters")
    if not text.isascii():
        try:
            text.encode(errors="surrogateescape")  # paths that are not UTF-8 may pass
        except UnicodeEncodeError:
            raise ValueError("it holds text that is no Unicode (half of a surrogate pair)") from None


# -- the kinds of fields -------------------------------------------------------------------------------------------


def fits(value, kind) -> bool:
    """Whether a value is of a kind: a type or a tuple of types (True is no number), or what a function accepts."""
    if not isinstance(kind, (type, tuple)):
        return kind(value)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def whole(least: int = 0) -> Callable:
    """A kind: whole numbers of at least ``least`` and at most 64 bits."""
    return lambda value: fits(value, int) and least <= value < 2**64


def number(least: float, most: float) -> Callable:
    """A kind: numbers from ``least`` to ``most``."""
    return lambda value: fits(value, (int, float)) and least <= value <= most


def optional(kind) -> Callable:
    """A kind: None too."""
    return lambda value: value is None or fits(value, kind)


def list_of(kind) -> Callable:
    """A kind: lists of values of a kind."""
    return lambda value: isinstance(value, list) and all(fits(inner, kind) for inner in value)


def dict_of(kind) -> Callable:
    """A kind: dicts from text to values of a kind."""
    return lambda value: isinstance(value, dict) and all(fits(inner, kind) for inner in value.values())


def shown(value) -> str:
    """A value in a message: its first 80 characters."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def fitting(values: dict, kinds: dict, wrong: Callable[[str], None] = lambda text: None) -> dict:
    """``values`` without the fields that are not of their kind; each is reported to ``wrong``. Other fields stay."""
    bad = [key for key, kind in kinds.items() if key in values and not fits(values[key], kind)]
    for key in bad:
        wrong(f"{key} is {shown(values[key])}")
    return {key: value for key, value in values.items() if key not in bad}
