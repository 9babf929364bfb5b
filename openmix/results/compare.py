"""Two sets of runs against each other: difference, confidence interval and test of each cell, and costs.

Cells and their values are those of the tables (:mod:`openmix.results.cells`), tests those of
:mod:`openmix.results.significance`.
"""
import glob
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .cells import REDUCTIONS, Cell, make_cells
from .costs import hardware_of, show_hardware
from .records import Record
from .records import gather as gather_runs
from .render import Part, Table
from .significance import CONFIDENCE, Outcome, adjusted, one_sample, two_samples


@dataclass(frozen=True)
class Pair:
    """A cell of both sets. ``speed`` and ``memory`` are B / A; None with the reason in ``cost``."""

    a: Cell
    b: Cell
    outcome: Outcome
    speed: float | None
    memory: float | None
    cost: str

    @property
    def label(self) -> str:
        return self.a.row if self.a.row == self.b.row else f"{self.a.row} -> {self.b.row}"


@dataclass(frozen=True)
class Comparison:
    """All cells in both sets, those in one alone, and the mean difference over the cells."""

    pairs: list[Pair]
    only_a: list[Cell]
    only_b: list[Cell]
    overall: Outcome


def gather(where: str) -> list[Record]:
    """The runs at or below a folder, or below the folders that a pattern (``work_dirs/*/r18_cut*``) finds.

    Raises:
        FileNotFoundError: nothing there, or no run in it.
    """
    if os.path.isdir(where):
        records = gather_runs([where])
    else:
        folders = [path for path in sorted(glob.glob(str(where), recursive=True)) if os.path.isdir(path)]
        records = gather_runs(folders)
    if not records:
        raise FileNotFoundError(f"no run in {where}; give a folder that holds runs, or a pattern in quotes that finds "
                                "such folders, e.g. 'work_dirs/cifar100/r18_*'")
    return records


def compare(a: list[Record], b: list[Record]) -> Comparison:
    """Compare the runs ``b`` with the runs ``a``.

    Cells are matched by data set, network, epochs and row, or else method. If no method is on both sides, cells of
    different methods are compared where each side has one for that data set, network and epochs.

    Raises:
        ValueError: a run is in both sets, or the sets have no cell in common. ImportError: no scipy.
    """
    both = {os.path.realpath(r.folder) for r in a} & {os.path.realpath(r.folder) for r in b}
    if both:
        raise ValueError(f"{len(both)} runs are in both sets, such as {min(both)}; name two sets that do not overlap")
    pairs, only_a, only_b = match(make_cells(a), make_cells(b))
    if not pairs:
        raise ValueError(f"the sets have no cell in common; A: {_names(only_a)}; B: {_names(only_b)}")
    outcomes = adjusted([compare_cells(x, y) for x, y in pairs])
    differences = [outcome.difference for outcome in outcomes if outcome.difference is not None]
    overall = one_sample(differences, f"paired t-test over {len(differences)} cells, each counted once",
                         f"{len(differences)} cells: nothing can be tested")
    pairs_tested = [Pair(x, y, outcome, *costs(x, y)) for (x, y), outcome in zip(pairs, outcomes, strict=True)]
    return Comparison(pairs_tested, only_a, only_b, overall)


def _names(cells: list[Cell]) -> str:
    return ", ".join(f"{c.row} / {c.network} / {c.dataset} / {c.epochs} epochs" for c in cells[:4]) or "none"


def match(a: list[Cell], b: list[Cell]) -> tuple[list[tuple[Cell, Cell]], list[Cell], list[Cell]]:
    """(pairs, rest of a, rest of b); see :func:`compare`."""
    pairs = []
    for label in ("row", "method", None):
        if label is None and pairs:
            break  # different methods are compared only where no method is on both sides
        new = _match(a, b, label)
        pairs += new
        a = [c for c in a if all(c is not x for x, _ in new)]
        b = [c for c in b if all(c is not y for _, y in new)]
    return sorted(pairs, key=lambda pair: _order(pair[0])), a, b


def _match(a: list[Cell], b: list[Cell], label: str | None) -> list[tuple[Cell, Cell]]:
    """Cells of one data set, network, number of epochs and ``label`` of which each side has exactly one."""
    sides = []
    for cells in (a, b):
        groups = defaultdict(list)
        for cell in cells:
            groups[cell.dataset, cell.network, cell.epochs, label and getattr(cell, label)].append(cell)
        sides.append({key: group[0] for key, group in groups.items() if len(group) == 1})
    return [(cell, sides[1][key]) for key, cell in sides[0].items() if key in sides[1]]


def _order(cell: Cell) -> tuple:
    return cell.dataset, cell.network, cell.row, cell.epochs


# -- accuracy --------------------------------------------------------------------------------------------------


