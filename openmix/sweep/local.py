"""The driver of a sweep on one machine: so many jobs at a time, each in its slot of a GPU or of the CPU.

Nothing is remembered here that is not in the work dirs, so the driver may be killed and started again at any moment.
Its children cannot outlive it: the kernel sends them SIGTERM when it dies, upon which a training saves and leaves. A
driver started meanwhile sees the lock that such a run holds until it has left, and waits for it.
"""
import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..paths import child_environment
from ..workdir.json_files import open_regular, read_tail
from ..workdir.status import is_alive, read_status
from .jobs import Job, command, record_exit
from .progress import FAILED, FINAL, JobStatus, PlainProgress, job_status
from .slots import Slots

LOG = "output.log"  # in a work dir: what its processes wrote, over all starts
LOOK = 0.02  # seconds between two looks at the children
AGAIN = 1.0  # seconds until a job that was killed, or runs elsewhere, is looked at again


@dataclass
class Waiting:
    job: Job
    kills: int = 0
    since: float = 0.0  # not to be started before


@dataclass
class Running:
    job: Job
    process: subprocess.Popen
    devices: list[str]
    before: dict
    kills: int
    started: float = field(default_factory=time.monotonic)

    @property
    def begun(self) -> bool:
        """Whether this start, not an earlier one, has written its status."""
        return read_status(self.job.work_dir) != self.before


