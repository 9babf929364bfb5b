"""A config as plain values, and as text that is read again as the same config."""
import math
import os
from collections.abc import Mapping
from keyword import iskeyword
from pathlib import PurePath

from ...checks import plain

PATHS = ("work_dir", "load_from", "resume")
WIDTH = 120
MOST = 1000  # numbers of an array that may be in a config


def plain_value(value, where: str = "config"):
    """``value`` with Python's own numbers, text for paths and lists for short arrays; without ``_delete_`` keys.

    Raises:
        TypeError: something that cannot be written as text and read again, such as a set or a function; names it.
    """
    value = plain(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, (str, int)):
                raise TypeError(f"{where} has the key {key!r}; keys of a config are text or whole numbers")
        return {key: plain_value(item, f"{where}.{key}") for key, item in value.items() if key != "_delete_"}
    if isinstance(value, (list, tuple)):
        items = [plain_value(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, PurePath):
        return str(value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):  # subclasses too: np.float64, enumerations of text or numbers
            return kind(value) if kind is not str else str.__str__(value)
    if value is None:
        return None
    if hasattr(value, "tolist") and hasattr(value, "shape") and math.prod(value.shape) <= MOST:
        return plain_value(value.tolist(), where)
    kind = value.__name__ if isinstance(value, type) else type(value).__name__
    shown = f"the class {kind}" if isinstance(value, type) else f"of type {kind} ({str(value)[:60]})"
    raise TypeError(f"{where} is {shown}; a config is written into the work dir and read again, so it holds numbers, "
                    "text, True, False, None, lists, tuples and dicts; a class goes by the name it is registered under")


def plain_config(config):
    """A copy of an mmengine ``Config`` with plain values, see :func:`plain_value`, and the home folder for ``~``."""
    copy = config.copy()
    for key, value in config.items():
        value = plain_value(value, str(key))
        copy[key] = os.path.expanduser(value) if key in PATHS and isinstance(value, str) else value
    return copy


def config_text(config) -> str:
    """A config file of plain values: a line ``key = value`` for each key, read again as the same values.

    Raises:
        TypeError: see :func:`plain_value`; a key at the top that cannot be a name.
    """
    values = plain_value(config.to_dict() if hasattr(config, "to_dict") else config)
    for key in values:
        if not (isinstance(key, str) and key.isidentifier()):
            raise TypeError(f"the config has the key {key!r}, which is no name")
    return "".join(f"{key} = {literal(values[key], len(key) + 3)}\n" for key in sorted(values))


def literal(value, used: int = 0, indent: int = 0) -> str:
    """A plain value as Python text, in lines of up to :data:`WIDTH` of which ``used`` are taken."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if isinstance(value, str):
        return repr(value).replace("{{", "{\\x7b")  # mmengine fills in text between double braces
    if not isinstance(value, (Mapping, list, tuple)):
        return repr(value)
    head, tail, items = _parts(value)
    short = head + ", ".join(mark + literal(item, 0, -1) for mark, item in items)
    short += ("," if isinstance(value, tuple) and len(items) == 1 else "") + tail
    if not items or indent < 0 or indent + used + len(short) <= WIDTH - 2:
        return short
    space = " " * (indent + 4)
    lines = [f"{space}{mark}{literal(item, len(mark), indent + 4)},\n" for mark, item in items]
    return f"{head}\n{''.join(lines)}{' ' * indent}{tail}"


def _parts(value) -> tuple[str, str, list]:
    """How a dict, list or tuple begins and ends, and its items, each after its key."""
    if isinstance(value, Mapping):
        words = all(isinstance(key, str) and key.isidentifier() and not iskeyword(key) for key in value)
        items = [(f"{key}=" if words else f"{key!r}: ", item) for key, item in value.items()]
        return ("dict(", ")", items) if words else ("{", "}", items)
    return ("[", "]", [("", item) for item in value]) if isinstance(value, list) else (
        "(", ")", [("", item) for item in value])
