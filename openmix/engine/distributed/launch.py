"""Where a run executes: processes, device, threads, precision, and the signals that end it."""
import contextlib
import ctypes
import gc
import os
import signal
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from . import slurm


def unwrap(model: nn.Module) -> nn.Module:
    """The classifier inside a DistributedDataParallel."""
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
TIME_LIMIT = (signal.SIGUSR1, signal.SIGUSR2)  # what SLURM sends before it


def local_device() -> torch.device:
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
            env = slurm.process_group() if launcher == "slurm" else _mpi_environment()
            for key, value in env.items():
                if key.startswith("MASTER"):
                    os.environ.setdefault(key, value)
                else:
                    os.environ[key] = value
        missing = [k for k in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if k not in os.environ]
        if missing:
            raise ValueError(f"launcher 'pytorch' expects torchrun's environment, but {', '.join(missing)} is not set; "
                             "start with: openmix train CONFIG --gpus N")
        _die_with_parent()
        where, local = local_device(), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        if where.type == "cuda":
            if local > torch.cuda.device_count():
                raise ValueError(f"{local} processes were started here for {torch.cuda.device_count()} GPU(s); start "
                                 "one process a GPU")
            torch.cuda.set_device(where)
        dist.init_process_group("nccl" if where.type == "cuda" else "gloo", timeout=timedelta(seconds=timeout_s))
    return dist.get_rank(), dist.get_world_size()


def broadcast_from_rank0(value):
    """The first process's ``value``, in all of them."""
    values = [value]
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.broadcast_object_list(values)
    return values[0]


def gather(tensors: dict) -> list[dict]:
    """The tensors of every process on the CPU, by rank, in all processes."""
    of_ranks = [{name: tensor.cpu() for name, tensor in tensors.items()}]
    if dist.is_initialized() and dist.get_world_size() > 1:
        of_ranks *= dist.get_world_size()
        dist.all_gather_object(of_ranks, of_ranks[0])
    return of_ranks


def is_first() -> bool:
    """Whether this is the first process, or the only one."""
    return not dist.is_initialized() or dist.get_rank() == 0


def wait_for_all() -> None:
    """Wait until every process has come here."""
    if dist.is_initialized():
        dist.barrier()


def _die_with_parent() -> None:
    """Get SIGTERM when the launcher dies, even by kill -9: no orphan goes on writing the work dir (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def leave_distributed() -> None:
    """Orderly end of the process group; without the barrier gloo sometimes aborts at exit.

    Networks in DistributedDataParallel are parts of cycles and hold the group: its threads would run on until the
    interpreter is taken down, and abort the process where they need it then.
    """
    wait_for_all()
    if dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()


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
