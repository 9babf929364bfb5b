"""Evaluations whose values are lists, as curves: misses over lam, accuracy over the share that is hidden."""
import math
import statistics

from ..results.cells import Cell
from .curves import Curve

AXES = dict(InBetween="lam", Occlusion="share")  # type of an evaluation: the list that its other lists are over


def profiles(cells: list[Cell]) -> dict[tuple[str, str], list[Curve]]:
    """{(title, axis): a curve for each cell}, the mean over finished seeds that were evaluated at the same points."""
    charts: dict[tuple[str, str], list[Curve]] = {}
    for cell in cells:
        lists: dict[tuple[str, str], list[tuple[tuple, list]]] = {}
        for record in cell.counted:
            for name, evaluation in record.result.get("evals", {}).items():
                values = evaluation["networks"].get(record.result.get("primary")) or {}
                axis = AXES.get(evaluation.get("type"))
                for key in values if is_list(values.get(axis)) else ():
                    if key != axis and is_list(values[key]) and len(values[key]) == len(values[axis]):
                        lists.setdefault((f"{name}: {key}", axis), []).append((tuple(values[axis]), values[key]))
        for title, runs in lists.items():
            columns = list(zip(*(y for x, y in runs if x == runs[0][0]), strict=True))
            n = len(columns[0])
            charts.setdefault(title, []).append(Curve(
                cell.row, f"{cell.row} (n = {n})", n, list(runs[0][0]), [statistics.mean(column) for column in columns],
                [min(column) for column in columns], [max(column) for column in columns]))
    return charts


def is_list(value) -> bool:
    """Whether it is a list of finite numbers, at least one."""
    return isinstance(value, list) and len(value) > 0 and all(
        isinstance(v, (int, float)) and math.isfinite(v) for v in value)
