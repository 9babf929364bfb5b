"""Columns of tables by name: ``val.top5`` of the validation, ``cal.ece`` of the named evaluation ``cal``."""
import statistics
from collections import Counter
from collections.abc import Callable, Iterable

from ..errors import did_you_mean
from .cells import Cell
from .records import Record

VALIDATION = "val"


def values_of(record: Record) -> dict[str, dict[str, float]]:
    """{evaluation: {name of a value: number}} of a run's primary network; lists are left out.

    Of the validation they are the values of the last epoch, and ``best``: the best main value of all epochs.
    """
    result = record.result or {}
    last, best = record.primary.get("last") or {}, record.primary.get("best") or {}
    evaluated = {VALIDATION: {k: v for k, v in last.items() if k not in ("epoch", "split")}}
    if result.get("main") in best:
        evaluated[VALIDATION]["best"] = best[result["main"]]
    for name, evaluation in result.get("evals", {}).items():
        evaluated[name] = evaluation["networks"].get(result.get("primary")) or {}
    return {name: {k: v for k, v in values.items() if isinstance(v, (int, float)) and k != "count"}
            for name, values in evaluated.items()}


def main_of(record: Record, evaluation: str) -> str | None:
    """Name of the main value of an evaluation."""
    result = record.result or {}
    return (result if evaluation == VALIDATION else result.get("evals", {}).get(evaluation, {})).get("main")


def parse_columns(texts: Iterable[str], records: list[Record]) -> list[tuple[str, str]]:
    """``NAME`` or ``NAME.VALUE`` as (name, value); a name alone means its main value.

    Raises:
        ValueError: no run has an evaluation or a value of that name.
    """
    known, columns = {}, []
    for record in records:
        for name, values in values_of(record).items():
            known.setdefault(name, {}).update(dict.fromkeys(values))
    for text in texts:
        name, _, value = text.partition(".")
        if not known.get(name):
            raise ValueError(f"--columns {text}: no run has an evaluation {name!r}; "
                             f"{did_you_mean(name, [n for n, values in known.items() if values])}")
        value = value or next((main for r in records if (main := main_of(r, name))), "")
        if value not in known[name]:
            raise ValueError(f"--columns {text}: evaluation {name!r} has no value {value!r}; "
                             f"{did_you_mean(value, known[name])}")
        columns.append((name, value))
    return columns


def cell_values(cell: Cell, column: tuple[str, str]) -> list[float]:
    """The values of a column, one for each counted run that has it; of an evaluation on several sets of images, those
    on the set of the most runs.
    """
    name, value = column
    runs = [r for r in cell.counted if values_of(r).get(name, {}).get(value) is not None]
    if name != VALIDATION:
        runs = on_same_images(runs, lambda record: record.result["evals"][name])
    return [values_of(r)[name][value] for r in runs]


def on_same_images(items: list, evaluation: Callable) -> list:
    """The items whose ``evaluation(item)``, as result.json has it, is on the images of the most of them; of as many, on
    those of the first. Means over different images are none.
    """
    def images(item):
        data = evaluation(item).get("data") or {}
        return tuple(data.get(key) for key in ("name", "split", "images", "sha256"))

    counts = Counter(map(images, items))
    return [item for item in items if images(item) == counts.most_common(1)[0][0]]


def mean_and_std(cell: Cell | None, column: tuple[str, str]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation over the runs; None without a run, or with one."""
    values = cell_values(cell, column) if cell else []
    return (statistics.mean(values) if values else None, statistics.stdev(values) if len(values) > 1 else None)


def column_text(cell: Cell | None, column: tuple[str, str]) -> str:
    """``0.0432 ± 0.0011 (3)``: mean, deviation and number of runs; ``§`` for weights of an earlier epoch than the last.
    """
    mean, std = mean_and_std(cell, column)
    if mean is None:
        return "-"
    n, runs = len(cell_values(cell, column)), len(cell.counted)
    count = str(n) if n == runs else f"{n}/{runs}"
    return f"{mean:.4g}{f' ± {std:.2g}' if std is not None else ''}{'§' if is_early(cell, column) else ''} ({count})"


def is_early(cell: Cell, column: tuple[str, str]) -> bool:
    """Whether some values were measured on weights of an earlier epoch than the last."""
    evals = [(r.result, r.result["evals"][column[0]]) for r in cell.counted if column[0] in r.result["evals"]]
    return any(evaluation["epoch"] != result["epochs"] for result, evaluation in evals)