def by_seed(cell: Cell) -> dict[int, float]:
    """{seed: accuracy in percent} of the runs that the cell's mean is over."""
    return {r.seed: value for r in cell.counted if (value := r.accuracy(cell.kind)) is not None}


def compare_cells(a: Cell, b: Cell) -> Outcome:
    """Difference of the accuracies and its test; without finished runs, or of different reductions, only the reason."""
    x, y = by_seed(a), by_seed(b)
    if not x or not y:
        side = "A" if not x else "B"
        return Outcome((len(x), len(y)), None, f"no finished run in {side}")
    if a.kind != b.kind:
        kinds = f"A is the {REDUCTIONS[a.kind]}, B the {REDUCTIONS[b.kind]}"
        return Outcome((len(x), len(y)), None, f"not compared: {kinds}")
    return two_samples(x, y)


# -- costs -----------------------------------------------------------------------------------------------------


def hardware_of_all(cell: Cell) -> set[tuple]:
    """(device, processes, precision, total batch) of the finished runs of a cell."""
    return {hardware_of(r) for r in cell.counted}


def costs(a: Cell, b: Cell) -> tuple[float | None, float | None, str]:
    """(images/s, memory) of B over A, medians over the runs; only where all ran on the same hardware."""
    where = hardware_of_all(a), hardware_of_all(b)
    if not all(where):
        return None, None, "no finished run"
    if where[0] != where[1] or len(where[0]) > 1:
        names = [" and ".join(sorted({show_hardware(p) for p in side})) for side in where]
        return None, None, f"not compared: A on {names[0]}, B on {names[1]}"
    speed = _ratio(b, a, "cpu_img_s") or _ratio(b, a, "img_s")  # of processor time, where both know it
    return speed, _ratio(b, a, "peak_memory_mib"), show_hardware(next(iter(where[0])))


def _ratio(over: Cell, under: Cell, key: str) -> float | None:
    medians = [_median(r.result.get(key) for r in cell.counted) for cell in (over, under)]
    return medians[0] / medians[1] if all(medians) else None


def _median(values: Iterable) -> float | None:
    values = [v for v in values if v]
    return statistics.median(values) if values else None


# -- as a table ------------------------------------------------------------------------------------------------


def as_part(comparison: Comparison, a: str, b: str) -> Part:
    """The comparison as a table with its caption and notes; ``a`` and ``b`` are the folders of the runs."""
    head = ["cell", "network", "data", "epochs", "n", "A", "B", "B - A", f"{CONFIDENCE:.0%} interval", "p",
            "adjusted p", "test", "img/s B/A", "memory B/A", "hardware"]
    rows = [[pair.label, pair.a.network, pair.a.dataset, pair.a.epochs, *_figures(pair.outcome, pair.a, pair.b),
             _times(pair.speed), _times(pair.memory), pair.cost] for pair in comparison.pairs]
    if len(rows) > 1:
        rows.append(["mean of the cells", "", "", "", *_figures(comparison.overall), "", "", ""])
    kinds = {REDUCTIONS[pair.a.kind] for pair in comparison.pairs if pair.a.kind and pair.a.kind == pair.b.kind}
    caption = (f"A: {a}. B: {b}. Top-1 in percent, mean over seeds of the {' or '.join(sorted(kinds)) or 'runs'}. "
               "Tests are two-sided; p is adjusted for their number after Benjamini and Hochberg. Costs are compared "
               "where both sides ran on the same hardware")
    notes = [f"only in {side}: {_names([cell])}" for side, cells in (("A", comparison.only_a), ("B", comparison.only_b))
             for cell in sorted(cells, key=_order)]
    for pair in comparison.pairs:
        for side, cell in (("A", pair.a), ("B", pair.b)):
            if cell.not_counted:
                notes.append(f"{side}, {_names([cell])}: not counted are {', '.join(cell.not_counted)}")
    return Part("Comparison", caption, [Table(head, rows)], notes)


def _figures(outcome: Outcome, *cells: Cell) -> list[str]:
    n = str(outcome.n[0]) if len(set(outcome.n)) == 1 else f"{outcome.n[0]}, {outcome.n[1]}"
    means = ["-" if cell.mean is None else f"{cell.mean:.2f}" for cell in cells] or ["", ""]
    difference = "-" if outcome.difference is None else f"{outcome.difference:+.2f}"
    interval = "-" if outcome.low is None else f"{outcome.low:+.2f} to {outcome.high:+.2f}"
    return [n, *means, difference, interval, _p(outcome.p), _p(outcome.p_adjusted), outcome.test]


def _p(p: float | None) -> str:
    return "-" if p is None else "<0.0001" if p < 1e-4 else f"{p:.4f}"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"
