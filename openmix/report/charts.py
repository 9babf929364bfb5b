"""The charts of a report, made with Bokeh: zoom, hover, and a click in the legend hides a line."""
from collections.abc import Iterable
from dataclasses import dataclass

from ..escape import printable
from .curves import Curve

HEIGHT, WIDTH = 380, 310  # pixels: of a plot, without its legend; of the narrowest it is made for, a telephone's
CHARACTER = 6.6  # pixels of a letter of a legend
UNITS = ((1.0, "s"), (60.0, "min"), (3600.0, "h"))
BASELINE = "Vanilla"
LAST_PART = 0.75  # a chart of curves shows the values after this share of the epochs
DASHES = ("solid", "dashed", "dotted")
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "plus", "star")


@dataclass
class Point:
    """A cell in the chart of costs: accuracy with its standard deviation (None for one seed) over seconds."""

    row: str
    group: str  # decides the marker: network and epochs
    seconds: float
    top1: float
    std: float | None
    n: int


def bokeh():
    """The library. Raises ImportError with the command that installs it."""
    try:
        import bokeh.plotting
    except ImportError as error:
        raise ImportError('a report needs Bokeh: pip install bokeh scipy') from error
    return bokeh


def colours(rows: Iterable[str]) -> dict[str, tuple[str, str]]:
    """{row: (colour, dash)}, the same in every chart of a report."""
    bokeh()
    from bokeh.palettes import Category10, Category20

    rows = sorted(set(rows))
    first = [row for row in rows if row == BASELINE]  # black: all others are read against it
    rows = [row for row in rows if row != BASELINE]
    palette = Category10[10] if len(rows) <= 10 else Category20[20][::2] + Category20[20][1::2]  # the strong ones first
    styles = {row: (palette[i % len(palette)], DASHES[i // len(palette) % len(DASHES)]) for i, row in enumerate(rows)}
    return {**{row: ("black", "solid") for row in first}, **styles}


def new_figure(x: str, y: str, tooltips, **options):
    figure = bokeh().plotting.figure(
        x_axis_label=x, y_axis_label=y, height=HEIGHT, sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset,save,hover", tooltips=tooltips, active_scroll=None, **options)
    figure.toolbar.logo = None
    return figure


def curve_chart(y: str, curves: list[Curve], style: dict, x: str = "epoch"):
    """Means as lines, the range over seeds as bands; runs that did not finish thin, with a mark where they end."""
    tips = [("run", "@name"), (x, "@x"), ("value", "@y{0.000}"), ("range", "@range"), ("seeds", "@n")]
    figure = new_figure(x, y, tips)
    entries = []
    for curve in curves:
        colour, dash = style[curve.row]
        drawn = []
        if curve.x:
            if curve.n > 1:
                drawn.append(figure.varea(curve.x, curve.low, curve.high, fill_color=colour, fill_alpha=0.12))
            ranges = [f"{low:.3f} to {high:.3f}" for low, high in zip(curve.low, curve.high, strict=True)]
            drawn += _line(figure, curve.label, curve.x, curve.mean, ranges if curve.n > 1 else None, curve.n,
                           color=colour, line_dash=dash, line_width=2)
        for record, epochs, values in curve.singles:
            name = f"{curve.row}, seed {record.seed}, {record.state}"
            drawn += _line(figure, name, epochs, values, None, 1, color=colour, line_dash="dashed", line_width=1.2)
            end = figure.scatter(epochs[-1:], values[-1:], marker="x" if record.state != "done" else "circle", size=11,
                                 line_width=2, color=colour)
            drawn.append(end)
        if drawn:
            entries.append((curve.label, drawn))
    figure.hover.renderers = [r for _, drawn in entries for r in drawn if "name" in r.data_source.data]
    _legend(figure, entries)
    if x == "epoch" and (shown := last_values(curves)):
        low, high = shown
        figure.y_range = bokeh().models.Range1d(low, high)
    return figure


def last_values(curves: list[Curve]) -> tuple[float, float] | None:
    """Range of the means and bands in the last quarter of the epochs, with a margin; None where nothing is there."""
    end = max((curve.x[-1] for curve in curves if curve.x), default=0)
    values = [value for curve in curves for x, low, high in zip(curve.x, curve.low, curve.high, strict=True)
              if x >= LAST_PART * end for value in (low, high)]
    if not values:
        return None
    margin = 0.08 * (max(values) - min(values)) or 0.5
    return min(values) - margin, max(values) + margin


def dot_chart(points: list[Point], style: dict):
    """Accuracies of the methods, the best on top: a dot each with its standard deviation, and a line at Vanilla's."""
    points = sorted(points, key=lambda p: p.top1)
    tips = [("method", "@name"), ("top-1", "@x{0.00} @std"), ("seeds", "@n")]
    figure = new_figure("top-1 accuracy (%)", "", tips, y_range=[p.row for p in points])
    figure.height = 90 + 24 * len(points)
    for point in points:
        if point.row == BASELINE:
            figure.add_layout(bokeh().models.Span(location=point.top1, dimension="height", line_dash="dotted",
                                                  line_color="black"))
        if point.std is not None:
            figure.segment([point.top1 - point.std], [point.row], [point.top1 + point.std], [point.row],
                           color=style[point.row][0], line_width=2)
    source = bokeh().models.ColumnDataSource(dict(
        x=[p.top1 for p in points], name=[p.row for p in points], n=[p.n for p in points],
        std=["" if p.std is None else f"± {p.std:.2f}" for p in points], color=[style[p.row][0] for p in points]))
    figure.hover.renderers = [figure.scatter("x", "name", source=source, size=9, color="color")]
    return figure


def _line(figure, name, x, y, ranges, n, *, line_width, line_dash, color) -> list:
    source = bokeh().models.ColumnDataSource(dict(
        x=list(x), y=[float(f"{v:.6g}") for v in y], name=[name] * len(x), n=[n] * len(x),
        range=ranges or ["one run"] * len(x)))
    line = figure.line("x", "y", source=source, color=color, line_dash=line_dash, line_width=line_width)
    if len(x) > 1:
        return [line]
    return [line, figure.scatter("x", "y", source=source, color=color, size=6)]  # a line of one point is invisible


def _legend(figure, entries: list) -> None:
    """Below the plot, in as many columns as fit into a narrow page."""
    if not entries:
        return
    width = int(CHARACTER * max(len(label) for label, _ in entries))
    columns = max(1, WIDTH // (width + 26))
    legend = bokeh().models.Legend(items=entries, click_policy="hide", label_text_font_size="12px", spacing=0,
                                   padding=4, label_width=width, ncols=columns, border_line_color=None,
                                   location="top_left")
    figure.add_layout(legend, "below")
    figure.height = HEIGHT + 22 * -(-len(entries) // columns)


def cost_chart(points: list[Point], style: dict):
    """Accuracy over the time that training takes; bars are standard deviations over seeds."""
    factor, unit = [u for u in UNITS if u[0] <= max(p.seconds for p in points) / 2 or u[0] == 1.0][-1]
    tips = [("method", "@name"), ("for", "@group"), (f"time ({unit})", "@x{0.0000}"), ("top-1", "@y{0.00} @std"),
            ("seeds", "@n")]
    figure = new_figure(f"time of the training steps ({unit}, logarithmic)", "top-1 accuracy (%)", tips,
                        x_axis_type="log")
    groups = {group: MARKERS[i % len(MARKERS)] for i, group in enumerate(sorted({p.group for p in points}))}
    entries, dots = [], []
    for point in points:
        x, colour = float(f"{point.seconds / factor:.6g}"), style[point.row][0]
        drawn = []
        if point.std is not None:
            drawn.append(figure.segment([x], [point.top1 - point.std], [x], [point.top1 + point.std], color=colour))
        source = bokeh().models.ColumnDataSource(dict(
            x=[x], y=[point.top1], name=[point.row], group=[point.group], n=[point.n],
            std=["" if point.std is None else f"± {point.std:.2f}"]))
        dots.append(figure.scatter("x", "y", source=source, marker=groups[point.group], size=11, color=colour))
        label = f"{point.row} ({point.group})" if len(groups) > 1 else point.row
        entries.append((label, [*drawn, dots[-1]]))
    figure.hover.renderers = dots
    _legend(figure, entries)
    return figure


def as_item(figure, target: str) -> dict:
    """A figure as plain data that ``Bokeh.embed.embed_item`` draws; the same figure gives the same data."""
    from bokeh.embed import json_item

    return renumbered(json_item(figure, target), {})


def renumbered(value, names: dict):
    """Plain data with the ids of its models counted from 0 (Bokeh counts through all figures of a process), and with
    texts in which every character is visible."""
    if isinstance(value, dict):
        return {k: names.setdefault(v, f"m{len(names)}") if k in ("id", "root_id") and isinstance(v, str)
                else renumbered(v, names) for k, v in value.items()}
    if isinstance(value, str):  # labels are drawn as they are: no control character, no turned direction of writing
        return value if value.isprintable() else printable(value)
    return [renumbered(v, names) for v in value] if isinstance(value, (list, tuple)) else value


def script() -> str:
    """Bokeh's own script, whole, in a ``<script>`` element."""
    bokeh()
    from bokeh.resources import Resources

    return Resources(mode="inline", components=["bokeh"]).render_js()
