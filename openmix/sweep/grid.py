"""A grid file to its rows: which base config with which mixing method, epochs, options and seeds.

A grid is a Python file of plain values, see docs/how_to/sweeps.md. Values and not code that yields rows: so a
misspelt name and a rule that fits no row are errors, and each row is named by what sets it apart.
"""
import itertools
import math
import re
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from string import Formatter

from ..checks import check_count, check_dict, check_keys, is_whole, plain
from ..errors import did_you_mean
from .jobs import check_name, sweep_name

KEYS = ("base", "backbones", "mixups", "epochs", "seeds", "vary", "overrides", "exclude", "processes", "nodes")
OVERRIDE_KEYS = ("match", "set", "processes", "nodes")
FIELDS = ("backbone", "mixup")


@dataclass(frozen=True)
class Row:
    """One config of the sweep, to be trained with each seed.

    Attributes:
        name: of the config file. base: path of the config it starts from, as the grid wrote it.
        backbone: the text for ``{backbone}``; empty if the base has no such field.
        mixup: name of the method, as the grid wrote it; empty for that of the base.
        method: ``type`` and options that are set; None for those of the base.
        changes: nested dict of the other keys that differ from the base.
    """

    name: str
    base: str
    backbone: str
    mixup: str
    method: dict | None
    epochs: int | None
    changes: dict = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    processes: int = 1
    nodes: int = 1


@dataclass(frozen=True)
class Grid:
    """``name`` is that of the file, and of the sweep."""

    name: str
    path: str
    rows: tuple[Row, ...]


def read_grid(path) -> Grid:
    """Read and check a grid file. It is a program: read only those you trust.

    Raises:
        FileNotFoundError: no such file. ValueError, TypeError: a key or value that is not understood, named
            and the nearest that is known.
    """
    path = Path(path)
    name = sweep_name(path)
    if path.suffix != ".py" or not path.is_file():
        known = [p.name for p in (path.parent if path.parent.is_dir() else Path()).glob("*.py")]
        problem = f"no grid {path}" if path.suffix == ".py" else f"a grid is a .py file, got {path}"
        raise FileNotFoundError(f"{problem}; in {path.parent}: {did_you_mean(path.name, known)}")
    try:
        names = runpy.run_path(str(path))
    except (Exception, SystemExit) as error:  # a program may fail in any way
        raise ValueError(f"{path} cannot be read as a grid ({type(error).__name__}: {error})") from error
    keys = {k: v for k, v in names.items() if not k.startswith("_") and not isinstance(v, type(re))}
    try:
        return parse(keys, name, path.as_posix())
    except (ValueError, TypeError) as error:
        raise type(error)(f"{path}: {error}") from error


def parse(keys: Mapping, name: str, path: str = "") -> Grid:
    """The rows of a grid given as a dict; see :func:`read_grid`."""
    keys = _python(keys)
    check_keys("grid", keys, KEYS)
    fields = _fields(keys)
    overrides = {f"overrides[{i}]": entry for i, entry in enumerate(_list("overrides", keys))}
    for where, entry in overrides.items():
        _check_override(where, entry)
    exclude = {f"exclude[{i}]": rule for i, rule in enumerate(_list("exclude", keys))}
    fixed = dict(seeds=_seeds(keys.get("seeds", 1)), processes=check_count("processes", keys.get("processes", 1)),
                 nodes=check_count("nodes", keys.get("nodes", 1)))
    rows, used = [], set()
    for point in _points(keys, fields):
        if excluded := [where for where, rule in exclude.items() if _matches(where, rule, point)]:
            used.update(excluded)
            continue
        more, changes = dict(fixed), _nested(point["vary"])
        for where, entry in overrides.items():
            if _matches(f"{where}.match", entry.get("match", {}), point):
                used.add(where)
                _merge(changes, _nested(entry.get("set", {})))
                more |= {k: check_count(f"{where}.{k}", entry[k]) for k in ("processes", "nodes") if k in entry}
        base = keys["base"].format(backbone=point["backbone"], mixup=point["mixup"].lower())
        rows.append(Row(_row_name(keys["base"], base, point), base, point["backbone"], point["mixup"],
                        point["method"], point["epochs"], changes, **more))
    for where in (*overrides, *exclude):
        if where not in used:
            raise ValueError(f"{where} matches no row of the grid; is a name misspelt?")
    names = [row.name for row in rows]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or not rows:
        raise ValueError(f"two rows are called {twice[0]!r}; give one of the mixups a name=..." if twice
                         else "the grid has no rows left")
    return Grid(name, path, tuple(rows))


