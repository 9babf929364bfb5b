"""``result.json``: what a run came to, in schema 1. Tables are made of these files and of nothing else.

Accuracies are in percent. The history is a list with one plain dict an epoch, which the checkpoint carries::

    dict(epoch=1, lr=0.1, seconds=9.5, img_s=5260.0, train=dict(loss=...), val=dict(net=dict(top1=..., top5=...)))

``val`` is None in epochs that were not evaluated.
"""
import statistics
from collections.abc import Iterable

from .json_files import read_json, shown

SCHEMA = 1
WINDOW = 10  # epochs that the reported median is taken over


def build(history: Iterable[dict], *, status: str, config: str, config_hash: str, data: dict, seed: int, processes: int,
          total_batch: int, parameters: int, max_epochs: int, wall_s: float, peak_memory_mib: float,
          primary: str | None = None, split: str = "test", **more) -> dict:
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
        split: which images the accuracies were measured on, ``test`` or ``val`` (a part held out of training).
        more: further plain facts (hardware, precision, reason ...).

    Raises:
        ValueError: ``primary`` was not evaluated, or one of ``more`` would hide a field of the schema.
    """
    entries = {entry["epoch"]: entry for entry in history}
    epochs = max(entries, default=0)
    rows = [(entries.get(epoch) or {}).get("val") or {} for epoch in range(1, epochs + 1)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if names and primary is None:
        primary = names[0]
    if names and primary not in names:
        raise ValueError(f"the primary network {primary!r} was not evaluated; evaluated: {', '.join(names)}")
    speeds = [entry["img_s"] for entry in entries.values() if entry.get("img_s")]
    result = dict(
        schema=SCHEMA, status=status, incomplete=status != "done", config=config, config_hash=config_hash,
        data=dict(data), seed=seed, processes=processes, total_batch=total_batch, parameters=parameters,
        epochs=epochs, max_epochs=max_epochs, split=split, primary=primary,
        networks={name: _summary([row.get(name) or {} for row in rows], split) for name in names},
        img_s=statistics.median(speeds) if speeds else None, peak_memory_mib=peak_memory_mib, wall_s=wall_s)
    hidden = sorted(result.keys() & more.keys())
    if hidden:
        raise ValueError(f"{', '.join(hidden)} would hide a field of schema {SCHEMA}")
    return {**result, **more}


def _summary(rows: list[dict], split: str) -> dict:
    """One network: accuracies of each epoch, the median of exactly the last ten, best and last.

    These three are of top-1, and None where the evaluator did not count it: no other accuracy may be taken for it.
    """
    names = dict.fromkeys(("top1", "top5", *(key for row in rows for key in row if key != "count")))
    curves = {key: [row.get(key) for row in rows] for key in names}
    measured = [(top1, epoch) for epoch, top1 in enumerate(curves["top1"], 1) if top1 is not None]
    best = max(measured, key=lambda pair: (pair[0], -pair[1]), default=None)  # the earliest of equals
    last = measured[-1] if measured else None
    return dict(
        **curves, median_last10=median_last(curves["top1"]),
        best=best and dict(top1=best[0], epoch=best[1], split=split),
        last=last and dict(top1=last[0], top5=curves["top5"][last[1] - 1], epoch=last[1], split=split))


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
    """Read a ``result.json``.

    Raises:
        FileNotFoundError: there is none (the run has not ended). OSError: it is no file, or cannot be read.
        Torn: it is no result. ValueError: it is of a schema this version does not know.
    """
    try:
        found = read_json(path)
        schema = found["schema"]
    except (ValueError, KeyError) as error:
        raise Torn(f"{path} is no result of a run ({type(error).__name__}: {error})") from error
    if isinstance(schema, bool) or schema != SCHEMA:
        raise ValueError(f"{path} has schema {shown(schema)}, this version of openmix reads {SCHEMA}; "
                         "use the version that wrote it, or a newer one")
    return found
