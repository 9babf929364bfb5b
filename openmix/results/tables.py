"""The tables of the model zoo: rows methods, columns epochs, one part for each network and data set.

Cells are defined in :mod:`openmix.results.cells`; here they become text. Same records, same text.
"""
import hashlib
import json
import os
from collections import Counter
from pathlib import Path

from ..workdir.files import last_checkpoint, last_log
from . import published, recipes
from .across import across, across_part
from .cells import Cell, has_table
from .columns import column_text, is_early
from .costs import Cost, make_costs
from .labels import part_name
from .ranked import ranked, ranked_part
from .records import Record
from .render import Best, Link, Part, Table
from .repetitions import recipe

OVERVIEW = "overview"  # name of the part that counts the runs of all others
UNPLACED = "unplaced"  # name of the part with the runs whose files do not name their table
NO_RUN = "no run yet"
SHAPES = "Shapes"  # the data set that the package draws itself
REDUCED = dict(median="the median of exactly the last 10 epochs", last="the last epoch")
CAPTION = ("Top-1 accuracy in % on the test set: mean ± sample standard deviation over seeds of {} "
           "of each run, in brackets the number of seeds (finished/started, and what became of the "
           "others); one seed has no deviation.")
LAST = "† a run has fewer than 10 evaluated epochs at its end: accuracy of the last one, not compared."
EARLY = "§ of weights of an earlier epoch than the last one of some runs"
HELD_OUT = "‡ measured on images held out of training: not compared."


def parts(cells: list[Cell]) -> dict[str, tuple[str, str]]:
    """{name of a part: (data set, network)} of all runs and all published tables, sorted.

    Of several pairs with one name, the published one keeps it; the others get a short hash of theirs behind it.
    """
    known = set(published.tables())
    pairs = known | {(c.dataset, c.network) for c in cells}
    names = Counter(part_name(*pair) for pair in pairs)
    return dict(sorted((part_name(*pair) if names[part_name(*pair)] == 1 or pair in known else _hashed(pair), pair)
                       for pair in pairs))


def _hashed(pair: tuple[str, str]) -> str:
    return f"{part_name(*pair)}-{hashlib.sha256(json.dumps(pair).encode()).hexdigest()[:6]}"


def make_part(cells: list[Cell], dataset: str, network: str, base=".", columns=(), only=()) -> Part:
    """The tables of a network on a data set.

    Args:
        cells: of any networks and data sets.
        base: folder of the file that the links are for.
        columns: further ones of the accuracy table, see :mod:`openmix.results.columns`.
        only: numbers of epochs; all without any.
    """
    cells = [c for c in cells if (c.dataset, c.network) == (dataset, network) and (not only or c.epochs in only)]
    columns = [*dict.fromkeys([*published.columns(dataset, network), *columns])]
    notes: list[str] = []
    tables = [accuracy_table(cells, dataset, network, notes, columns, only)]
    costs = make_costs(cells)
    if costs:
        tables.append(cost_table(costs, notes))
    if cells:
        tables.append(run_table(cells, base))
    return Part(f"{network} on {dataset}", _caption(cells, dataset, network), tables, notes)


def _caption(cells: list[Cell], dataset: str, network: str) -> list:
    reduction = cells[0].reduction if cells else published.reduction(dataset, network)
    lines = [CAPTION.format(REDUCED[reduction])]
    lines += [LAST] if any(_is_short(c) for c in cells) else []
    lines += [HELD_OUT] if any(c.held_out for c in cells) else []
    source = published.source(dataset, network)
    if source:
        caveats = "; ".join(published.general_caveats(dataset, network))
        lines += ["Published:", Link(source["name"], source["url"]), f"({source['reduction']}; {caveats})."]
    if dataset == SHAPES:
        lines.append("The data are the embedded shapes, a demonstration.")
    elif any(r.result["data"].get("official") is False for c in cells for r in c.counted):
        lines.append("Some runs read the data from files other than the official archive; their result.json has the "
                     "hash.")
    return lines


# -- accuracy ------------------------------------------------------------------------------------------------------


def ordered_rows(cells: list[Cell], dataset: str, network: str) -> list[tuple[str, str | None]]:
    """(row, published name) in the order of the published table, rows that are not in it behind."""
    configs = {c.row: c for c in sorted(cells, key=lambda c: c.row)}
    names = {row: published.published_name(dataset, network, c.method, recipe(c.records[0]))
             for row, c in configs.items()}
    ordered = []
    for name in published.methods(dataset, network):
        own = [row for row, of in names.items() if of == name]
        if not own:  # no run: under our usual label, or the published name where we have none, or several settings
            usual = published.labels(dataset, network, name)
            chosen = any(published.settings(dataset, network, name).values())
            own = [name if chosen else next(iter(usual), name)]
        ordered += [(row, name) for row in own]
    return ordered + [(row, None) for row, of in names.items() if of is None]