# -- axes ------------------------------------------------------------------------------------------------------


def _fields(keys: Mapping) -> set[str]:
    """The fields of ``base`` that are filled in."""
    if not isinstance(keys.get("base"), str):
        raise ValueError("the grid has no base: the path of a config, e.g. \"configs/cifar100/r18_{mixup}.py\"")
    fields = {name for _, name, _, _ in Formatter().parse(keys["base"]) if name is not None}
    for name in fields:
        if name not in FIELDS:
            raise ValueError(f"base: unknown field {name!r}; {did_you_mean(name, FIELDS)}")
        if name + "s" not in keys:
            raise ValueError(f"base has a field for {{{name}}}, but the grid has no {name}s")
    if "backbones" in keys and "backbone" not in fields:
        raise ValueError(f"backbones need the field {{backbone}} in base, which is {keys['base']!r}")
    return fields


def _points(keys: Mapping, fields: set[str]):
    """Every combination of backbone, mixup, epochs and vary, with ``method`` and ``label`` of the mixup."""
    mixups = [point for i, entry in enumerate(_list("mixups", keys) or [None])
              for point in _mixups(f"mixups[{i}]", entry, "mixup" in fields)]
    epochs = keys.get("epochs")
    epochs = [n if n is None else check_count("epochs", n)
              for n in (epochs if isinstance(epochs, (list, tuple)) else [epochs])]
    vary = _values("vary", keys.get("vary", {}))
    for backbone, mixup, n, *values in itertools.product(_list("backbones", keys, str) or [""], mixups, epochs,
                                                         *(_list(key, vary) for key in vary)):
        yield dict(backbone=backbone, **mixup, epochs=n, vary=dict(zip(vary, values, strict=True)))


def _mixups(where: str, entry, placed: bool):
    """The points of one entry: a name, or a dict of type and options, of which ``vary`` holds lists to cross."""
    if entry is None or isinstance(entry, str):
        name = entry or ""
        yield dict(mixup=name, method=None if placed or not name else dict(type=name), label="")
        return
    check_dict(where, entry)
    options = dict(entry)
    if not isinstance(options.get("type"), str):
        raise ValueError(f"{where} needs a type, e.g. dict(type=\"CutMix\", alpha=1.0), got {entry!r}")
    label = options.pop("name", None)
    if label is not None and _text(label) != str(label):
        raise ValueError(f"{where}.name is for a file name, of letters, digits and . + - _; got {label!r}")
    vary = options.pop("vary", {})
    check_dict(f"{where}.vary", vary)
    for values in itertools.product(*(_list(f"{where}.vary.{k}", {f"{where}.vary.{k}": v}) for k, v in vary.items())):
        varied = dict(zip(vary, values, strict=True))
        method = {**options, **varied}
        _check_plain(where, method)
        named = varied if label else {k: v for k, v in method.items() if k != "type"}
        yield dict(mixup=options["type"], method=method, label=_label(named) if not label else
                   "_".join(filter(None, (str(label), _label(named)))))


def _row_name(pattern: str, base: str, point: Mapping) -> str:
    """The name of the base and those of the row's axes that it lacks."""
    file = Path(pattern).name
    parts = ["" if "{backbone}" in file or not point["backbone"] else _text(point["backbone"]), _text(Path(base).stem),
             "" if "{mixup}" in file or not point["mixup"] else _text(point["mixup"].lower()), point["label"],
             _label({k.split(".")[-1]: v for k, v in point["vary"].items()}),
             f"ep{point['epochs']}" if point["epochs"] else ""]
    return check_name("a row", "_".join(filter(None, parts)))


