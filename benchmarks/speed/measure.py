"""What the speed benchmarks share: contenders take turns in one process, medians are compared, a table is printed."""
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch
from prettytable import PrettyTable, TableStyle

from openmix.engine.workdir import hardware


def synchronize() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def interleaved(contenders: dict[str, Callable[[], object]], rounds: int = 15, least_ms: float = 20.0) -> dict:
    """Median seconds of one call of each contender; in every round each takes a turn of at least ``least_ms``.

    A busy machine then disturbs all alike: compare the ratios.
    """
    calls, times = {}, {name: [] for name in contenders}
    for name, call in contenders.items():  # warm up, and find how many calls make a turn
        call()
        synchronize()
        start = time.perf_counter()
        call()
        synchronize()
        calls[name] = max(1, round(least_ms / 1e3 / max(time.perf_counter() - start, 1e-7)))
    for _ in range(rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                call()
            synchronize()
            times[name].append((time.perf_counter() - start) / calls[name])
    return {name: statistics.median(found) for name, found in times.items()}


def print_setting(*packages: str, **facts) -> None:
    """One line of what was measured on: hardware, threads, versions."""
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    versions = []
    for package in ("torch", *packages):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} not installed")
    facts = [f"{key} {value}" for key, value in facts.items()]
    print(f"{hardware(device)}; {torch.get_num_threads()} thread(s); Python {platform.python_version()}, "
          f"{', '.join([*versions, *facts])}")


def print_table(columns: list[str], rows: list[list]) -> None:
    """A Markdown table; floats with three digits that count."""
    table = PrettyTable(columns)
    table.set_style(TableStyle.MARKDOWN)
    table.align = "r"
    table.align[columns[0]] = "l"
    table.add_rows([[f"{cell:.3g}" if isinstance(cell, float) else cell for cell in row] for row in rows])
    print(table)
