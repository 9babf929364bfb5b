"""A grid file to its rows: which base config with which mixing method, epochs, options and seeds.

A grid is a Python file of plain values, see docs/how_to/sweeps.md.
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

from ..checks import check_count, is_whole, plain
from ..errors import did_you_mean
from .jobs import check_name, sweep_name

KEYS = ("base", "backbones", "mixups", "epochs", "seeds", "vary", "zipped", "overrides", "exclude", "processes",
        "nodes")
OVERRIDE_KEYS = ("match", "set", "processes", "nodes")
PLACES = ("backbone", "mixup")


@dataclass(frozen=True)
class Row:
    """One config of the sweep, to be trained with each seed.

    Attributes:
        name: of the config file. base: path of the config it starts from, as the grid wrote it.
        backbone: what stands for ``{backbone}``; empty if the base has no such place.
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
        FileNotFoundError: no such file. ValueError, TypeError: a key or value that is not understood; names the place
            and the nearest that is known.
    """
    path = Path(path)
    name = sweep_name(path)
    if path.suffix != ".py" or not path.is_file():
        known = [p.name for p in (path.parent if path.parent.is_dir() else Path()).glob("*.py")]
        problem = f"no grid {path}" if path.suffix == ".py" else f"a grid is a .py file, got {path}"
        raise FileNotFoundError(f"{problem}; in {path.parent}: {did_you_mean(path.name, known)}")
    try:
        found = runpy.run_path(str(path))
    except (Exception, SystemExit) as error:  # a program may fail in any way
        raise ValueError(f"{path} cannot be read as a grid ({type(error).__name__}: {error})") from error
    keys = {k: v for k, v in found.items() if not k.startswith("_") and not isinstance(v, type(re))}
    try:
        return parse(keys, name, path.as_posix())
    except (ValueError, TypeError) as error:
        raise type(error)(f"{path}: {error}") from error


def parse(keys: Mapping, name: str, path: str = "") -> Grid:
    """The rows of a grid given as a dict; see :func:`read_grid`."""
    keys = _python(keys)
    _known("grid", keys, KEYS)
    places = _places(keys)
    overrides = [_override(f"overrides[{i}]", entry) for i, entry in enumerate(_list("overrides", keys))]
    exclude = _list("exclude", keys)
    fixed = dict(seeds=_seeds(keys.get("seeds", 1)), processes=check_count("processes", keys.get("processes", 1)),
                 nodes=check_count("nodes", keys.get("nodes", 1)))
    rows, used = [], set()
    for point in _points(keys, places):
        facts = {k: v for k, v in point.items() if k != "method"}
        if any(_matches(f"exclude[{i}]", rule, facts, used) for i, rule in enumerate(exclude)):
            continue
        more, changes = dict(fixed), {}
        for key, value in (point.get("vary") or {}).items():
            _merge(changes, _nested({key: value}))
        for i, entry in enumerate(overrides):
            if _matches(f"overrides[{i}]", entry.get("match", {}), facts, used):
                _merge(changes, _nested(entry.get("set", {})))
                more |= {k: check_count(f"overrides[{i}].{k}", entry[k]) for k in ("processes", "nodes") if k in entry}
        base = keys["base"].format(backbone=point["backbone"], mixup=point["mixup"].lower())
        rows.append(Row(_row_name(keys["base"], base, point), base, point["backbone"], point["mixup"],
                        point["method"], point["epochs"], changes, **more))
    for where in [*(f"overrides[{i}]" for i in range(len(overrides))), *(f"exclude[{i}]" for i in range(len(exclude)))]:
        if where not in used:
            raise ValueError(f"{where} matches no row of the grid; is a name misspelt?")
    names = [row.name for row in rows]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice or not rows:
        raise ValueError(f"two rows are called {twice[0]!r}; give one of the mixups a name=..." if twice
                         else "the grid has no rows left")
    return Grid(name, path, tuple(rows))


# -- axes ------------------------------------------------------------------------------------------------------


def _places(keys: Mapping) -> set[str]:
    """The places of ``base`` that are filled in."""
    if not isinstance(keys.get("base"), str):
        raise ValueError("the grid has no base: the path of a config, e.g. \"configs/cifar100/r18_{mixup}.py\"")
    found = {name for _, name, _, _ in Formatter().parse(keys["base"]) if name is not None}
    for name in found:
        _known("base", {name: 0}, PLACES, "place")
        if name + "s" not in keys:
            raise ValueError(f"base has a place for {{{name}}}, but the grid has no {name}s")
    if "backbones" in keys and "backbone" not in found:
        raise ValueError(f"backbones need the place {{backbone}} in base, which is {keys['base']!r}")
    return found


def _points(keys: Mapping, places: set[str]):
    """Every combination of the axes: backbone, mixup (name, method), epochs, vary."""
    axes = dict(backbones=[dict(backbone=b) for b in _list("backbones", keys, str) or [""]],
                mixups=[p for i, m in enumerate(_list("mixups", keys) or [None])
                        for p in _mixups(f"mixups[{i}]", m, "mixup" in places)])
    epochs = keys.get("epochs")
    epochs = epochs if isinstance(epochs, (list, tuple)) else [epochs]
    axes["epochs"] = [dict(epochs=e if e is None else check_count("epochs", e)) for e in epochs]
    vary = _dict("vary", keys.get("vary", {}))
    for key in _dotted("vary", vary):
        _plain(f"vary.{key}", vary[key])
        axes[key] = [dict(vary={key: value}) for value in _list(key, vary)]
    zipped = _list("zipped", keys, str)
    _known("zipped", dict.fromkeys(zipped), axes, "axis")
    lengths = {name: len(axes[name]) for name in zipped}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"zipped lists must be equally long, got {lengths}")
    groups = [list(zip(*(axes[name] for name in zipped), strict=True))] if zipped else []
    groups += [[(point,) for point in axes[name]] for name in axes if name not in zipped]
    order = list(axes)
    for combination in itertools.product(*groups):
        point = dict(vary={})
        for part in itertools.chain(*combination):
            point = {**point, **part, "vary": {**point["vary"], **part.get("vary", {})}}
        point["vary"] = {k: point["vary"][k] for k in order if k in point["vary"]}
        yield point


def _mixups(where: str, entry, placed: bool):
    """The points of one entry: a name, or a dict of type and options, of which ``vary`` holds lists to cross."""
    if entry is None or isinstance(entry, str):
        name = entry or ""
        yield dict(mixup=name, method=None if placed or not name else dict(type=name), label="")
        return
    options = dict(_dict(where, entry))
    if not isinstance(options.get("type"), str):
        raise ValueError(f"{where} needs a type, e.g. dict(type=\"CutMix\", alpha=1.0), got {entry!r}")
    label = options.pop("name", None)
    if label is not None and _text(label) != str(label):
        raise ValueError(f"{where}.name is for a file name, of letters, digits and . + - _; got {label!r}")
    vary = _dict(f"{where}.vary", options.pop("vary", {}))
    for values in itertools.product(*(_list(f"{where}.vary.{k}", {f"{where}.vary.{k}": v}) for k, v in vary.items())):
        varied = dict(zip(vary, values, strict=True))
        method = {**options, **varied}
        _plain(where, method)
        named = varied if label else {k: v for k, v in method.items() if k != "type"}
        yield dict(mixup=options["type"], method=method, label=_label(named) if not label else
                   "_".join(filter(None, (str(label), _label(named)))))


def _row_name(pattern: str, base: str, point: Mapping) -> str:
    """The name of the base, with what it lacks of the row's axes."""
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


