"""The best rows of a table that have a finished run, with their difference to the baseline."""
from . import published
from .across import BASELINE
from .cells import REDUCTIONS, Cell
from .render import Best, Part, Table

PREFIX = "ranked"
SHOWN = 8  # best rows of each table, and the baseline: it stands where a page must stay short


def ranked(parts: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """{name of the ranked part: (data set, network)} of all tables."""
    return {f"{PREFIX}-{name}": pair for name, pair in parts.items()}


def ranked_part(cells: list[Cell], dataset: str, network: str, text_of) -> Part:
    """A table for each number of epochs: method, accuracy, and points more than Vanilla with as many epochs.

    Args:
        text_of: (cell, notes) -> text. Accuracies of other kinds than Vanilla's are not compared.
    """
    own = [c for c in cells if (c.dataset, c.network) == (dataset, network) and c.mean is not None]
    notes: list[str] = []
    tables = []
    for epochs in sorted({cell.epochs for cell in own}):
        column = sorted((c for c in own if c.epochs == epochs), key=lambda cell: (-cell.mean, cell.row))
        base = next((cell for cell in column if cell.row == BASELINE), None)
        rows = []
        for cell in [*column[:SHOWN], *(c for c in column[SHOWN:] if c is base)]:
            accuracy = text_of(cell, notes)
            rows.append([cell.row, Best(accuracy) if cell is column[0] else accuracy, _difference(cell, base)])
        left_out = len(column) - len(rows)
        title = f"Lower rows that are left out: {left_out}." if left_out else ""
        tables.append(Table(["method", f"{epochs} epochs", f"to {BASELINE}"], rows, title))
    rows = {cell.row for cell in own}
    missing = sum(not rows & {name, *published.labels(dataset, network, name)}
                  for name in published.methods(dataset, network))
    kinds = sorted({REDUCTIONS[cell.kind] for cell in own}) or [REDUCTIONS[published.reduction(dataset, network)]]
    caption = (f"Top-1 accuracy in %, mean ± sample standard deviation over seeds of the {' or '.join(kinds)} of each "
               "run; in brackets the number of seeds. Best first."
               + f" No run yet of {missing} other methods." * (missing > 0))
    return Part(f"{network} on {dataset}", caption, tables, notes)


def _difference(cell: Cell, base: Cell | None) -> str:
    if base is None or cell is base or (cell.kind, cell.held_out) != (base.kind, base.held_out):
        return "-"
    return f"{cell.mean - base.mean:+.2f}"
