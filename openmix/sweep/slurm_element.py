"""One element of a job array, on its node: starts the training of a job, and ends or requeues the element.

SLURM sends its signals to every process of a step, so the training gets them without help. This process waits until it
has saved and has left. It requeues after SIGUSR1/2 (the time limit draws near) and in the grace time of a preemption;
never after another SIGTERM, so that scancel ends the job, and never a training that ended by itself.
"""
import os
import signal
import subprocess
import sys
from pathlib import Path

from ..engine.distributed import slurm
from ..paths import child_environment
from ..workdir.status import TERMINAL, read_status, state
from .jobs import Job, command, record_exit
from .local import LOG, last_line, open_log

TIME_LIMIT = (signal.SIGUSR1, signal.SIGUSR2)


class Heard:
    """The signal that came since: of several a SIGTERM, whenever it came."""

    def __init__(self):
        self.number = 0
        for number in (signal.SIGTERM, *TIME_LIMIT):  # instead of submitit's handlers, which would not wait
            signal.signal(number, self._hear)

    def _hear(self, number, frame):
        if not self.number or number not in TIME_LIMIT:
            self.number = number


def run(job: Job, retries: int = 3, requeues: int = 20) -> None:
    """Train ``job``, and leave with the exit status of the element (SystemExit). SLURM runs this once on each node.

    Args:
        retries: how often a training that was killed (out of memory ...) is started again in the same element.
        requeues: how often SLURM runs the element again after its time limit; preemptions count, but always requeue.
    """
    heard, first = Heard(), os.environ.get("SLURM_PROCID", "0") == "0"
    log = Path(job.work_dir, LOG if first else LOG.replace(".", f".node{os.environ['SLURM_PROCID']}."))
    before = read_status(job.work_dir)
    for start in range(retries + 1):
        code = train(job, log, start)
        if heard.number or not was_killed(job, code):
            break
        print(f"{job.name} was killed (status {code}), start {start + 1} of {retries + 1}", flush=True)
    if not first:  # the first one speaks for the element
        sys.exit(0)
    if heard.number and state(job.work_dir) not in TERMINAL:
        print(f"{job.name}: {leave(heard, requeues)}", flush=True)
        sys.exit(128 + heard.number)
    outcome = record_exit(job, code, last_line(log), before)
    print(f"{job.name}: {outcome}", flush=True)
    sys.exit({"done": 0, "invalid": 2, "diverged": 3}.get(outcome, 1))  # torchrun's own code is always 1


def was_killed(job: Job, code: int) -> bool:
    """Whether a training may have been killed; torchrun's status is 1 whatever happened to its processes.

    When one is killed, the others fail. All nodes come to the same end here, and start again together.
    """
    if job.processes == job.nodes == 1:
        return code < 0
    return code != 0 and state(job.work_dir) not in ("done", "diverged", "invalid", "oom")


def train(job: Job, log: Path, start: int) -> int:
    """One start of the training, up to its end; returns its exit status, negative for a signal."""
    cores = int(os.environ.get("SLURM_CPUS_PER_TASK", 1))
    environment = {"OMP_NUM_THREADS": str(max(1, cores // job.processes)), **os.environ, **child_environment(),
                   slurm.WATCHED: "1"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with open_log(log) as file:
        return subprocess.call(command(job, *meeting(job, start)), env=environment, stdin=subprocess.DEVNULL,
                               stdout=file, stderr=file)


def meeting(job: Job, start: int) -> list[str]:
    """Arguments by which the torchruns of all nodes of this element find each other.

    They do not restart processes themselves: on several nodes their counts of restarts can come to differ, by which
    the restarted processes look for each other at different addresses and wait for good.
    """
    if job.nodes == 1:
        return []
    host = os.environ.get("MASTER_ADDR") or slurm.first_host()
    return ["--rdzv-backend=c10d", f"--rdzv-endpoint={host}:{slurm.port()}",
            f"--rdzv-id={slurm.job_id()}-{slurm.restarts()}-{start}"]


def leave(heard: Heard, requeues: int) -> str:
    """After a signal, with the run saved: queue this element again if it is to go on. Returns the message to print."""
    if heard.number not in TIME_LIMIT:
        if not slurm.being_preempted():
            return "stopped (scancel, or SLURM queues it again)"
    elif slurm.restarts() >= requeues:
        return f"its time is up, after {requeues} requeues; openmix sweep run goes on"
    return "saved and queued again" if slurm.requeue() else "saved, but scontrol requeue failed; openmix sweep run"
