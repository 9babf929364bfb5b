"""All cells as one table of plain columns, for CSV and for programs that read it."""
from . import published
from .cells import REDUCTIONS, Cell
from .columns import mean_and_std
from .costs import Cost, cost_of, make_costs, most_compared_first
from .render import Table
from .tables import difference, ordered_rows, parts


def flat_table(cells: list[Cell], names=None, columns=(), only=()) -> Table:
    """One row a cell, for CSV, with numbers to 4 digits; also cells that were published and have no run yet.

    Args:
        names: of the parts to list; all by default.
        columns: further ones, see :mod:`openmix.results.columns`; each has its deviation beside it.
        only: numbers of epochs; all without any.
    """
    head = ["dataset", "network", "method", "epochs", "top1", "std", "seeds", "started", "others", "reduction",
            "published", "difference", "source", "img_s", "memory_mib", "relative_time", "hardware",
            *(name for column in columns for name in (".".join(column), f"{'.'.join(column)} std"))]
    rows = []
    for name, (dataset, network) in parts(cells).items():
        if names is not None and name not in names:
            continue
        own = [c for c in cells if (c.dataset, c.network) == (dataset, network)]
        by_row, costs = {(c.row, c.epochs): c for c in own}, most_compared_first(make_costs(own))
        theirs = published.epochs(dataset, network)
        source = (published.source(dataset, network) or {}).get("url", "")
        for row, of in ordered_rows(own, dataset, network):
            for n in sorted({c.epochs for c in own} | set(theirs)):
                if only and n not in only:
                    continue
                cell, value = by_row.get((row, n)), of and published.published(dataset, network, of, n)
                if cell or value:
                    rows.append([dataset, network, row, n, *_flat(cell), _digits(value),
                                 difference(cell, of) if difference(cell, of) != "-" else "",
                                 source if value else "", *_flat_cost(cell, costs),
                                 *(_digits(number) for column in columns for number in mean_and_std(cell, column))])
    return Table(head, rows)


def _flat(cell: Cell | None) -> list:
    if cell is None:
        return ["", "", 0, 0, "", ""]
    others = ", ".join(f"{count} {state}" for state, count in sorted(cell.others.items()))
    split = " (held out)" if cell.held_out and cell.values else ""
    return [_digits(cell.mean), _digits(cell.std), len(cell.values), cell.seeds, others,
            REDUCTIONS.get(cell.kind, "") + split]


def _flat_cost(cell: Cell | None, costs: list[Cost]) -> list:
    """Empty for cells without a finished run."""
    cost = cell and cost_of(cell, costs)
    if not cost:
        return ["", "", "", ""]
    return [_digits(cost.img_s), _digits(cost.memory_mib), _digits(cost.relative), cost.hardware[0]]


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