def accuracy_table(cells: list[Cell], dataset: str, network: str, notes: list[str], columns=(), only=()) -> Table:
    """Rows methods; for each number of epochs our accuracy and, if there is one, the published and the difference.

    ``columns`` come behind them, for each number of epochs that was run.
    """
    theirs = [n for n in published.epochs(dataset, network) if not only or n in only]
    own = [(n, column) for n in sorted({c.epochs for c in cells} or theirs) for column in columns]
    epochs = sorted({c.epochs for c in cells} | set(theirs))
    best = {n: max((c.mean for c in cells if c.epochs == n and c.mean is not None), default=None) for n in epochs}
    theirs = [n for n in theirs if any(published.published(dataset, network, name, n) is not None
                                       for name in published.methods(dataset, network))]
    by_row = {(c.row, c.epochs): c for c in cells}
    head, rows = ["method"], []
    for n in epochs:
        head += [_epochs(n), *([f"published, {n}", f"difference, {n}"] if n in theirs else [])]
    head += [f"{'.'.join(column)}, {n}" for n, column in own]
    for row, name in ordered_rows(cells, dataset, network):
        line = [row]
        for n in epochs:
            cell = by_row.get((row, n))
            text = cell_text(cell, notes) if cell else NO_RUN
            line.append(Best(text) if cell and cell.mean is not None and cell.mean == best[n] else text)
            if n in theirs:
                value = name and published.published(dataset, network, name, n)
                refs = [_ref(text, notes) for text in published.caveats(dataset, network, name, n)] if value else []
                line += [" ".join([f"{value:.2f}", *refs]) if value else "-", difference(cell, name, notes)]
        rows.append(line + [column_text(by_row.get((row, n)), column) for n, column in own])
    if any(is_early(c, column) for c in cells for column in columns):
        notes.append(EARLY)
    return Table(head, rows)


def _epochs(n: int) -> str:
    return f"{n} epoch" if n == 1 else f"{n} epochs"


def _ref(text: str, notes: list[str]) -> str:
    """The number of a note, which is added where it is new."""
    if text not in notes:
        notes.append(text)
    return f"[{notes.index(text) + 1}]"


def cell_text(cell: Cell, notes: list[str]) -> str:
    """``78.52 ± 0.13 (3)``, ``78.40 (1/3, 1 diverged, 1 running)``, ``- (0/1, 1 broken)``."""
    number = "-" if cell.mean is None else f"{cell.mean:.2f}"
    number += f" ± {cell.std:.2f}" if cell.std is not None else ""
    number += ("†" if _is_short(cell) else "") + ("‡" if cell.held_out and cell.values else "")
    n, others = len(cell.values), [f"{count} {state}" for state, count in sorted(cell.others.items())]
    count = str(n) if n == cell.seeds and not others else ", ".join([f"{n}/{cell.seeds}", *others])
    refs = []
    for r in cell.repeated:
        again = next(c for c in cell.counted if c.seed == r.seed)
        refs.append(_ref(f"seed {r.seed} was run more than once; {Path(again.folder).as_posix()} counts, "
                         f"{Path(r.folder).as_posix()} does not", notes))
    return " ".join([f"{number} ({count})", *refs])


def _is_short(cell: Cell) -> bool:
    """Whether a run has too few epochs for the median that its table takes."""
    return cell.kind == "last" != cell.reduction


def difference(cell: Cell | None, name: str | None, notes: list[str] | None = None) -> str:
    """Ours minus what was published under ``name``, in points; ``-`` where that is no target or another quantity.

    Runs with another recipe than the shipped config of their row, or on other data, are not compared; ``notes`` gets
    a line with the reason.
    """
    if cell is None or cell.kind != cell.reduction or cell.held_out or name is None:
        return "-"
    key = cell.dataset, cell.network, name, cell.epochs
    if not published.is_target(*key):
        return "-"
    why = unlike_published(cell, published.settings(*key[:3]))
    if why:
        return "-" if notes is None else f"- {_ref(why, notes)}"
    return f"{round(cell.mean - published.published(*key), 2) + 0.0:+.2f}"  # no -0.00


def unlike_published(cell: Cell, settings=()) -> str:
    """Why the runs of a cell are no repetition of the published one; empty if they are.

    Args:
        settings: keys whose values are those of the published row.
    """
    if any(r.result["data"].get("official") is not True for r in cell.counted):
        return f"{cell.row}: not compared, the data are not known to be those of the official archive"
    keys = recipes.differing(cell.counted[0])
    if keys is None:
        return f"{cell.row}: not compared, no shipped config has these settings"
    keys = [key for key in keys if key not in settings]
    if not keys:
        return ""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"{cell.row}: not compared, its config differs from the shipped one in {', '.join(keys[:3])}{more}"


