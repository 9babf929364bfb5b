"""What training costs: speed and memory of the finished runs of a row, compared on the same hardware only."""
import json
import re
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass

from ..moved import renamed
from .cells import Cell
from .records import Record
from .repetitions import recipe, setting

CPU = re.compile(  # in names of devices
    r"\b(EPYC|Xeon|Ryzen|Threadripper|Core|CPU|Processor|Neoverse|x86_64|aarch64|arm64)\b", re.I)


@dataclass
class Cost:
    """Speed and memory of the finished runs of a row on the same hardware: medians over the runs.

    Attributes:
        hardware: device, processes, precision and total batch: costs are compared within one only.
        runs: how many the speed is a median of.
        img_s: images a second; on a CPU that measured it, of processor time.
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

    Runs that may have read the outputs of their teacher from files (``teacher.cache``) are left out. So are the speeds
    of runs on CPUs that know the time of a clock alone, which other programs change.
    """
    results, kin = defaultdict(list), {}
    for cell in cells:
        for record in cell.counted + cell.repeated:
            if reads_outputs(record.config):
                continue
            key = hardware_of(record), cell.row, cell.method
            results[key].append(record.result)
            kin.setdefault(key, _all_but_method(record))
    by_processor = {key[0] for key, runs in results.items()
                    if CPU.search(str(key[0][0])) or any(run.get("cpu_img_s") for run in runs)}
    costs = []
    for key, runs in sorted(results.items(), key=lambda item: str(item[0])):
        where, row, method = key
        speed = "cpu_img_s" if where in by_processor else "img_s"
        timed = sum(bool(run.get(speed)) for run in runs)
        cost = Cost(row, method, where, timed, _median(runs, speed), _median(runs, "peak_memory_mib"))
        speeds = {k: _median(others, speed) for k, others in results.items() if (k[0], k[2]) == (where, baseline)}
        base = [k for k, speed in speeds.items() if speed]
        if len(base) > 1:  # several variants
            base = [k for k in base if k == key or method != baseline and kin[k] == kin[key]]
            cost.why = f"several variants of {baseline} on this hardware, and none that differs in the method alone"
        else:
            cost.why = (f"no finished {baseline} run with a measured speed on this hardware with as many processes, "
                        "this precision and this batch")
        if not cost.img_s:
            cost.why = f"no run with a measured {'processor time' if where in by_processor else 'speed'}"
        elif len(base) == 1:
            cost.relative, cost.why = speeds[base[0]] / cost.img_s, ""
        costs.append(cost)
    return costs


def most_compared_first(costs: list[Cost]) -> list[Cost]:
    """The costs on the hardware where the most rows have a relative one come first. A table that shows one
    number of a row takes its first.
    """
    rows = Counter(cost.hardware for cost in costs if cost.relative)
    return sorted(costs, key=lambda cost: (cost.relative is None, -rows[cost.hardware], str(cost.hardware)))


def cost_of(cell: Cell, costs: list[Cost]) -> Cost | None:
    """The first of the costs that is of the cell's row and of hardware on which its runs ran."""
    kinds = {hardware_of(record) for record in cell.counted}
    return next((cost for cost in costs if cost.row == cell.row and cost.hardware in kinds), None)


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
