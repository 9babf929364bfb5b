"""A figure for a paper: accuracies of the methods with error bars, and accuracy over cost. Made with Matplotlib."""
import io
import math
import statistics
import textwrap
from collections.abc import Iterable
from pathlib import Path

from ..results.cells import Cell
from ..results.costs import make_costs, most_compared_first
from ..workdir.files import write_atomic

FORMATS = (".png", ".pdf", ".svg")
BASELINE = "Vanilla"
WIDTH, ROW, LEAST = 9.0, 0.2, 2.4  # inches: of the figure, of a method, of the shortest figure
STYLE = {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "openmix", "pdf.fonttype": 42}  # text stays text


def save_figure(cells: list[Cell], path, missing: Iterable[str] = ()) -> Path:
    """Draw the cells of one data set, network and number of epochs; the same cells give the same file.

    At the left each method, the best on top, with the standard deviation over seeds; at the right accuracy over the
    time of an image relative to Vanilla's, with the numbers of the rows at the left. A row far below the others is an
    arrow at the edge, with its accuracy in its label.

    Args:
        path: ends with .png, .pdf or .svg.
        missing: methods without a run, which are named below.

    Raises:
        ValueError: another suffix; cells of several kinds, or none with an accuracy. ImportError: no Matplotlib.
        FileNotFoundError: no such folder.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"a figure is one of {', '.join(FORMATS)}, got {path.name!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} for {path.name}; make it first")
    shown = sorted((cell for cell in cells if cell.mean is not None), key=lambda cell: -cell.mean)
    if not shown:
        raise ValueError("no finished run to draw: train one first, or name another table with --part")
    if len({(cell.dataset, cell.network, cell.epochs, cell.kind) for cell in shown}) > 1:
        raise ValueError("a figure has one data set, network and number of epochs; choose with --part and --epochs")
    buffer = io.BytesIO()
    kind = path.suffix.lower()[1:]
    made = dict(svg=dict(Date=None), pdf=dict(CreationDate=None)).get(kind)
    matplotlib = library()
    with matplotlib.rc_context(STYLE):
        draw(shown, sorted(missing)).savefig(buffer, format=kind, dpi=200, metadata=made)
    write_atomic(path, buffer.getvalue())
    return path


def library():
    """Matplotlib. Raises ImportError with the command that installs it."""
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ImportError('a figure needs Matplotlib: pip install matplotlib') from error
    return matplotlib


def draw(cells: list[Cell], missing: list[str]):
    """The figure of cells that are sorted by accuracy, the best first."""
    below = textwrap.wrap(f"No run yet: {'; '.join(missing)}.", 150) if missing else []
    height = max(LEAST, ROW * len(cells) + 0.9) + 0.16 * len(below)
    figure = library().figure.Figure(figsize=(WIDTH, height), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.16 * len(below) / height, 1, 1 - 0.16 * len(below) / height))
    left, right = figure.subplots(1, 2)
    relative, (least, edge), labels = costs_of(cells), low_end([cell.mean for cell in cells]), []
    points = []
    for number, cell in enumerate(cells, 1):
        colour = "black" if cell.row == BASELINE else f"C{(number - 1) % 10}"
        far_below = cell.mean < least
        mean, std = (edge, None) if far_below else (cell.mean, cell.std)
        labels.append(f"{number}  {cell.row}, n = {len(cell.values)}{f': {cell.mean:.1f} %' if far_below else ''}")
        left.errorbar(mean, -number, xerr=std, fmt="<" if far_below else "o", markersize=4, color=colour)
        if time := relative.get(cell.row):
            right.errorbar(time, mean, yerr=std, fmt="v" if far_below else "o", markersize=4, color=colour)
            points.append((number, time, mean, colour))
        if cell.row == BASELINE:
            left.axvline(cell.mean, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
            right.axhline(cell.mean, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    left.set_yticks([-n for n in range(1, len(cells) + 1)], labels)
    left.set(xlabel="top-1 accuracy (%)", ylim=(-len(cells) - 0.7, -0.3))
    right.set(xlabel=f"time relative to {BASELINE}", ylabel="top-1 accuracy (%)")
    if relative:
        if max(relative.values()) > 4 * min(relative.values()):  # else powers of two are too few ticks
            right.set_xscale("log", base=2)
        right.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    else:
        right.text(0.5, 0.5, f"no cost relative to {BASELINE}", ha="center", transform=right.transAxes)
    for axes in (left, right):
        axes.grid(alpha=0.25, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    cell = cells[0]
    figure.suptitle(f"{cell.network} on {cell.dataset}, {cell.epochs} epochs", fontsize=9)
    for line, text in enumerate(reversed(below)):
        figure.text(0.01, (0.05 + 0.16 * line) / height, text, fontsize=7, color="0.35")
    number_points(right, points)
    return figure


def number_points(axes, points: list[tuple]) -> None:
    """Write the number of each (number, x, y, colour) at the first corner of its point that is free, or the freest."""
    axes.figure.draw_without_rendering()  # sets the positions of which distances are taken
    point = axes.figure.dpi / 72  # in pixels
    centres = [tuple(axes.transData.transform((x, y))) for _, x, y, _ in points]
    texts = []
    for i, (number, x, y, colour) in enumerate(points):
        taken = [*centres[:i], *centres[i + 1:], *texts]
        middles = {(dx, dy): (centres[i][0] + point * 2.5 * dx, centres[i][1] + point * 2 * dy)
                   for dx in (3, -3) for dy in (3, -3)}
        free = {corner: min((math.dist(middle, other) for other in taken), default=math.inf)
                for corner, middle in middles.items()}
        dx, dy = next((corner for corner in free if free[corner] > 9 * point), max(free, key=free.get))
        texts.append(middles[dx, dy])
        axes.annotate(str(number), (x, y), xytext=(dx, dy), textcoords="offset points", fontsize=7, color=colour,
                      ha="left" if dx > 0 else "right", va="bottom" if dy > 0 else "top")


def low_end(means: list[float]) -> tuple[float, float]:
    """(accuracy below which a row is an arrow, position of the arrow), in %: a method that did not learn would squeeze
    the others.
    """
    middle, best = statistics.median(means), max(means)
    least = middle - 3 * max(best - middle, 2.0)
    lowest = min(mean for mean in means if mean >= least)
    return least, lowest - 0.1 * max(best - lowest, 1.0)


def costs_of(cells: list[Cell]) -> dict[str, float]:
    """{row: time relative to Vanilla}, of a row on several kinds of hardware that on which the most rows have one."""
    chosen: dict = {}
    for cost in most_compared_first(make_costs(cells)):
        if cost.relative:
            chosen.setdefault(cost.row, cost.relative)
    return chosen
