"""``result.json``: the outcome of a run, in schema 2. Tables are made of these files alone.

Accuracies are in percent. The history is a list with one plain dict an epoch, which the checkpoint carries::

    dict(epoch=1, lr=0.1, seconds=9.5, img_s=5260.0, train=dict(loss=...), val=dict(net=dict(top1=..., top5=...)),
         evals=dict(cal=dict(type="Calibration", main="ece", data=dict(name=..., split=..., images=..., sha256=...),
                             networks=dict(net=dict(ece=..., nll=..., brier=...)))))

``val`` is None in epochs that were not evaluated; ``evals`` is there where named evaluations ran. On a CPU,
``cpu_img_s`` are the images for each second of processor time. In a result, ``networks[name]`` holds the validation's
curve of each value by its name, and ``median_last10``, ``best`` and ``last`` of the value that ``main`` names;
``evals[name]`` holds the newest values of each named evaluation, with their epoch.
"""
import statistics
from collections.abc import Iterable
from pathlib import Path

from .files import write_json
from .json_files import fits, list_of, optional, read_json, shown

SCHEMA = 2
SUMMARY = ("median_last10", "best", "last")  # what a network has beside its curves
WINDOW = 10  # epochs that the reported median is taken over


def build(history: Iterable[dict], *, status: str, config: str, config_hash: str, data: dict, seed: int, processes: int,
          total_batch: int, parameters: int, max_epochs: int, wall_s: float, peak_memory_mib: float,
          primary: str | None = None, main: str | None = None, lower_is_better: bool = False, split: str = "test",
          **more) -> dict:
    """The content of ``result.json``.

    Args:
        history: one dict an epoch (see above); of an epoch that appears twice the later entry counts.
        status: how the run ended, ``done`` or one of the other terminal states.
        config, config_hash: path of the config and the hash of what in it matters to training.
        data: name, sha256 and whether it is the official data set.
        parameters: of the primary network.
        max_epochs: epochs that were planned.
        wall_s, peak_memory_mib: seconds over all attempts; MiB of the device, of the process on CPU.
        primary: the network whose accuracy is the run's, named in advance; by default the first evaluated one.
        main: name of the value a run is judged by; by default the accuracy of the smallest k.
        lower_is_better: whether the lowest main value is the best.
        split: which images the accuracies were measured on, ``test`` or ``val`` (a part held out of training).
        more: further plain facts (hardware, precision, reason ...).

    Raises:
        ValueError: ``primary`` was not evaluated, a value or one of ``more`` would hide a field of the schema.
    """
    entries = {entry["epoch"]: entry for entry in history}
    epochs = max(entries, default=0)
    rows = [(entries.get(epoch) or {}).get("val") or {} for epoch in range(1, epochs + 1)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if names and primary is None:
        primary = names[0]
    if names and primary not in names:
        raise ValueError(f"the primary network {primary!r} was not evaluated; evaluated: {', '.join(names)}")
    if main is None:
        main = main_metric(key for row in rows for values in row.values() for key in values)
    evals = {name: {**evaluation, "epoch": epoch} for epoch in sorted(entries)
             for name, evaluation in entries[epoch].get("evals", {}).items()}
    speeds = {key: [entry[key] for entry in entries.values() if entry.get(key)] for key in ("img_s", "cpu_img_s")}
    result = dict(
        schema=SCHEMA, status=status, incomplete=status != "done", config=config, config_hash=config_hash,
        data=dict(data), seed=seed, processes=processes, total_batch=total_batch, parameters=parameters,
        epochs=epochs, max_epochs=max_epochs, split=split, primary=primary, main=main,
        networks={name: _network([row.get(name) or {} for row in rows], main, lower_is_better, split)
                  for name in names}, evals=evals,
        **{key: statistics.median(values) if values else None for key, values in speeds.items()},
        peak_memory_mib=peak_memory_mib, wall_s=wall_s)
    hidden = sorted(result.keys() & more.keys())
    if hidden:
        raise ValueError(f"{', '.join(hidden)} would hide a field of schema {SCHEMA}")
    return {**result, **more}


def _network(rows: list[dict], main: str, lower_is_better: bool, split: str) -> dict:
    """One network: the curve of each value of the evaluator, and the summary of the main one."""
    names = dict.fromkeys((main, *(key for row in rows for key in row if key != "count")))
    if hidden := [name for name in SUMMARY if name in names]:
        raise ValueError(f"a value of the evaluator is called {hidden[0]!r}, which would hide a field of result.json")
    curves = {key: [row.get(key) for row in rows] for key in names}
    return {**curves, **summary(curves, main, lower_is_better, split)}


def summary(curves: dict, main: str, lower_is_better: bool = False, split: str = "test") -> dict:
    """The median of exactly the last ten main values, the best and the last; None without one.

    Args:
        curves: {name of a value: one number an epoch, None for an epoch without}.
    """
    measured = [(value, epoch) for epoch, value in enumerate(curves[main], 1) if value is not None]
    if not measured:
        return dict(median_last10=None, best=None, last=None)
    value, epoch = (min if lower_is_better else max)(measured, key=lambda pair: pair[0])  # the earliest of equals
    end = measured[-1][1]
    last = {name: curve[end - 1] for name, curve in curves.items()}
    return dict(median_last10=median_last(curves[main]), best={main: value, "epoch": epoch, "split": split},
                last={**last, "epoch": end, "split": split})


def main_metric(names: Iterable[str]) -> str | None:
    """The accuracy a run is judged by, of those that were evaluated: ``top<k>`` of the smallest k, else the first."""
    names = [name for name in names if name != "count"]
    counted = [name for name in names if name.removeprefix("top").isdecimal()]
    return min(counted, key=lambda name: int(name.removeprefix("top")), default=next(iter(names), None))


def median_last(curve: list, window: int = WINDOW) -> float | None:
    """Median of exactly the last ``window`` values; None where there are fewer or one of them is missing."""
    tail = curve[-window:]
    return statistics.median(tail) if len(tail) == window and None not in tail else None


class Torn(ValueError):
    """A file that is no result: torn, or never one."""


def read(path) -> dict:
    """Read a ``result.json``; one of schema 1 is turned into schema 2.

    Raises:
        FileNotFoundError: there is none (the run has not ended). OSError: it is no file, or cannot be read.
        Torn: it is no result. ValueError: it is of a schema this version does not know.
    """
    try:
        record = read_json(path)
        schema = record["schema"]
    except (ValueError, KeyError) as error:
        raise Torn(f"{path} is no result of a run ({type(error).__name__}: {error})") from error
    if isinstance(schema, bool) or schema not in (1, SCHEMA):
        raise ValueError(f"{path} has schema {shown(schema)}, this version of openmix reads 1 and {SCHEMA}; "
                         "use the version that wrote it, or a newer one")
    return record if schema == SCHEMA else from_schema_1(record)


def from_schema_1(record: dict) -> dict:
    """A result of schema 1 as one of schema 2. Its errors stay, for :mod:`openmix.workdir.schema` to report.

    Schema 1 had a curve of top-1 and of top-5 whether or not they were counted, and a summary of top-1 alone.
    """
    networks, main = record.get("networks"), "top1"
    if isinstance(networks, dict):
        curves = {name: _curves(network) for name, network in networks.items()}
        counted = dict.fromkeys(key for own in curves.values() for key in own)
        if counted and main not in counted:
            main = main_metric(counted)
        networks = {name: _network_1(network, curves[name], main, record.get("split")) if curves[name] else network
                    for name, network in networks.items()}
    return {**record, "schema": SCHEMA, "main": main, "networks": networks, "evals": {}}


def _curves(network) -> dict:
    """The curves in a network of schema 1 that were measured; none where one of them is not of numbers."""
    curves = {key: value for key, value in network.items() if isinstance(value, list)} if fits(network, dict) else {}
    sound = all(fits(curve, list_of(optional((int, float)))) for curve in curves.values())
    measured = {key: curve for key, curve in curves.items() if any(value is not None for value in curve)}
    return measured if sound and len({len(curve) for curve in measured.values()}) == 1 else {}


def _network_1(network: dict, curves: dict, main: str, split) -> dict:
    rest = {key: value for key, value in network.items() if not isinstance(value, list)}
    new = {} if main == "top1" or main not in curves else summary(curves, main, split=split)
    last = rest.get("last")
    if not new and isinstance(last, dict):
        rest["last"] = {key: value for key, value in last.items() if value is not None or key == main}
    return {**curves, **rest, **new}


def reported(record: dict) -> tuple[float | None, str | None]:
    """The main value of a result's primary network and which it is: ``median`` (of the last 10), ``last``, or None."""
    network = record.get("networks", {}).get(record.get("primary")) or {}
    if network.get("median_last10") is not None:
        return network["median_last10"], "median"
    return (network["last"][record["main"]], "last") if network.get("last") else (None, None)


def add_evaluations(work_dir, evals: dict, wait: float = 5) -> dict:
    """Put evaluations into the result of a finished run, or replace those of their names; returns the new result.

    Args:
        evals: {name: record with ``epoch``, ``data``, ``networks``}.
        wait: seconds for another process to leave the work dir.

    Raises:
        InUse: another process has the work dir. ValueError, OSError: its result cannot be used, or not be written.
    """
    from .lock import Lock
    from .schema import check
    from .schema import read as read_checked

    path = Path(work_dir) / "result.json"
    with Lock(work_dir, wait=wait):
        record = read_checked(path)
        record["evals"] = {**record["evals"], **evals}
        check(record)
        write_json(path, record)
    return record
