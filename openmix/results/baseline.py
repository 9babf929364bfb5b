"""Every method against one of them: difference, test and rank, a row each."""
import statistics
from collections import defaultdict

from ..errors import did_you_mean
from .cells import Cell, make_cells
from .compare import compare_cells
from .records import Record
from .render import Best, Part, Table
from .significance import Outcome, adjusted

LEVEL = 0.05  # of an adjusted p value that is marked


def baseline_part(records: list[Record], baseline: str, where: str) -> Part:
    """The table of all cells of ``records`` with their difference to ``baseline`` and, of several groups, mean ranks.

    A group is a data set, a network and a number of epochs. ``where`` names the folder of the runs.

    Raises:
        ValueError: no method of that name, or no group in which it and another one finished.
    """
    cells = make_cells(records)
    rows = sorted({cell.row for cell in cells})
    if baseline not in rows:
        raise ValueError(f"no method {baseline!r} in {where}; {did_you_mean(baseline, rows)}")
    groups = comparable(cells, baseline)
    if not groups:
        raise ValueError(f"{where} has no data set, network and number of epochs in which {baseline} and another "
                         "method have finished runs")
    base = {key: next(cell for cell in group if cell.row == baseline) for key, group in groups.items()}
    others = [(key, cell) for key, group in groups.items() for cell in group if cell.row != baseline]
    outcomes = adjusted([compare_cells(base[key], cell) for key, cell in others])
    tested = {id(cell): outcome for (_, cell), outcome in zip(others, outcomes, strict=True)}
    ranked = {key: ranks(group) for key, group in groups.items()}
    head = ["method", "network", "data", "epochs", "n", "top-1", f"to {baseline}", "95% interval", "adjusted p", "rank"]
    lines = [row_of(cell, tested.get(id(cell)), ranked[key][cell.row], cell.mean == max(c.mean for c in group))
             for key, group in groups.items() for cell in sorted(group, key=lambda c: -c.mean)]
    tables = [Table(head, lines), *mean_ranks(ranked)]
    caption = (f"Runs of {where}. Top-1 in percent, mean ± sample standard deviation over seeds; differences to "
               f"{baseline} in points. p is two-sided and adjusted for the number of tests after Benjamini and "
               f"Hochberg; * marks p < {LEVEL}. Rank 1 is the best")
    if any(cell.kind == "last" != cell.reduction for group in groups.values() for cell in group):
        caption += ". † a run has fewer than 10 evaluated epochs at its end: accuracy of the last one"
    return Part(f"All methods and {baseline}", caption, tables)


def comparable(cells: list[Cell], baseline: str) -> dict[tuple, list[Cell]]:
    """{(data set, network, epochs): cells with a mean} where the baseline and another method have one."""
    groups = defaultdict(list)
    for cell in cells:
        if cell.mean is not None:
            groups[cell.dataset, cell.network, cell.epochs].append(cell)
    return {key: groups[key] for key in sorted(groups)
            if len(groups[key]) > 1 and baseline in {cell.row for cell in groups[key]}}


def ranks(group: list[Cell]) -> dict[str, float]:
    """{row: rank by its mean}, 1 the best; equal means share the mean of their ranks."""
    means = [cell.mean for cell in group]
    return {cell.row: 1 + sum(m > cell.mean for m in means) + (means.count(cell.mean) - 1) / 2 for cell in group}


def row_of(cell: Cell, outcome: Outcome | None, rank: float, best: bool) -> list[str]:
    """A row of the table; ``outcome`` is None for the baseline itself."""
    top1 = f"{cell.mean:.2f}" + (f" ± {cell.std:.2f}" if cell.std is not None else "")
    top1 += "†" if cell.kind == "last" != cell.reduction else ""
    words = ["-", "-", "-"]
    if outcome is not None and outcome.difference is not None:
        p = outcome.p_adjusted
        words = [f"{outcome.difference:+.2f}{' *' if p is not None and p < LEVEL else ''}",
                 "-" if outcome.low is None else f"{outcome.low:+.2f} to {outcome.high:+.2f}",
                 "-" if p is None else "<0.0001" if p < 1e-4 else f"{p:.4f}"]
    return [cell.row, cell.network, cell.dataset, str(cell.epochs), str(len(cell.values)), Best(top1) if best else top1,
            *words, f"{rank:g}"]


def mean_ranks(ranked: dict[tuple, dict[str, float]]) -> list[Table]:
    """The table of mean ranks of the methods that are in every group, the best first; none of one group or method."""
    shared = set.intersection(*(set(ranks_of) for ranks_of in ranked.values()))
    if len(ranked) < 2 or len(shared) < 2:
        return []
    means = sorted((statistics.mean(ranks_of[row] for ranks_of in ranked.values()), row) for row in shared)
    lines = [[row, Best(f"{mean:.2f}") if mean == means[0][0] else f"{mean:.2f}"] for mean, row in means]
    return [Table(["method", "mean rank"], lines,
                  f"Mean rank over {len(ranked)} groups, of the methods in all of them:")]
