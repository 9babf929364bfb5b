"""How far the runs of a sweep are, from their files: a line for each config, and the screen of the driver."""
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ..escape import printable
from ..moved import renamed
from ..workdir import schema as usable
from ..workdir.json_files import fits, number, parse_json, read_tail, whole
from ..workdir.result import reported
from ..workdir.status import TERMINAL, read_status, state
from .jobs import Job

FAILED = tuple(s for s in TERMINAL if s != "done")
FINAL = ("stale", "broken")  # neither done nor to be done
TAIL = 16_384  # bytes at the end of a log in which the newest lines are looked for
SECONDS = number(0, 1e9)  # of an iteration


@dataclass
class JobStatus:
    """One run: its state, the epoch it is in, seconds to go (None: unknown) and a remark (accuracy, or what failed)."""

    job: Job
    state: str
    epoch: int = 0
    eta: float | None = None
    note: str = ""


def job_status(job: Job) -> JobStatus:
    """The status of a job. Two states are neither done nor to be done: ``stale`` (it ended with another config than the
    job's) and ``broken`` (its result cannot be used)."""
    run_state, status = state(job.work_dir), read_status(job.work_dir)
    epoch = status.get("epoch") or 0
    if run_state == "done":
        try:
            result = usable.read(Path(job.work_dir, "result.json"))
        except (OSError, ValueError) as error:
            return JobStatus(job, "broken", epoch, note=f"{error}; move {job.work_dir} away to train it again")
        if job.config_hash and result["config_hash"] != job.config_hash:
            return JobStatus(job, "stale", epoch, note=f"finished with another config; move {job.work_dir} away to "
                                                      "train this one")
        return JobStatus(job, run_state, result["epochs"], 0.0, _accuracy(result))
    if run_state == "running":
        return JobStatus(job, run_state, epoch, time_left(job))
    return JobStatus(job, run_state, epoch, note=status.get("reason") or "" if run_state in FAILED else "")


def _accuracy(result: dict) -> str:
    value, kind = reported(result)
    unit = " %" if (result["main"] or "").startswith("top") else f" {result['main']}"
    return "" if value is None else f"{'last ' if kind == 'last' else ''}{value:.2f}{unit}"


def time_left(job: Job) -> float | None:
    """Seconds of training that are left, by the newest line of the log; None before the first epoch's end."""
    logs = sorted(Path(job.work_dir).glob("*/vis_data/scalars.json"))
    epoch = step = seconds = per_epoch = None
    for line in (line for log in logs[-2:] for line in read_tail(log, TAIL)):
        try:
            entry = parse_json(line)
        except ValueError:  # torn
            continue
        if not isinstance(entry, dict) or not fits(entry.get("step"), whole()):
            continue
        if fits(entry.get("epoch"), whole(1)) and fits(entry.get("time"), SECONDS):
            epoch, step, seconds = entry["epoch"], entry["step"], entry["time"]
        elif "epoch" not in entry and epoch:  # an evaluation: the epoch is complete
            per_epoch = entry["step"] / epoch
    if not (per_epoch and seconds and job.epochs):
        return None
    return max(0.0, (job.epochs * per_epoch - step) * seconds)


def counts(statuses: Iterable[JobStatus]) -> str:
    """``12 runs: 8 done, 2 running, 1 waiting, 1 failed``."""
    statuses = list(statuses)
    groups = dict(done=("done",), running=("running",), waiting=("waiting", "preempted", "interrupted"), failed=FAILED,
                  stale=("stale",), broken=("broken",))
    numbers = {name: sum(s.state in states for s in statuses) for name, states in groups.items()}
    parts = [f"{n} {name}" for name, n in numbers.items() if n or name in ("done", "waiting")]
    return f"{len(statuses)} runs: {', '.join(parts)}"


def clock(seconds: float | None) -> str:
    return "?" if seconds is None else str(timedelta(seconds=round(min(seconds, 1e12))))


def where(s: JobStatus) -> str:
    """The state in words: ``epoch 12/200, 0:31:10 to go``."""
    if s.state == "running":
        return f"epoch {s.epoch}/{s.job.epochs or '?'}, {clock(s.eta)} to go"
    if s.state in ("preempted", "interrupted"):
        return f"waiting, stopped in epoch {s.epoch}" if s.epoch else "waiting"
    return s.state


