"""One HTML page of a set of runs, to be opened anywhere: no server, no network, nothing beside the file."""
import base64
import re
import statistics
from collections import defaultdict
from itertools import count
from pathlib import Path

from ..escape import printable
from ..results.cells import Cell, make_cells
from ..results.columns import parse_columns
from ..results.costs import hardware_of, show_hardware
from ..results.records import Record
from ..results.records import gather as gather_runs
from ..workdir.files import write_atomic
from ..workdir.json_files import read_bytes
from . import charts
from .curves import METRICS, make_curve, read_run
from .profiles import profiles
from .tables import CELL_HEAD, RUN_HEAD, cell_rows, run_row, without_constants

DATA_URI = "data:image/png;base64,"
PNG = b"\x89PNG\r\n\x1a\n"
LARGEST = 2**20  # bytes of a picture; larger ones are named, not shown


def write_report(roots, path, *, title: str = "openmix report", pictures: bool = True,
                 columns=()) -> Path:
    """Write the report of all runs below ``roots`` to ``path``; the same runs give the same bytes.

    Args:
        roots: a folder or several. title: of the page. pictures: whether to embed the newest picture of mixed images
            of each method. columns: further ones, such as ``cal.ece``; see :mod:`openmix.results.columns`.

    Raises:
        FileNotFoundError: no such folder, or no run in any. ImportError: no Bokeh. OSError: ``path`` cannot be written.
    """
    records = gather([roots] if isinstance(roots, (str, Path)) else list(roots))
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} for the report {path.name}; make it first")
    write_atomic(path, page(records, title, pictures, columns).encode())
    return path


def gather(roots: list) -> list[Record]:
    """The runs below the folders, each once, in order of their paths."""
    records = gather_runs(roots)
    if not records:
        raise FileNotFoundError(f"no run below {', '.join(map(str, roots))}; name the folder that holds the runs, e.g. "
                                "work_dirs")
    return records


def page(records: list[Record], title: str, pictures: bool = True, columns=()) -> str:
    """The whole page."""
    cells, columns = make_cells(records), parse_columns(columns, records)
    runs = {r.folder: read_run(r) for r in records}
    style = charts.colours(cell.row for cell in cells)
    sections, items, targets = [], {}, map("chart{}".format, count())
    for cells_of, name in grouped(cells):
        drawn = {next(targets): chart for chart in curve_charts(cells_of, runs, style)}
        items |= {target: charts.as_item(chart.figure, target) for target, chart in drawn.items() if chart.figure}
        sections.append((name, drawn))
    costs = {}
    for name, figure in cost_charts(cells, style):
        target = next(targets)
        items[target], costs[target] = charts.as_item(figure, target), name
    cell_head, rows, same = without_constants((*CELL_HEAD, *map(".".join, columns)), cell_rows(cells, columns),
                                              ("network", "data", "epochs", "published", "hardware"))
    template = environment().get_template("report.html")
    states = defaultdict(int)
    for record in records:
        states[record.state] += 1
    return template.render(
        title=title, states=sorted(states.items()), runs=len(records), sections=sections, costs=costs, items=items,
        cell_head=cell_head, cell_rows=rows, same=same, run_head=RUN_HEAD,
        run_rows=[run_row(r, runs[r.folder]) for r in records],
        pictures=newest_pictures(cells) if pictures else None, script=charts.script())


def environment():
    """Jinja2 with everything escaped; Bokeh and torch depend on it."""
    charts.bokeh()
    from jinja2 import Environment, PackageLoader

    env = Environment(loader=PackageLoader("openmix.report", "."), autoescape=True, trim_blocks=True,
                        lstrip_blocks=True, finalize=_visible)  # called for all that the page writes
    env.policies["json.dumps_kwargs"] = dict(sort_keys=False)  # Bokeh defines a model where it first occurs
    return env


def _visible(value):
    """Text without control characters; data URIs, numbers, and what the page marks as safe, as they are."""
    return printable(value) if type(value) is str and not value.startswith(DATA_URI) else value


def grouped(cells: list[Cell]) -> list[tuple[list[Cell], str]]:
    """The cells of each data set, network and number of epochs, with the name of the group."""
    groups = defaultdict(list)
    for cell in cells:
        groups[cell.dataset, cell.network, cell.epochs].append(cell)
    return [(cells_of, f"{network} on {dataset}, {in_words(epochs)}") for (dataset, network, epochs), cells_of
            in sorted(groups.items())]


