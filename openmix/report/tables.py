"""The tables of a report, as rows of (text, value to sort by)."""
import statistics
from collections import defaultdict

from ..results import published
from ..results.baseline import LEVEL
from ..results.cells import REDUCTIONS, Cell, has_table
from ..results.columns import column_text, mean_and_std
from ..results.compare import compare_cells
from ..results.costs import cost_of, hardware_of, make_costs, most_compared_first, show_hardware
from ..results.records import Record
from ..results.significance import Outcome, adjusted
from .curves import Run


def number(value, digits: int) -> tuple:
    """(text, value to sort by) of a number or None."""
    return ("-", "") if value is None else (f"{value:,.{digits}f}", value)


def text(value) -> tuple:
    return str(value), str(value)


CELL_HEAD = ("method", "network", "data", "epochs", "top-1 (%)", "std", "n", "to Vanilla", "published", "not counted",
             "img/s", "cost", "memory (MiB)", "hours", "hardware")
BASELINE = "Vanilla"


def cell_rows(cells: list[Cell], columns=()) -> list[list[tuple]]:
    """The rows of the table of cells, in order of :data:`CELL_HEAD` and ``columns``: (text, value to sort by)."""
    costs = {(same[0].dataset, same[0].network): most_compared_first(make_costs(same)) for same in by_network(cells)}
    rows, differences = [], to_baseline(cells)
    for cell in cells:
        cost = cost_of(cell, costs[cell.dataset, cell.network])
        same = [record.result for record in cell.counted if cost and hardware_of(record) == cost.hardware]
        seconds = [result["wall_s"] for result in same if result.get("wall_s")]
        where = "-" if not cost else show_hardware(cost.hardware) + " and others" * (len(same) < len(cell.counted))
        mean = number(cell.mean, 2)
        reduction = f" ({REDUCTIONS['last']})" if cell.kind == "last" else ""
        rows.append([
            text(cell.row), text(cell.network), text(cell.dataset), (str(cell.epochs), cell.epochs),
            (mean[0] + reduction, mean[1]), number(cell.std, 2),
            (f"{len(cell.values)}/{cell.seeds}", len(cell.values)), difference(differences.get(id(cell))),
            as_published(cell),
            text(", ".join(cell.not_counted)),
            number(cost and cost.img_s, 0), ("-", "") if not cost or cost.relative is None else (
                f"{cost.relative:.2f}x", cost.relative), number(cost and cost.memory_mib, 0),
            number(statistics.median(seconds) / 3600 if seconds else None, 2), text(where),
            *((column_text(cell, column), mean_and_std(cell, column)[0] or "") for column in columns)])
    return rows


def to_baseline(cells: list[Cell]) -> dict[int, Outcome]:
    """{id of a cell: its comparison with the one cell of Vanilla of the same data, network, epochs and reduction}."""
    groups = defaultdict(list)
    for cell in cells:
        if cell.mean is not None:
            groups[cell.dataset, cell.network, cell.epochs, cell.kind].append(cell)
    pairs = [(base[0], cell) for group in groups.values() if len(base := [c for c in group if c.row == BASELINE]) == 1
             for cell in group if cell.row != BASELINE]
    outcomes = adjusted([compare_cells(base, cell) for base, cell in pairs])
    return {id(cell): outcome for (_, cell), outcome in zip(pairs, outcomes, strict=True)}


def difference(outcome: Outcome | None) -> tuple:
    """(text, value to sort by) of a difference in points; ``*`` marks one whose adjusted p is small."""
    if outcome is None or outcome.difference is None:
        return "-", ""
    mark = " *" if outcome.p_adjusted is not None and outcome.p_adjusted < LEVEL else ""
    return f"{outcome.difference:+.2f}{mark}", outcome.difference


def as_published(cell: Cell) -> tuple:
    """The published accuracy of the method with this network and data after as many epochs."""
    name = published.published_name(cell.dataset, cell.network, cell.row)
    return number(name and published.published(cell.dataset, cell.network, name, cell.epochs), 2)


def without_constants(head, rows: list[list[tuple]], names) -> tuple[tuple, list[list[tuple]], dict]:
    """A table of several rows without those of the columns ``names`` that are the same in all, and these by name.

    A column of ``-`` is no information and goes, too.
    """
    values = {name: {row[head.index(name)][0] for row in rows if row[head.index(name)][0] != "-"} for name in names}
    same = {name: next(iter(texts), "-") for name, texts in values.items() if len(rows) > 1 and len(texts) < 2}
    left = [i for i, name in enumerate(head) if name not in same]
    return tuple(head[i] for i in left), [[row[i] for i in left] for row in rows], same


def by_network(cells: list[Cell]) -> list[list[Cell]]:
    groups = defaultdict(list)
    for cell in cells:
        groups[cell.dataset, cell.network].append(cell)
    return list(groups.values())


RUN_HEAD = ("folder", "method", "network", "data", "epochs", "seed", "state", "epoch", "last top-1 (%)", "remarks")


def run_row(record: Record, run: Run) -> list[tuple]:
    """A row of the table of runs, in order of :data:`RUN_HEAD`."""
    reached = record.result["epochs"] if record.result else max([*run.accuracy, *run.loss], default=None)
    last = run.accuracy[max(run.accuracy)] if run.accuracy else None
    remarks = [*record.problems, *run.problems]
    if record.state not in ("done", "running") and record.status.get("reason"):
        remarks.insert(0, record.status["reason"])
    if not has_table(record):
        remarks.append("in no cell: its files do not tell which")
    return [text(record.folder), text(record.method), text(record.network), text(record.dataset),
            number(record.epochs, 0), number(record.seed, 0), text(record.state), number(reached, 0), number(last, 2),
            text("; ".join(remarks))]
