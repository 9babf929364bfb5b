"""What training costs: speed and memory of the finished runs of a row, compared on the same hardware only."""
import json
import statistics
from collections import defaultdict
from dataclasses import dataclass

from ..moved import renamed
from .cells import Cell
from .records import Record
from .repetitions import recipe, setting


@dataclass
class Cost:
    """Speed and memory of the finished runs of a row on the same hardware: medians over the runs.

    Attributes:
        hardware: device, processes, precision and total batch: costs are compared within one only.
        relative: time for an image (on CPUs: of the processor) relative to the baseline's on the same hardware; of
            several variants of the baseline the one that differs in nothing but the method. None without such a
            baseline, with the reason in ``why``.
    """

    row: str
    method: str
    hardware: tuple[str, int, str, int]
    runs: int
    img_s: float | None
    memory_mib: float | None
    relative: float | None = None
    why: str = ""


def make_costs(cells: list[Cell], baseline: str = "Vanilla") -> list[Cost]:
    """Costs of the rows of one network on one data set, sorted by hardware and row.

    Runs that may have read the outputs of their teacher from files (``teacher.cache``) are left out.
    """
    results, kin = defaultdict(list), {}
    for cell in cells:
        for record in cell.counted + cell.repeated:
            if reads_outputs(record.config):
                continue
            key = hardware_of(record), cell.row, cell.method
            results[key].append(record.result)
            kin.setdefault(key, _all_but_method(record))
    costs = []
    for key, runs in sorted(results.items(), key=lambda item: str(item[0])):
        where, row, method = key
        cost = Cost(row, method, where, len(runs), _median(runs, "img_s"), _median(runs, "peak_memory_mib"))
        speeds = {k: _median(others, "img_s") for k, others in results.items() if (k[0], k[2]) == (where, baseline)}
        base = [k for k, speed in speeds.items() if speed]
        if len(base) > 1:  # several variants
            base = [k for k in base if k == key or method != baseline and kin[k] == kin[key]]
            cost.why = f"several variants of {baseline} on this hardware, and none that differs in the method alone"
        else:
            cost.why = (f"no finished {baseline} run with a measured speed on this hardware with as many processes, "
                        "this precision and this batch")
        if len(base) == 1 and cost.img_s:
            cost.relative, cost.why = ratio(results[base[0]], runs), ""
        costs.append(cost)
    return costs


def ratio(baseline: list[dict], runs: list[dict]) -> float:
    """Time for an image of ``runs`` over that of ``baseline``: processor time, where all were measured on a CPU."""
    key = "cpu_img_s" if all(result.get("cpu_img_s") for result in (*baseline, *runs)) else "img_s"
    return _median(baseline, key) / _median(runs, key)


def reads_outputs(config) -> bool:
    """Whether the mixing method of a run's config, which may be damaged, has a teacher whose outputs are stored."""
    for key in ("model", "mixup", "teacher"):
        config = config.get(key) if isinstance(config, dict) else None
    return isinstance(config, dict) and config.get("cache") is not None


def show_hardware(hardware: tuple) -> str:
    """What :func:`hardware_of` returns, in words."""
    device, processes, precision, batch = hardware
    return f"{processes} x {device or 'unknown hardware'}, {precision}, batch {batch}"


def hardware_of(record: Record) -> tuple[str, int, str, int]:
    """(device, processes, precision, total batch) of a finished run, within which costs compare."""
    return record.hardware, record.processes, record.precision, record.result.get("total_batch")


def _all_but_method(record: Record) -> tuple:
    leaves = {k: v for k, v in recipe(record).items() if not k.startswith("model.mixup")}
    return json.dumps(leaves, sort_keys=True), setting(record)


def _median(results: list[dict], key: str) -> float | None:
    values = [r[key] for r in results if r.get(key)]
    return statistics.median(values) if values else None


__getattr__ = renamed(__name__, place="hardware_of", show_place="show_hardware")