def _label(options: Mapping) -> str:
    """``alpha0.5_scope0.1-0.8_layer-input``: options as a part of a file name."""
    return "_".join(f"{key}{'' if _text(value)[0].isdigit() else '-'}{_text(value)}" for key, value in options.items())


def _text(value) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return "-".join(map(_text, value)) or "none"
    return re.sub(r"[^\w.+-]+", "-", str(value), flags=re.A).strip("-") or "x"


# -- rules -----------------------------------------------------------------------------------------------------


def _check_override(where: str, entry) -> None:
    check_keys(where, entry, OVERRIDE_KEYS)
    if not set(entry) - {"match"}:
        raise ValueError(f"{where} changes nothing; it needs set=..., processes or nodes")
    _values(f"{where}.set", entry.get("set", {}))


def _matches(where: str, rule, point: Mapping) -> bool:
    """Whether a row fits all of a rule: values, shell patterns (capital or not) or lists of them."""
    facts = {**{key: point[key] for key in ("backbone", "mixup", "epochs")}, **point["vary"]}
    check_keys(where, rule, facts)
    wanted = {key: value if isinstance(value, (list, tuple)) else [value] for key, value in rule.items()}
    return all(any(_is_like(facts[key], value) for value in values) for key, values in wanted.items())


def _is_like(value, wanted) -> bool:
    return fnmatchcase(str(value).lower(), wanted.lower()) if isinstance(wanted, str) else wanted == value


def _nested(dotted: Mapping) -> dict:
    """``{"a.b": 1}`` as ``{"a": {"b": 1}}``; nested dicts stay."""
    nested: dict = {}
    for key, value in dotted.items():
        for part in reversed(key.split(".") if isinstance(key, str) else [key]):
            value = {part: _nested(value) if isinstance(value, Mapping) else value}
        _merge(nested, value)
    return nested


def _merge(into: dict, new: Mapping) -> None:
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


# -- values ----------------------------------------------------------------------------------------------------


def _values(where: str, values) -> Mapping:
    """``values``, if they are plain ones of config keys."""
    check_dict(where, values)
    for key in values:
        if not isinstance(key, str):
            raise TypeError(f"{where} takes keys of a config like \"optim_wrapper.optimizer.lr\", got {key!r}")
        _check_plain(f"{where}.{key}", values[key])
    return values


def _python(value):
    """``value`` with Python's own numbers instead of NumPy's, so that they can be typed in a config."""
    if isinstance(value, Mapping):
        return {key: _python(inner) for key, inner in value.items()}
    return type(value)(map(_python, value)) if type(value) in (list, tuple) else plain(value)


def _check_plain(where: str, value) -> None:
    """Raise for a value that cannot be typed in a config."""
    if isinstance(value, (Mapping, list, tuple)):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            _check_plain(f"{where}.{key}", inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} must be finite, got {value!r}")
    elif value is not None and not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"{where} must be a plain value (number, text, list, dict), got {value!r}")


def _list(where: str, keys: Mapping, kind=object) -> list:
    value = keys.get(where, [])
    if not isinstance(value, (list, tuple)) or where in keys and not value or any(
            not isinstance(v, kind) for v in value):
        kinds = " of names" if kind is str else ""
        raise TypeError(f"{where} must be a list{kinds} with something in it, got {value!r}")
    return list(value)


def _seeds(value) -> tuple[int, ...]:
    seeds = tuple(value) if isinstance(value, (list, tuple)) else tuple(range(check_count("seeds", value)))
    if not seeds or len(set(seeds)) < len(seeds) or not all(is_whole(seed, 0) for seed in seeds):
        raise ValueError(f"seeds must be a number of seeds or a list of different ones, got {value!r}")
    return seeds
