"""Precision and memory of a device."""
import contextlib
import ctypes

import torch

AMP = ("auto", "bf16", "fp16", "off")


def tune_malloc() -> None:
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
