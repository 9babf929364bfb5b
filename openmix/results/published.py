"""Published accuracies as data: with source and caveats (``published_*.json``)."""
import json
from functools import cache
from importlib import resources


@cache
def _data() -> dict:
    """All files together; a table of the same data set and network may be in one of them only."""
    data: dict = dict(sources={}, caveats={}, no_target=[], methods={}, tables=[])
    folder = resources.files("openmix.results")
    for file in sorted((f for f in folder.iterdir() if f.name.startswith("published_")), key=lambda f: f.name):
        if file.name.endswith(".json"):
            content = json.loads(file.read_text(encoding="utf-8"))
            for key in ("tables", "no_target"):
                data[key] += content[key]
            for key in ("sources", "caveats", "methods"):
                data[key] |= content[key]
    return data


def tables() -> list[tuple[str, str]]:
    """(data set, network) of each published table, in the order of the files."""
    return [(table["dataset"], table["network"]) for table in _data()["tables"]]


@cache
def _table(dataset: str, network: str) -> dict:
    return next((t for t in _data()["tables"] if (t["dataset"], t["network"]) == (dataset, network)), {})


def published(dataset: str, network: str, method: str, epochs: int) -> float | None:
    """Published top-1 accuracy in percent; None where there is none.

    Args:
        dataset, network: labels, ``CIFAR-100`` and ``ResNet-18``.
        method: by its published name; :func:`published_name` gives that of a row of ours.
    """
    return _table(dataset, network).get("rows", {}).get(method, {}).get(str(epochs))


def methods(dataset: str, network: str) -> list[str]:
    """Published names of the methods of a table, in its order; empty without a table."""
    return list(_table(dataset, network).get("rows", {}))


def epochs(dataset: str, network: str) -> list[int]:
    """The lengths of training of a published table."""
    rows = _table(dataset, network).get("rows", {}).values()
    return sorted({int(key) for row in rows for key in row if key.isdigit()})


def labels(dataset: str, network: str, method: str) -> list[str]:
    """Labels of the rows of ours that a published row is compared with, the usual one first; empty if there are none.

    They have the published settings, and may differ in what :func:`caveats` names.
    """
    own = _table(dataset, network).get("labels", {})
    if own is None:  # a recipe of which no config is here
        return []
    return own.get(method, _data()["methods"].get(method, {}).get("labels", []))


def published_name(dataset: str, network: str, label: str, recipe: dict | None = None) -> str | None:
    """The published name of the method in a row of ours: ``GridMixup (alpha=0.2)`` was published as ``GridMix``.

    Args:
        recipe: {dotted key: value} of the row's config, for tables that hold a method with several settings: there
            the row must have those of :func:`settings`. By default the first name.
    """
    for name in methods(dataset, network):
        only = settings(dataset, network, name)
        if label in labels(dataset, network, name) and (
                recipe is None or all(recipe.get(key) == value for key, value in only.items())):
            return name
    return None


def settings(dataset: str, network: str, method: str) -> dict:
    """{dotted key: value} that the configs of a published row have; None: the key is not there."""
    return _table(dataset, network).get("only", {}).get(method, {})


def reduction(dataset: str, network: str) -> str:
    """How a table makes one accuracy of those of a run's epochs: ``median`` of the last 10, or ``last``."""
    return _table(dataset, network).get("value", "median")


def columns(dataset: str, network: str) -> list[tuple[str, str]]:
    """(evaluation, value) of the further columns that belong to a table."""
    return [tuple(column.split(".")) for column in _table(dataset, network).get("columns", [])]


def source(dataset: str, network: str) -> dict | None:
    """``name``, ``url`` and ``reduction`` (how an accuracy was made of those of the epochs) of a published table."""
    table = _table(dataset, network)
    if "source" not in table:  # no table, or one whose settings alone are stated
        return None
    return {**_data()["sources"][table["source"]], "reduction": table["reduction"]}


def general_caveats(dataset: str, network: str) -> list[str]:
    """The caveats of all values of a table."""
    return [_data()["caveats"][key] for key in _table(dataset, network).get("caveats", [])]


def caveats(dataset: str, network: str, method: str, epochs: int | None = None) -> list[str]:
    """The caveats of the values of a method, or of one of them; beside :func:`general_caveats`."""
    return [_data()["caveats"][key] for key in _keys(dataset, network, method, epochs)]


def is_target(dataset: str, network: str, method: str, epochs: int) -> bool:
    """Whether there is a value, and nothing known against it that forbids to compare with it."""
    doubts = [*_table(dataset, network).get("caveats", []), *_keys(dataset, network, method, epochs)]
    return published(dataset, network, method, epochs) is not None and not set(doubts) & set(_data()["no_target"])


def _keys(dataset: str, network: str, method: str, epochs: int | None) -> list[str]:
    if method not in methods(dataset, network):
        return []
    also = _table(dataset, network).get("also", {})
    return [*_data()["methods"].get(method, {}).get("caveats", []), *also.get(method, []),
            *also.get(f"{method} {epochs}", [])]