# -- costs ---------------------------------------------------------------------------------------------------------


def cost_table(costs: list[Cost], notes: list[str], baseline: str = "Vanilla") -> Table:
    """Speed and memory of each row, relative costs on the same hardware only."""
    rows = []
    for cost in costs:
        device, processes, precision, batch = cost.hardware
        relative = f"{cost.relative:.2f}" if cost.relative else f"- {_ref(cost.why, notes)}"
        rows.append([cost.row, device or "?", processes or "?", precision or "?", batch or "?",
                     f"{cost.img_s:,.0f}" if cost.img_s else "-",
                     f"{cost.memory_mib:,.0f}" if cost.memory_mib else "-", relative, cost.runs])
    return Table(["method", "hardware", "processes", "precision", "batch", "images/s", "memory, MiB",
                  f"time relative to {baseline}", "runs"], rows,
                 "Cost of training, medians over finished runs; relative only between runs on the same hardware with "
                 "equal processes, precision and batch. On a CPU they are of processor time:")


# -- runs ----------------------------------------------------------------------------------------------------------


def run_table(cells: list[Cell], base=".") -> Table:
    """Every run with its state and where its config, last log and last checkpoint are."""
    rows = [[cell.row, cell.epochs, "?" if r.seed is None else r.seed, r.state, _accuracy(r, cell.reduction),
             remarks(r), *links(r, base)] for cell in cells for r in cell.records]
    count = "1 run" if len(rows) == 1 else f"{len(rows)} runs"
    return Table(["method", "epochs", "seed", "state", "top-1", "remarks", "config", "log", "checkpoint"], rows,
                 f"{count}: states, configs, logs, checkpoints", folded=True)


def _accuracy(record: Record, reduction: str) -> str:
    value, last = record.accuracy(reduction), record.accuracy("last")
    return f"{value:.2f}" if value is not None else f"{last:.2f}†" if last is not None else "-"


def remarks(record: Record) -> str:
    """The reason of its end, and the defects of its files."""
    reason = (record.result or {}).get("reason") or record.status.get("reason")
    return "; ".join([str(reason)] * bool(reason and record.state != "done") + record.problems) or "-"


def links(record: Record, base=".") -> list:
    """Config, last log and last checkpoint, relative to ``base``; ``-`` where there is none."""
    folder = Path(record.folder)
    files = [record.config_file, last_log(folder), last_checkpoint(folder)]
    return [Link(Path(path).name, Path(os.path.relpath(path, base)).as_posix()) if path else "-" for path in files]


def unplaced_part(records: list[Record], base=".") -> Part:
    """The runs that no table can show, because their files do not name method, network or data."""
    rows = [[Link(Path(r.folder).as_posix(), Path(os.path.relpath(r.folder, base)).as_posix()), r.state, remarks(r)]
            for r in records if not has_table(r)]
    if not rows:
        return Part("Runs without a table", "None: every run found is in the table of its network and data set.", [])
    return Part("Runs without a table", "Their files do not name method, network, data set and epochs.",
                [Table(["folder", "state", "remarks"], rows)])


def overview_part(cells: list[Cell]) -> Part:
    """How many runs each part has."""
    rows = []
    for name, (dataset, network) in parts(cells).items():
        own = [c for c in cells if (c.dataset, c.network) == (dataset, network)]
        source = published.source(dataset, network)
        rows.append([name, dataset, network, sum(len(c.counted) + len(c.repeated) for c in own),
                     sum(len(c.records) for c in own), source["name"] if source else "-"])
    return Part("Tables", "Finished and started runs of each; published values to compare with.",
                [Table(["name", "data set", "network", "finished", "started", "published"], rows)])


def known_parts(cells: list[Cell]) -> list[str]:
    """Names that :func:`any_part` takes."""
    places = parts(cells)
    return [*places, *across(places.values()), *ranked(places), OVERVIEW, UNPLACED]


def any_part(name: str, records: list[Record], cells: list[Cell], base=".", columns=(), only=()) -> Part:
    """The part of that name, one of :func:`known_parts`. Raises KeyError for another."""
    if name in (OVERVIEW, UNPLACED):
        return overview_part(cells) if name == OVERVIEW else unplaced_part(records, base)
    places = parts(cells)
    chosen = [c for c in cells if not only or c.epochs in only]
    if network := across(places.values()).get(name):
        return across_part(chosen, network, cell_text, NO_RUN)
    if place := ranked(places).get(name):
        return ranked_part(chosen, *place, cell_text)
    return make_part(cells, *places[name], base, columns, only)
