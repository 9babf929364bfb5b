"""Where the jobs of a sweep run side by side: so many on each GPU, or so many on the CPU with a share of its cores."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile

from ..console import warn
from .jobs import Job

CPU = ""  # as a value of CUDA_VISIBLE_DEVICES it hides the GPUs
MPS = "nvidia-cuda-mps-control"


class Slots:
    """The device of each slot, ``["0", "0", "1", "1"]`` for two jobs on each of two GPUs, and which are free.

    A job of several processes takes a slot on as many GPUs; on the CPU, as many slots.
    """

    def __init__(self, devices: list[str]):
        self.free, self.number = list(devices), len(devices)
        self.different = list(dict.fromkeys(devices))
        self.names: dict[str, str] = {}  # of devices for CUDA, where they go by another name (a UUID under MPS)
        self.variables: dict[str, str] = {}  # more of the environment of each job

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
        devices = (list(dict.fromkeys(self.free)) if different else self.free)[:wanted]
        if len(devices) < wanted:
            return None
        for device in devices:
            self.free.remove(device)
        return devices

    def give(self, devices: list[str]) -> None:
        self.free += devices

    def environment(self, job: Job, devices: list[str]) -> dict[str, str]:
        """Which GPUs the job sees, and its share of the cores where OMP_NUM_THREADS is not set already."""
        cores = len(os.sched_getaffinity(0)) * len(devices) // (self.number * job.processes)
        visible = ",".join(self.names.get(device, device) for device in devices if device)
        return dict(self.variables, CUDA_VISIBLE_DEVICES=visible,
                    OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS") or str(max(1, cores)))

    @contextlib.contextmanager
    def mps(self):
        """NVIDIA MPS while jobs share GPUs, so that their kernels run at the same time; without it they take turns.

        The daemon and its files are private, and end with the context. One that runs already is used and left alone.
        """
        if self.different == [CPU] or self.number == len(self.different) or not shutil.which(MPS) or _mps_answers():
            yield
            return
        with tempfile.TemporaryDirectory(prefix="openmix_mps.", dir="/tmp",  # a short path: it holds sockets
                                         ignore_cleanup_errors=True) as folder:
            names = {device: _uuid(device) for device in self.different}  # MPS numbers its GPUs anew, a UUID stays
            variables = dict(CUDA_MPS_PIPE_DIRECTORY=folder, CUDA_MPS_LOG_DIRECTORY=folder)
            environment = {**os.environ, **variables, "CUDA_VISIBLE_DEVICES": ",".join(names.values())}
            started = _control(["-d"], env=environment)
            if started:
                self.names, self.variables = names, variables
            else:
                warn(f"{MPS} does not start here; the runs share their GPU by taking turns")
            try:
                yield
            finally:
                self.names, self.variables = {}, {}
                if started:
                    _control([], env=environment, input="quit\n")


def _mps_answers() -> bool:
    """Whether a daemon runs already, where the environment names its pipes."""
    return _control([], input="get_server_list\n")


def _control(arguments: list[str], **options) -> bool:
    """Whether the control program of MPS succeeds; its daemon keeps no pipe of ours open."""
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    try:
        return subprocess.run([MPS, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
                              timeout=60, start_new_session=True, check=False, **options).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _uuid(device: str) -> str:
    """The UUID of a GPU by its number; another name, or one that nvidia-smi does not know, as it is."""
    line = ["nvidia-smi", f"--id={device}", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        uuid = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return device
    return uuid if device.isdecimal() and uuid else device


def find_gpus() -> list[str]:
    """The GPUs of this machine, or those that CUDA_VISIBLE_DEVICES leaves of them; none without a driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return re.findall(r"^GPU (\d+):", listing, re.M)


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
        raise ValueError("--slots is for jobs on the CPU; on GPUs use --jobs-per-gpu (and --gpus)")
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