def _override(where: str, entry) -> dict:
    _known(where, _dict(where, entry), OVERRIDE_KEYS)
    if not set(entry) - {"match"}:
        raise ValueError(f"{where} changes nothing; it needs set=..., processes or nodes")
    _plain(f"{where}.set", _dotted(f"{where}.set", _dict(f"{where}.set", entry.get("set", {}))))
    return entry


def _matches(where: str, rule, facts: Mapping, used: set) -> bool:
    """Whether a row fits all of a rule: values, shell patterns (capital or not) or lists of them."""
    facts = {**facts, **facts["vary"]}
    known = [k for k in facts if k not in ("label", "vary")]
    _known(f"{where}.match" if where.startswith("over") else where, _dict(where, rule), known)
    for key, wanted in rule.items():
        wanted = wanted if isinstance(wanted, (list, tuple)) else [wanted]
        if not any(w == facts[key] if not isinstance(w, str) else
                   fnmatchcase(str(facts[key]).lower(), w.lower()) for w in wanted):
            return False
    used.add(where)
    return True


def _nested(dotted: Mapping) -> dict:
    """``{"a.b": 1}`` as ``{"a": {"b": 1}}``; nested dicts stay."""
    found = {}
    for key, value in dotted.items():
        for part in reversed(key.split(".") if isinstance(key, str) else [key]):
            value = {part: _nested(value) if isinstance(value, Mapping) else value}
        _merge(found, value)
    return found


def _merge(into: dict, new: Mapping) -> None:
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


# -- values ----------------------------------------------------------------------------------------------------


def _known(where: str, found, known, what: str = "key") -> None:
    for key in found:
        if key not in known:
            raise ValueError(f"{where}: unknown {what} {key!r}; {did_you_mean(key, known)}")


def _dict(where: str, value) -> Mapping:
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} must be a dict, got {value!r}")
    return value


def _dotted(where: str, found: Mapping) -> Mapping:
    """``found``, if its keys are names of config keys."""
    for key in found:
        if not isinstance(key, str):
            raise TypeError(f"{where} takes keys of a config like \"optim_wrapper.optimizer.lr\", got {key!r}")
    return found


def _python(value):
    """``value`` with Python's own numbers in the place of NumPy's, so that they can be typed in a config."""
    if isinstance(value, Mapping):
        return {key: _python(inner) for key, inner in value.items()}
    return type(value)(map(_python, value)) if type(value) in (list, tuple) else plain(value)


def _plain(where: str, value) -> None:
    """Raise for a value that cannot be typed in a config."""
    if isinstance(value, (Mapping, list, tuple)):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            _plain(f"{where}.{key}", inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} must be finite, got {value!r}")
    elif value is not None and not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"{where} must be a plain value (number, text, list, dict), got {value!r}")


def _list(where: str, keys: Mapping, kind=object) -> list:
    value = keys.get(where, [])
    if not isinstance(value, (list, tuple)) or where in keys and not value or any(
            not isinstance(v, kind) for v in value):
        what = " of names" if kind is str else ""
        raise TypeError(f"{where} must be a list{what} with something in it, got {value!r}")
    return list(value)


def _seeds(value) -> tuple[int, ...]:
    seeds = tuple(value) if isinstance(value, (list, tuple)) else tuple(range(check_count("seeds", value)))
    if not seeds or len(set(seeds)) < len(seeds) or not all(is_whole(seed, 0) for seed in seeds):
        raise ValueError(f"seeds must be a number of seeds or a list of different ones, got {value!r}")
    return seeds
