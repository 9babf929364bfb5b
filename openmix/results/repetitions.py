"""Which runs are repetitions of each other."""
import hashlib
import json
from collections import defaultdict

from ..workdir.description import plain
from ..workdir.identity import canonical
from ..workdir.json_files import fits
from .records import Record

SETTING = ("processes", "precision", "torch", "data")
MANY = 3  # differing keys that a row label spells out; beyond, it names the config by a hash


def recipe(record: Record) -> dict:
    """The leaves of a run's config that make it another experiment: not the seed, and not the number of epochs."""
    return recipe_of(record.config)


def recipe_of(config: dict) -> dict:
    """:func:`recipe` of plain data."""
    leaves = _leaves(canonical(config))
    return {k: v for k, v in leaves.items() if k not in ("randomness.seed", "train_cfg.max_epochs")}


def _leaves(value, key: str = "") -> dict:
    """{dotted key: value}; a list without dicts in it is one value."""
    if isinstance(value, dict) and value:
        items = [(f"{key}.{k}" if key else k, v) for k, v in value.items()]
    elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
        items = [(f"{key}[{i}]", v) for i, v in enumerate(value)]
    else:
        return {key: value}
    return {name: leaf for inner, item in items for name, leaf in _leaves(item, inner).items()}


def setting(record: Record) -> tuple:
    """Processes, precision, major version of torch, data; None where no file has it yet."""
    return record.processes, record.precision or None, record.torch.split(".")[0] or None, _data(record)


def _data(record: Record) -> str | None:
    """The first digits of the data's checksum; of a split that each seed draws anew, of what all the splits share."""
    data = (record.result or {}).get("data", {})
    checksum, selection = data.get("sha256"), data.get("selection")
    if isinstance(selection, dict) and fits(record.seed, int) and selection.get("repetition") == record.seed:
        shared = [data.get("name"), data.get("size"), {k: v for k, v in selection.items() if k != "repetition"}]
        checksum = hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()
    return checksum and checksum[:8]


def variants(method: str, records: list[Record]) -> dict[str, list[Record]]:
    """The runs of one label by row: one row if they agree in everything, else one for each difference.

    A key that a config lacks, as its default holds, adds nothing to the name of its row.
    """
    recipes = {record.config_hash: recipe(record) for record in records}  # runs of equal hash have equal recipes
    texts = {config: json.dumps(leaves, sort_keys=True) for config, leaves in recipes.items()}
    groups = _repetitions(records, texts)
    if len(groups) == 1:
        return {method: next(iter(groups.values()))}
    by_text = {texts[config]: leaves for config, leaves in recipes.items()}
    differing = _differing(by_text.values())
    several = [len({used[i] for _, used in groups} - {None}) > 1 for i in range(len(SETTING))]
    rows = defaultdict(list)
    for (text, used), runs in sorted(groups.items(), key=_first):
        leaves = by_text[text]
        names = [_named(key, differing, leaves[key]) for key in differing if key in leaves]
        if len(differing) > MANY:
            names = [f"config {hashlib.sha256(text.encode()).hexdigest()[:8]}"]
        names += [f"{name} {value}" for name, value, differs in zip(SETTING, used, several, strict=True)
                  if differs and value is not None]
        rows[", ".join([method, *names])] += runs
    return dict(rows)


def _repetitions(records: list[Record], texts: dict[str, str]) -> dict[tuple[str, tuple], list[Record]]:
    """{(recipe, setting): runs that differ in nothing but the seed}.

    A run without a result may not know all of its setting yet: it joins a group of its recipe that it does not
    contradict, so the others come first.
    """
    groups = defaultdict(list)
    for record in sorted(records, key=lambda r: (r.result is None, r.folder)):
        text, used = texts[record.config_hash], setting(record)
        if record.result is None:
            fitting = sorted((other for key, other in groups if key == text and _fits(used, other)), key=str)
            used = fitting[0] if fitting else used
        groups[text, used].append(record)
    return groups


def _first(pair: tuple) -> str:
    """To sort items by their keys, in which some parts may be None."""
    return str(pair[0])


def _fits(used: tuple, other: tuple) -> bool:
    return all(a is None or a == b for a, b in zip(used, other, strict=True))


def _differing(recipes) -> list[str]:
    recipes = list(recipes)
    missing = object()
    return [k for k in sorted(set().union(*recipes)) if any(r.get(k, missing) != recipes[0].get(k, missing)
                                                            for r in recipes)]


def _named(key: str, keys: list[str], value) -> str:
    """``weight_decay=0.0005``, ``loss=SoftmaxBCE``: the last part of the key where that is enough."""
    short = _short(key)
    return f"{key if [_short(k) for k in keys].count(short) > 1 else short}={plain(value)}"


def _short(key: str) -> str:
    return key.removesuffix(".type").rsplit(".", 1)[-1]
