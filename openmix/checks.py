"""Checks of the numbers that users give: NumPy's numbers, and tensors without axes, count as Python's.

A check names the value by ``where``, says what was expected and what came, and returns the number as Python's own.
"""
from numbers import Integral, Real


def plain(value):
    """A NumPy scalar, or an array or tensor without axes, as Python's own value; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def is_whole(value, least: int | None = None) -> bool:
    """Whether ``value`` is a whole number (True and False are none), and at least ``least``."""
    value = plain(value)
    return isinstance(value, Integral) and not isinstance(value, bool) and (least is None or value >= least)


def is_number(value) -> bool:
    """Whether ``value`` is a real number (True and False are none); infinity and NaN are."""
    value = plain(value)
    return isinstance(value, Real) and not isinstance(value, bool)


def check_count(where: str, value, least: int = 1) -> int:
    """``value`` as an int. Raises ValueError unless it is a whole number of at least ``least``."""
    if not is_whole(value, least):
        raise ValueError(f"{where} must be a whole number of at least {least}, got {value!r}")
    return int(plain(value))


def check_number(where: str, value, least: float = 0) -> float:
    """``value`` as Python's number. Raises ValueError unless it is a number of at least ``least`` (NaN is not)."""
    if not is_number(value) or not plain(value) >= least:
        raise ValueError(f"{where} must be a number of at least {least}, got {value!r}")
    return plain(value)