def in_words(epochs: int) -> str:
    """``1 epoch``, ``200 epochs``."""
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


# -- charts ----------------------------------------------------------------------------------------------------


class Chart:
    """A figure, or None where no run has a value, and the names of the runs left out."""

    def __init__(self, figure, notes):
        self.figure, self.notes = figure, notes


def curve_charts(cells: list[Cell], runs: dict, style: dict) -> list[Chart]:
    """Accuracies as dots, curves of accuracy and loss, then evaluations that are lists, of the cells of a group."""
    points = [charts.Point(cell.row, "", 0.0, cell.mean, cell.std, len(cell.values)) for cell in cells
              if cell.mean is not None]
    drawn = [Chart(charts.dot_chart(points, style), [])] if len(points) > 1 else []
    for metric, axis in METRICS.items():
        curves = [make_curve(cell, runs, metric) for cell in cells]
        shown = [c for c in curves if c.x or c.singles]
        missing = [f"{c.row}, seed {r.seed} ({r.state})" for c in curves for r in c.missing]
        notes = [f"Without a value of {metric}: {'; '.join(missing)}."] if missing else []
        figure = charts.curve_chart(axis, shown, style) if shown else None
        drawn.append(Chart(figure, notes))
    return drawn + [Chart(charts.curve_chart(title, curves, style, axis), [])
                    for (title, axis), curves in profiles(cells).items()]


def cost_charts(cells: list[Cell], style: dict) -> list[tuple]:
    """(name, figure) of accuracy over training time for each data set and hardware, as times compare on one only."""
    by_hardware = defaultdict(list)
    for cell in cells:
        timed = [r for r in cell.counted if r.result.get("img_s") and r.result["data"].get("images")]
        where = {hardware_of(r) for r in cell.counted}
        if cell.mean is None or len(timed) < len(cell.counted) or len(where) != 1:
            continue
        seconds = statistics.median(r.epochs * images_an_epoch(r) / r.result["img_s"] for r in timed)
        by_hardware[cell.dataset, next(iter(where))].append(charts.Point(
            cell.row, f"{cell.network}, {in_words(cell.epochs)}", seconds, cell.mean, cell.std, len(cell.values)))
    return [(f"{dataset}, {show_hardware(spot)}", charts.cost_chart(points, style))
            for (dataset, spot), points in sorted(by_hardware.items(), key=str)]


def images_an_epoch(record: Record) -> int:
    """Images that an epoch trains on: all of the set, or those of as many batches as ``train_cfg.limit`` allows."""
    images, limit = record.result["data"]["images"], (record.config or {}).get("train_cfg", {}).get("limit")
    return min(images, limit * record.result["total_batch"]) if limit and record.result.get("total_batch") else images


# -- pictures --------------------------------------------------------------------------------------------------


def newest_pictures(cells: list[Cell]) -> list[dict]:
    """One picture of mixed images for each method and data set, as a data URI; ``uri`` is None for one left out."""
    newest = {}
    for cell in cells:
        for record in cell.records:
            files = Path(record.folder, "mixes").glob("epoch_*.png")
            numbered = {int(m[1]): p for p in files if (m := re.fullmatch(r"epoch_(\d+)\.png", p.name))}
            if numbered and (cell.dataset, cell.row) not in newest:
                epoch = max(numbered)
                caption = f"{cell.row}: {cell.network} on {cell.dataset}, seed {record.seed}, epoch {epoch}"
                newest[cell.dataset, cell.row] = dict(caption=caption, **embedded(numbered[epoch]))
    return [newest[key] for key in sorted(newest)]


def embedded(path: Path) -> dict:
    """``uri`` of a PNG file, or None and the reason in ``problem``."""
    try:
        data = read_bytes(path, LARGEST)
    except OSError as error:
        return dict(uri=None, problem=f"{path} cannot be read: {error.strerror or error}")
    except ValueError as error:
        return dict(uri=None, problem=f"{path} is left out: {error}")
    if not data.startswith(PNG):
        return dict(uri=None, problem=f"{path} is no PNG file")
    return dict(uri=f"{DATA_URI}{base64.b64encode(data).decode()}", problem=None)
