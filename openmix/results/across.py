"""A network on several data sets, in one table: rows methods, columns data sets."""
from collections import defaultdict

from . import published
from .cells import REDUCTIONS, Cell
from .labels import slug
from .render import Best, Part, Table

PREFIX = "across"
BASELINE = "Vanilla"


def across(pairs) -> dict[str, str]:
    """{name of the part: network} of the networks that occur with several data sets.

    Args:
        pairs: (data set, network) of all tables.
    """
    datasets = defaultdict(set)
    for dataset, network in pairs:
        datasets[network].add(dataset)
    return {f"{PREFIX}-{slug(network)}": network for network in sorted(datasets) if len(datasets[network]) > 1}


def across_part(cells: list[Cell], network: str, text_of, no_run: str) -> Part:
    """The table of a network: a column for each data set and number of epochs that has a finished run.

    Args:
        text_of: (cell, notes) -> text. no_run: text where there is no cell.
    """
    own = [cell for cell in cells if cell.network == network and cell.mean is not None]
    columns = sorted({(cell.dataset, cell.epochs) for cell in own})
    rows = sorted({cell.row for cell in own}, key=lambda row: (row != BASELINE, row))
    by_place = {(cell.row, cell.dataset, cell.epochs): cell for cell in own}
    best = {key: max(cell.mean for cell in own if (cell.dataset, cell.epochs) == key) for key in columns}
    lengths = defaultdict(set)
    for dataset, epochs in columns:
        lengths[dataset].add(epochs)
    notes: list[str] = []

    def text(row, column):
        cell = by_place.get((row, *column))
        written = no_run if cell is None else text_of(cell, notes)
        return Best(written) if cell is not None and cell.mean == best[column] else written

    lines = [[row, *(text(row, column) for column in columns)] for row in rows]
    head = [dataset if len(lengths[dataset]) == 1 else f"{dataset}, {epochs} epochs" for dataset, epochs in columns]
    kinds = sorted({REDUCTIONS[cell.kind] for cell in own}) or [REDUCTIONS[published.reduction("", network)]]
    caption = (f"Top-1 accuracy in %, mean ± sample standard deviation over seeds of the {' or '.join(kinds)} of each "
               "run; in brackets the number of seeds.")
    return Part(f"{network} on several data sets", caption, [Table(["method", *head], lines)] if lines else [], notes)
