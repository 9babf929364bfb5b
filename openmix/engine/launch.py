"""Where a run executes: processes, device, threads, precision, and the signals that end it."""
import contextlib
import ctypes
import os
import signal
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from . import slurm

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
AMP = ("auto", "bf16", "fp16", "off")
TIME_LIMIT = (signal.SIGUSR1, signal.SIGUSR2)  # what SLURM sends before it


def device() -> torch.device:
    """The GPU of this process where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    return torch.device("cpu")


def _mpi_environment() -> dict:
    env = os.environ
    if "OMPI_COMM_WORLD_RANK" not in env:
        raise ValueError("launcher 'mpi' expects Open MPI's variables (OMPI_COMM_WORLD_RANK is not set)")
    return dict(RANK=env["OMPI_COMM_WORLD_RANK"], WORLD_SIZE=env["OMPI_COMM_WORLD_SIZE"],
                LOCAL_RANK=env.get("OMPI_COMM_WORLD_LOCAL_RANK", "0"), MASTER_ADDR="127.0.0.1", MASTER_PORT="29500")


def init_distributed(launcher: str, timeout_s: int = 1800) -> tuple[int, int]:
    """Join the process group named by the launcher's environment: NCCL on GPUs, gloo on CPUs.

    Returns:
        (rank, world size); (0, 1) for launcher ``"none"``.
    """
    if launcher not in LAUNCHERS:
        raise ValueError(f"launcher must be one of {LAUNCHERS}, got {launcher!r}")
    if launcher == "none":
        return 0, 1
    if not dist.is_initialized():
        if launcher != "pytorch":
            found = slurm.process_group() if launcher == "slurm" else _mpi_environment()
            for key, value in found.items():
                if key.startswith("MASTER"):
                    os.environ.setdefault(key, value)
                else:
                    os.environ[key] = value
        missing = [k for k in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if k not in os.environ]
        if missing:
            raise ValueError(f"launcher 'pytorch' expects torchrun's environment, but {', '.join(missing)} is not set; "
                             "start with: bash tools/dist_train.sh CONFIG GPUS")
        _die_with_parent()
        where, local = device(), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        if where.type == "cuda":
            if local > torch.cuda.device_count():
                raise ValueError(f"{local} processes were started here for {torch.cuda.device_count()} GPU(s); start "
                                 "one process a GPU")
            torch.cuda.set_device(where)
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo", timeout=timedelta(seconds=timeout_s))
    return dist.get_rank(), dist.get_world_size()


def agree(value):
    """The first process's ``value``, in all of them."""
    found = [value]
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.broadcast_object_list(found)
    return found[0]


def wait_for_all() -> None:
    """Wait until every process has come here."""
    if dist.is_initialized():
        dist.barrier()


def _die_with_parent() -> None:
    """Get SIGTERM when the launcher dies, even by kill -9: no orphan goes on writing the work dir (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def leave_distributed() -> None:
    """Orderly end of the process group; without the barrier gloo sometimes aborts at exit."""
    wait_for_all()
    if dist.is_initialized():
        dist.destroy_process_group()


def keep_freed_memory() -> None:
    """Let glibc's malloc keep what is freed for the next step, instead of giving it back to the kernel.

    A training step on a CPU frees its activations and asks for the same memory again; fetched anew, each page of it
    is a fault (about a quarter of the time of a ResNet-20 step). Elsewhere than on glibc this does nothing.
    """
    trim_threshold, mmap_threshold = -1, -3  # names of mallopt
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 32 * 2**20)  # the highest it takes


def _has_amx() -> bool:
    """Whether this CPU multiplies bf16 in tiles (AMX); without, bf16 is slower than float32."""
    return getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()


def amp_dtype(amp: str, where: torch.device) -> torch.dtype | None:
    """Autocast dtype for ``--amp``: ``auto`` is bf16 where the hardware multiplies it fast, else float32."""
    if amp not in AMP:
        raise ValueError(f"amp must be one of {AMP}, got {amp!r}")
    if amp == "fp16" and where.type != "cuda":
        raise ValueError("amp 'fp16' needs a GPU (its loss scaling does); on a CPU use --amp bf16 or off")
    if amp == "auto":
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if where.type == "cuda" else _has_amx()
        return torch.bfloat16 if fast else None
    return dict(bf16=torch.bfloat16, fp16=torch.float16, off=None)[amp]


def autocast(where: torch.device, dtype: torch.dtype | None):
    """A context manager factory for the forward pass."""
    if dtype is None:
        return contextlib.nullcontext
    return lambda: torch.autocast(where.type, dtype=dtype)


def average_buffers(model: nn.Module) -> None:
    """Bring BatchNorm statistics of all processes in step (their mean), so that any rank's checkpoint is the run's."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    buffers = [b for b in model.buffers() if b.is_floating_point()]
    if buffers:
        flat = torch.cat([b.detach().float().flatten() for b in buffers])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for buffer, mean in zip(buffers, flat.split([b.numel() for b in buffers]), strict=True):
            buffer.copy_(mean.view_as(buffer))


class StopSignal:
    """Remembers SIGTERM (preemption, scancel, torchrun), SIGUSR1/2 (time limit) and Ctrl-C until a step boundary.

    A second Ctrl-C interrupts at once. SIGUSR1/2 after another signal changes nothing: who was told to end is not
    queued again.
    """

    def __init__(self):
        self.number = 0
        self._previous = {}

    def _handle(self, number, frame):
        if number == signal.SIGINT == self.number:
            raise KeyboardInterrupt
        if not self.number or number not in TIME_LIMIT:
            self.number = number

    def __enter__(self):
        with contextlib.suppress(ValueError):  # not in the main thread: signals go elsewhere
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