def table(statuses: Iterable[JobStatus]) -> str:
    """Text: a line for each config, then what failed and why, then the counts."""
    from prettytable import PrettyTable, TableStyle

    statuses, rows = list(statuses), {}
    for s in statuses:
        rows.setdefault(s.job.name.rpartition("/")[0], []).append(s)
    text = PrettyTable(["config", "done", "seed: state"], align="l")
    text.set_style(TableStyle.PLAIN_COLUMNS)
    text.right_padding_width = 2
    for name, row in rows.items():
        done = sum(s.state == "done" for s in row)
        parts = [printable(f"{s.job.seed}: {where(s)}{f' {s.note}' if s.state == 'done' else ''}") for s in row]
        words = {where(s) for s in row}
        states = "waiting" if words == {"waiting"} else "   ".join(parts)
        text.add_row([printable(name), f"{done}/{len(row)}", states])
    lines = ["\n".join(line.rstrip() for line in str(text).splitlines())]
    lines += map(printable, together((s.job.name, f"{s.state}: {s.note}") for s in statuses
                                     if s.state in (*FAILED, *FINAL)))
    return "\n".join([*lines, counts(statuses)])


def together(failures: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each reason: ``a/seed0, a/seed1: invalid: no data``."""
    names = {}
    for name, why in failures:
        names.setdefault(why, []).append(name)
    return [f"{', '.join(jobs)}: {why}" for why, jobs in names.items()]


class PlainProgress:
    """The driver's output where there is no terminal: one line an event."""

    def __init__(self, write=print):
        self.write = write

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def event(self, text: str) -> None:
        self._try(self.write, f"{time.strftime('%H:%M:%S')} {printable(text)}")

    def refresh(self, pool) -> None:
        pass

    def _try(self, call, *arguments) -> None:
        try:
            call(*arguments)
        except OSError:  # the terminal or the pipe is gone; the sweep goes on
            self.write = lambda *_: None


class LiveProgress(PlainProgress):
    """The live screen on a terminal: how many are done, what runs, what failed last."""

    def __init__(self, console=None):
        from rich.console import Console
        from rich.live import Live

        # no thread of its own: a child is started from the thread that lives as long as the driver
        self.live = Live(console=console or Console(), auto_refresh=False, transient=True)
        super().__init__(lambda text: self.live.console.print(text, highlight=False, markup=False))
        self.drawn_at = 0.0

    def __enter__(self):
        self.live.start()
        return self

    def __exit__(self, *_):
        self._try(self.live.stop)

    def refresh(self, pool) -> None:
        if time.monotonic() - self.drawn_at > 0.5:
            self.drawn_at = time.monotonic()
            self._try(lambda: self.live.update(self._draw(pool), refresh=True))

    def _draw(self, pool):
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        running = Table.grid(padding=(0, 2))
        for _ in range(3):
            running.add_column(overflow="fold")  # a long name goes on in the next line
        screen = Table.grid()  # a row each: the bar alone would end without a line break
        for a in pool.running:
            running.add_row(Text(", ".join(d for d in a.devices if d) or "cpu"), Text(a.job.name),
                            Text(where(job_status(a.job)) if a.begun else "starting"))
        elsewhere = f", {n} running elsewhere" if (n := len(pool.elsewhere)) else ""
        head = (f"{pool.done}/{pool.total} done, {len(pool.running)} running, {len(pool.waiting)} waiting{elsewhere}, "
                f"{len(pool.failed)} failed; {clock(pool.time_left())} to go")
        failed = [Text(printable(f"failed: {name}: {why}")[:300], style="red")
                  for name, why in list(pool.failed.items())[-5:]]
        bar = ProgressBar(total=max(1, pool.total), completed=pool.done, width=60)
        for part in (Text(head), bar, running, *failed):
            screen.add_row(part)
        return screen


__getattr__ = renamed(__name__, Standing="JobStatus", stand="job_status", Lines="PlainProgress", Screen="LiveProgress")
