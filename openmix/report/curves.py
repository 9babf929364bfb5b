"""From records to the numbers of a report's charts; no plotting library and no torch is needed."""
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from ..results.cells import Cell
from ..results.records import MAIN, Record
from ..results.run_files import read_scalars

MOST_POINTS = 300  # of a curve; of longer ones every k-th epoch and the last are shown
METRICS = dict(accuracy="top-1 accuracy (%)", loss="training loss")


@dataclass
class Run:
    """{epoch: value} of one run; ``problems`` are lines of its log that were left out."""

    record: Record
    accuracy: dict[int, float]
    loss: dict[int, float]
    problems: list[str]


@dataclass
class Curve:
    """Mean over the finished seeds of a cell with their range, at the epochs that all of them have.

    Attributes:
        label: of the legend, with the numbers of finished and of started seeds.
        x, mean, low, high: epochs, and for each the mean, least and largest value. Empty without a finished run.
        n: seeds in the mean.
        singles: runs that did not finish, or were not evaluated at the same epochs: each a line of its own.
        missing: runs that have no value to show.
    """

    row: str
    label: str
    n: int = 0
    x: list[int] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    singles: list[tuple[Record, list[int], list[float]]] = field(default_factory=list)
    missing: list[Record] = field(default_factory=list)


def read_run(record: Record) -> Run:
    """The curves of a run: accuracies of its result or, before it has one, of its log; losses of its log, by epoch."""
    problems: list[str] = []
    log = [entry for entry in read_scalars(record.folder, problems) if _is_number(entry.get("step"))]
    timed = [entry for entry in log if _is_number(entry.get("epoch")) and entry["epoch"] > 0]
    steps = max((entry["step"] / entry["epoch"] for entry in timed), default=0)  # of an epoch: its last step is logged
    accuracy = {epoch: value for epoch, value in enumerate(record.primary.get(MAIN) or [], 1) if _is_number(value)}
    losses = defaultdict(list)
    for entry in log:
        epoch = max(1, math.ceil(entry["step"] / steps - 1e-9)) if steps else None
        if epoch and _is_number(entry.get("loss")):
            losses[epoch].append(entry["loss"])
        if epoch and record.result is None and _is_number(entry.get(MAIN)) and 0 <= entry[MAIN] <= 100:
            accuracy[epoch] = entry[MAIN]
    return Run(record, accuracy, {epoch: statistics.mean(values) for epoch, values in losses.items()}, problems)


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def make_curve(cell: Cell, runs: dict[str, Run], metric: str) -> Curve:
    """The curve of a cell.

    Args:
        runs: by folder, see :func:`read_run`. metric: ``"accuracy"`` or ``"loss"``.
    """
    values = {r.folder: getattr(runs[r.folder], metric) for r in cell.records}
    done = [r for r in cell.counted if values[r.folder]]
    shared = sorted(set.intersection(*(set(values[r.folder]) for r in done))) if done else []
    if not shared:  # evaluated at different epochs
        done = []
    started = cell.seeds
    n = f"n = {len(done)}" if len(done) == started else f"n = {len(done)} of {started}"
    curve = Curve(cell.row, f"{cell.row} ({n})", len(done))
    for epoch in thinned(shared):
        here = [values[r.folder][epoch] for r in done]
        curve.x.append(epoch)
        curve.mean.append(statistics.mean(here))
        curve.low.append(min(here))
        curve.high.append(max(here))
    for record in cell.records:
        if not values[record.folder]:
            curve.missing.append(record)
        elif record not in done and record not in cell.repeated:
            epochs = thinned(sorted(values[record.folder]))
            curve.singles.append((record, epochs, [values[record.folder][e] for e in epochs]))
    return curve


def thinned(epochs: list[int]) -> list[int]:
    """At most about :data:`MOST_POINTS` of the epochs, the last one always."""
    stride = -(-len(epochs) // MOST_POINTS) or 1
    return epochs[::-1][::stride][::-1]
