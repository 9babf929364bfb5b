"""What the speed benchmarks share: contenders take turns in one process, medians are compared, a table is printed."""
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch
from prettytable import PrettyTable, TableStyle

from openmix.workdir import hardware


def synchronize() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def best_clock(threads: int, workers: int = 0) -> Callable[[], float]:
    """Seconds on a clock that leaves out what other programs take, where all happens in one thread on a CPU."""
    alone = threads == 1 and workers == 0 and not torch.cuda.is_available()
    return time.process_time if alone else time.perf_counter


def interleaved(contenders: dict[str, Callable[[], object]], rounds: int = 15, least_ms: float = 20.0,
                clock: Callable[[], float] = time.perf_counter) -> dict:
    """Median seconds of one call of each contender; in every round each takes a turn of at least ``least_ms``.

    A busy machine then disturbs all alike: compare the ratios. ``clock``: see :func:`best_clock`.
    """
    calls, times = {}, {name: [] for name in contenders}
    for name, call in contenders.items():  # warm up, and find how many calls make a turn
        call()
        synchronize()
        start = clock()
        call()
        synchronize()
        calls[name] = max(1, round(least_ms / 1e3 / max(clock() - start, 1e-7)))
    for _ in range(rounds):
        for name, call in contenders.items():
            start = clock()
            for _ in range(calls[name]):
                call()
            synchronize()
            times[name].append((clock() - start) / calls[name])
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def setting(*packages: str, **facts) -> str:
    """One line of what was measured on: hardware, threads, versions."""
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    versions = []
    for package in ("torch", *packages):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} not installed")
    facts = [f"{key} {value}" for key, value in facts.items()]
    return (f"{hardware(device)}; {torch.get_num_threads()} thread(s); Python {platform.python_version()}, "
            f"{', '.join([*versions, *facts])}")


def table(columns: list[str], rows: list[list]) -> str:
    """A Markdown table; floats with three digits that count."""
    made = PrettyTable(columns)
    made.set_style(TableStyle.MARKDOWN)
    made.align = "r"
    made.align[columns[0]] = "l"
    made.add_rows([[f"{cell:.3g}" if isinstance(cell, float) else cell for cell in row] for row in rows])
    return made.get_string()


def print_setting(*packages: str, **facts) -> None:
    print(setting(*packages, **facts))


def print_table(columns: list[str], rows: list[list]) -> None:
    print(table(columns, rows))