class Pool:
    """Runs jobs until all have ended.

    Args:
        jobs: in the order they are started; finished ones, and those that failed for good, are left alone.
        slots: where they run.
        retries: how often a job that a signal killed is started again.
        again: also start failed jobs.
        problems: {config: error}: jobs that fail without being started.
        screen: where it is shown.
        make_command: the command line of a job.
        grace: seconds that children get to save when the driver stops.
    """

    def __init__(self, jobs: list[Job], slots: Slots, retries: int = 3, again: bool = False,
                 problems: dict[str, str] | None = None, screen: PlainProgress | None = None,
                 make_command: Callable[[Job], list[str]] = command, grace: float = 120.0):
        self.slots, self.retries, self.again, self.grace = slots, retries, again, grace
        self.command, self.screen = make_command, screen or PlainProgress()
        self.running: list[Running] = []
        self.waiting: list[Waiting] = []
        self.elsewhere: set[str] = set()
        self.failed: dict[str, str] = {}
        self.done, self.total, self.stop, self.times = 0, len(jobs), 0, []
        problems = problems or {}
        for job in jobs:
            slots.check(job)
            status = job_status(job)
            if status.state == "done":
                self.done += 1
            elif job.config in problems:
                self._failed(job, record_exit(job, 2, problems[job.config]), problems[job.config])
            elif self._left_alone(status):
                self.failed[job.name] = f"{status.state}: {status.note}"
            else:
                self.waiting.append(Waiting(job))

    def _left_alone(self, status: JobStatus) -> bool:
        """Whether a run has ended in a way that is not started again."""
        return status.state in FINAL or status.state in FAILED and not self.again

    # -- the loop ----------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until all jobs have ended, or a signal came: then the children save first.

        Returns:
            The number of that signal, or 0.
        """
        with self._signals(), self.screen:
            try:
                while (self.waiting or self.running) and not self.stop:
                    self._start_all()
                    self._collect()
                    self.screen.refresh(self)
                    time.sleep(LOOK)
            finally:
                self._end_children()
        return self.stop

    @contextlib.contextmanager
    def _signals(self):
        """Ctrl-C, SIGTERM and a closed terminal stop the driver in order; a second one does not wait for children."""
        def handle(number, frame):
            self.grace = 0.0 if self.stop else self.grace
            self.stop = number

        numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
        previous = {n: signal.signal(n, handle) for n in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _end_children(self) -> None:
        if self.running:
            self.screen.event(f"stopping; {len(self.running)} run(s) save")
        for child in self.running:
            _send(child.process.pid, signal.SIGTERM)
        asked = time.monotonic()
        while self.running:
            self._collect()
            if time.monotonic() - asked > self.grace:
                for child in self.running:
                    _send(child.process.pid, signal.SIGKILL, group=True)
            time.sleep(LOOK)

    # -- starting ----------------------------------------------------------------------------------------------

    def _start_all(self) -> None:
        """Start what fits, in order; a job that needs more GPUs than are free is waited for."""
        now = time.monotonic()
        for entry in list(self.waiting):
            if entry.since > now:
                continue
            if not self.slots.free:
                return
            if is_alive(entry.job.work_dir):
                self._wait_for(entry)
                continue
            devices = self.slots.take(entry.job)
            if devices is None:
                return
            self.waiting.remove(entry)
            self.elsewhere.discard(entry.job.name)
            status = job_status(entry.job)
            if status.state == "done" or self._left_alone(status):  # trained elsewhere
                self.slots.give(devices)
                if status.state == "done":
                    self._finished(entry.job)
                else:
                    self._failed(entry.job, status.state, status.note)
            else:
                self._start(entry, devices)

    def _wait_for(self, entry: Waiting) -> None:
        if entry.job.name not in self.elsewhere:
            self.elsewhere.add(entry.job.name)
            self.screen.event(f"waiting for {entry.job.name}: it is being trained by another process")
        entry.since = time.monotonic() + AGAIN

    def _start(self, entry: Waiting, devices: list[str]) -> None:
        job, before = entry.job, read_status(entry.job.work_dir)
        try:
            Path(job.work_dir).mkdir(parents=True, exist_ok=True)
            with open_log(Path(job.work_dir, LOG)) as log:
                process = subprocess.Popen(self.command(job), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env={**os.environ, **child_environment(),
                                                **self.slots.environment(job, devices)},
                                           start_new_session=True, preexec_fn=_die_with(os.getpid()))
        except OSError as error:
            self.slots.give(devices)
            self._failed(job, record_exit(job, 1, str(error)), str(error))
            return
        self.running.append(Running(job, process, devices, before, entry.kills))
        on = f" on GPU {', '.join(devices)}" if any(devices) else ""
        self.screen.event(f"started {job.name}{on}")

    # -- ending ------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        for child in list(self.running):
            if os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _send(child.process.pid, signal.SIGTERM, group=True)  # its children; the process id is still its own
            code = child.process.wait()
            self.running.remove(child)
            self.slots.give(child.devices)
            self._ended(child, code)

    def _ended(self, child: Running, code: int) -> None:
        job, why = child.job, last_line(Path(child.job.work_dir, LOG))
        if not Path(job.work_dir).is_dir():
            why = f"{job.work_dir} was moved or deleted while it ran"
        outcome = record_exit(job, code, why, child.before)
        if outcome == "done":
            self._finished(job, time.monotonic() - child.started)
        elif outcome in FAILED:
            status = read_status(job.work_dir)
            self._failed(job, outcome, status.get("reason") or why if status.get("state") == outcome else why)
        elif self.stop:
            self.waiting.append(Waiting(job))
        elif outcome != "running" and child.kills >= self.retries:
            self._failed(job, "killed", f"{child.kills + 1} times, the last time with status {code}; {why}")
        else:
            kills = child.kills + (outcome != "running")
            self.waiting.insert(0, Waiting(job, kills, time.monotonic() + AGAIN))
            self.screen.event(f"{job.name} was stopped from outside (status {code}); it is started again")

    def _finished(self, job: Job, seconds: float | None = None) -> None:
        self.done += 1
        self.times += [] if seconds is None else [seconds]
        self.screen.event(f"done {job.name} {job_status(job).note} ({self.done}/{self.total})")

    def _failed(self, job: Job, outcome: str, why: str) -> None:
        self.failed[job.name] = f"{outcome}: {why}"
        self.screen.event(f"{outcome} {job.name}: {why}")

    def time_left(self) -> float | None:
        """Seconds to the end of the sweep, from the mean time of the jobs that ended here; None before."""
        if not self.times:
            return None
        return sum(self.times) / len(self.times) * (len(self.waiting) + len(self.running) / 2) / self.slots.number


def _send(pid: int, number: int, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def _die_with(parent: int) -> Callable[[], None]:
    """To be called in a new child: SIGTERM to it when its parent dies, even by kill -9 (Linux)."""
    libc = ctypes.CDLL(None)

    def call():
        with contextlib.suppress(AttributeError):
            libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died just before
            os._exit(128 + signal.SIGTERM)

    return call


def open_log(path: Path):
    """The file that the output of a start is added to. Raises OSError: it is a folder, a pipe ..., the disk is full."""
    return open(open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")


def last_line(path: Path) -> str:
    """The last line with something in it, without ``error:``."""
    lines = [line.strip() for line in read_tail(path, 4096)]
    return next((line.removeprefix("error: ") for line in reversed(lines) if line), "")
