"""Checks of what a user may type."""
import math
import sys
from collections.abc import Iterable, Mapping
from numbers import Integral, Real

from .errors import did_you_mean


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


def check_count(where: str, value, least: int = 1, hint: str = "") -> int:
    """``value`` as an int. Raises ValueError unless it is a whole number of at least ``least``."""
    if not is_whole(value, least):
        raise ValueError(f"{where} must be a whole number of at least {least}{hint}, got {value!r}")
    return int(plain(value))


def check_number(where: str, value, least: float = 0) -> float:
    """``value`` as Python's number. Raises ValueError unless it is a number of at least ``least`` (NaN is not)."""
    if not is_number(value) or not plain(value) >= least:
        raise ValueError(f"{where} must be a number of at least {least}, got {value!r}")
    return plain(value)


def _is_finite(value, whole: bool = False) -> bool:
    kind = Integral if whole else Real
    return isinstance(value, kind) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _interval(low, high, above: bool = False, below: bool = False) -> str:
    return f"{'(' if above else '['}{low:g}, {high:g}{')' if below or high == math.inf else ']'}"


def number(name: str, value, low: float = 0, high: float = math.inf, *, above: bool = False, below: bool = False,
           whole: bool = False, hint: str = ""):
    """``value`` as a finite number of [low, high].

    Args:
        above, below: whether ``low`` or ``high`` itself is refused. whole: only whole numbers. hint: the way out.

    Raises:
        ValueError: no number (bool and str are none), NaN, infinite, out of its range.
    """
    result = plain(value)
    good = _is_finite(result, whole) and (low < result if above else low <= result)
    if not good or not (result < high if below else result <= high):
        real = isinstance(result, Real) and not isinstance(result, bool)
        kind = "must be a whole number in" if whole else "must lie in" if real else "must be a number in"
        raise ValueError(f"{name} {kind} {_interval(low, high, above, below)}, got {value!r}{hint}")
    return int(result) if whole or isinstance(result, int) else float(result)


def pair(name: str, value, low: float = 0, high: float = math.inf, *, above: bool = False,
         whole: bool = False) -> tuple:
    """``value`` as two finite numbers, low <= first <= second <= high.

    Raises:
        ValueError: anything else.
    """
    kind = "two whole numbers" if whole else "two shares" if high == 1 else "two numbers"
    message = f"{name} must be {kind} in {_interval(low, high, above)}, the smaller first, got {value!r}"
    try:
        result = tuple(plain(v) for v in value)
    except TypeError:
        raise ValueError(message) from None
    if len(result) != 2 or not all(_is_finite(v, whole) for v in result) or result[0] > result[1]:
        raise ValueError(message)
    if not (low < result[0] if above else low <= result[0]) or result[1] > high:
        raise ValueError(message)
    return tuple(int(v) if whole or isinstance(v, int) else float(v) for v in result)


def image_shape(name: str, value) -> tuple[int, int, int]:
    """``value``, the side of a square image of three channels or (C, H, W), as (C, H, W).

    Raises:
        ValueError: anything else.
    """
    result = plain(value)
    try:
        shape = tuple(result) if isinstance(result, Iterable) else (3, result, result)
        if len(shape) == 3:
            return tuple(number(name, side, 1, whole=True) for side in shape)
    except ValueError:
        pass
    raise ValueError(f"{name} must be the side of an image, or its (C, H, W), in whole numbers, got {value!r}")


def switch(name: str, value) -> bool:
    """``value`` as True or False.

    Raises:
        ValueError: anything else: the text "false" would count as True.
    """
    result = plain(value)
    if not isinstance(result, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return result


def check_dict(where: str, value) -> None:
    """Raise TypeError unless ``value`` is a dict."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} must be a dict, got {value!r}")


def check_keys(where: str, value, known) -> None:
    """Raise ValueError naming the first key of the dict ``value`` that is not known, with the nearest that is."""
    check_dict(where, value)
    for key in value:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}; {did_you_mean(key, known)}")


def check_choice(where: str, value, known) -> None:
    """Raise ValueError unless ``value`` is one of ``known``."""
    if value not in known:
        raise ValueError(f"{where} must be one of {', '.join(map(repr, known))}, got {value!r}")


def count_classes(head, num_classes=None) -> int | None:
    """How many classes a head is for, by its config and the model's; ValueError where the two differ."""
    own = head.get("num_classes") if isinstance(head, dict) else None
    if None not in (own, num_classes) and own != num_classes:
        raise ValueError(f"head.num_classes is {own!r}, but the model's num_classes is {num_classes!r}; leave it out "
                         "of the head, or make them agree")
    return num_classes if own is None else own


def check_classes(num_classes: int, **parts) -> None:
    """Raise ValueError where a module, or a module inside it, is for another number of classes."""
    for name, part in parts.items():
        for path, module in part.named_modules():
            own = getattr(module, "num_classes", None)
            if is_whole(own) and own != num_classes:
                where = f"{name}.{path}" if path else name
                raise ValueError(f"{where}.num_classes is {own}, but the model has {num_classes} classes; leave it "
                                 "out, or make them agree")
