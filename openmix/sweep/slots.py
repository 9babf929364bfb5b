"""Where the jobs of a sweep run side by side: so many on each GPU, or so many on the CPU with a share of its cores."""
import os
import re
import subprocess

from .jobs import Job

CPU = ""  # as a value of CUDA_VISIBLE_DEVICES it hides the GPUs


class Slots:
    """The device of each slot, ``["0", "0", "1", "1"]`` for two jobs on each of two GPUs, and which are free.

    A job of several processes takes a slot on as many GPUs; on the CPU, as many slots.
    """

    def __init__(self, devices: list[str]):
        self.free, self.number = list(devices), len(devices)
        self.different = list(dict.fromkeys(devices))

    def check(self, job: Job) -> None:
        """Raise ValueError for a job that fits in here never."""
        if job.nodes > 1:
            raise ValueError(f"{job.name} needs {job.nodes} nodes and this is one machine; use --engine slurm")
        if self.different != [CPU] and job.processes > len(self.different):
            raise ValueError(f"{job.name} needs {job.processes} GPUs, there are {len(self.different)}: "
                             f"{', '.join(self.different)}")

    def take(self, job: Job) -> list[str] | None:
        """The devices of a job, which are then taken; None while there are not enough."""
        different = self.different != [CPU]
        wanted = job.processes if different else min(job.processes, self.number)
        found = (list(dict.fromkeys(self.free)) if different else self.free)[:wanted]
        if len(found) < wanted:
            return None
        for device in found:
            self.free.remove(device)
        return found

    def give(self, devices: list[str]) -> None:
        self.free += devices

    def environment(self, job: Job, devices: list[str]) -> dict[str, str]:
        """Which GPUs the job sees, and its share of the cores where OMP_NUM_THREADS is not set already."""
        cores = len(os.sched_getaffinity(0)) * len(devices) // (self.number * job.processes)
        return dict(CUDA_VISIBLE_DEVICES=",".join(filter(None, devices)),
                    OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS") or str(max(1, cores)),
                    PET_SIGNALS_TO_HANDLE="SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2")  # torchrun hands them on


def find_gpus() -> list[str]:
    """The GPUs of this machine, or those that CUDA_VISIBLE_DEVICES leaves of them; none without a driver."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name.strip() for name in told.split(",") if name.strip() not in ("", "-1")]
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"^GPU (\d+):", found, re.M)


def make_slots(gpus: str | None = None, jobs_per_gpu: int = 1, cpu: int | None = None) -> Slots:
    """Slots as the command line asks for them.

    Args:
        gpus: ``"0,1"``, or None for all there are. jobs_per_gpu: jobs side by side on each of them.
        cpu: so many jobs on the CPU instead; one where there is no GPU.

    Raises:
        ValueError: a number below 1, a GPU named twice or not there, or GPUs and CPU slots at once.
    """
    for name, value in (("--jobs-per-gpu", jobs_per_gpu), ("--slots", 1 if cpu is None else cpu)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if cpu is not None and (gpus is not None or jobs_per_gpu > 1):
        raise ValueError("--slots is for jobs on the CPU; on GPUs say --jobs-per-gpu (and --gpus)")
    named = [name.strip() for name in gpus.split(",")] if gpus is not None else [] if cpu else find_gpus()
    if len(set(named)) < len(named) or "" in named:
        raise ValueError(f"--gpus names GPUs once each, like 0,1; got {gpus!r}")
    there = find_gpus() if gpus is not None else named
    missing = [name for name in named if name not in there and not (there and name.startswith(("GPU-", "MIG-")))]
    if missing:
        raise ValueError(f"--gpus names {', '.join(missing)}, GPUs here: {', '.join(there) or 'none'}; on the CPU: "
                         "--slots N")
    if jobs_per_gpu > 1 and not named:
        raise ValueError("--jobs-per-gpu is given but there is no GPU; jobs on the CPU: --slots N")
    return Slots(named * jobs_per_gpu or [CPU] * (cpu or 1))
