"""Versions, devices and the git commit of a run."""
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from ..version import __version__

VARIABLES = (  # environment variables that are recorded: they change numbers or speed, and none can be a secret
    "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF",
    "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCHINDUCTOR_CACHE_DIR", "OMP_NUM_THREADS",
    "MKL_NUM_THREADS", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_JOB_ID",
    "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID",
)


def version() -> str:
    """Version of openmix."""
    return __version__


def describe_machine(world_size: int = 1, seed: int | None = None, device="cpu") -> dict:
    """What ``env.json`` records: versions, devices, git commit, seed and the :data:`VARIABLES` that are set."""
    import torch  # here and below, so that tools which only read work dirs start at once

    packages = {name: _installed(name) for name in ("torchvision", "mmengine", "numpy")}
    return dict(
        versions=dict(openmix=__version__, python=platform.python_version(), torch=str(torch.__version__), **packages),
        hardware=hardware(device), platform=platform.platform(), cpus=os.cpu_count(), cuda=torch.version.cuda,
        git=_git(Path(__file__).parents[2]), world_size=world_size, seed=seed,
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ})


def _installed(package: str) -> str | None:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return None


def hardware(device="cpu") -> str:
    """Model of the device that trains: the GPU's name, or the CPU's with the vector instructions that torch uses.

    Virtual machines give processors of several generations one name, so the name alone would compare their times.
    """
    import torch

    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu()} ({torch.backends.cpu.get_cpu_capability()})"


def _cpu() -> str:
    try:
        match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()


def _git(root: Path) -> dict | None:
    """Commit and whether files differ from it; None outside a checkout (an installed package)."""
    if not (root / ".git").exists():
        return None

    def ask(*args):
        return subprocess.run(("git", "-C", str(root), *args), capture_output=True, text=True, timeout=10, check=True)
    try:
        commit = ask("rev-parse", "HEAD").stdout.strip()
        return dict(commit=commit, dirty=bool(ask("status", "--porcelain", "--untracked-files=no").stdout.strip()))
    except (OSError, subprocess.SubprocessError):
        return None
