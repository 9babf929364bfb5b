"""The mode of a step: eager, compiled or captured."""
from collections.abc import Callable

import torch
from torch import nn

from ...errors import did_you_mean
from ..distributed.launch import unwrap
from .eager import EagerStep

MODES = ("auto", "eager", "compile", "graph", "compile+graph")


def make_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Callable, *, mode: str = "eager",
              **options) -> EagerStep:
    """The training step in a mode of :data:`MODES`, with a warning where another has to do.

    Args:
        options: those of :class:`EagerStep`.

    Raises:
        ValueError: an unknown mode, or a CUDA graph where there is no GPU.
    """
    from .compiled import CompiledStep
    from .cudagraph import CompiledCudaGraphStep, CudaGraphStep

    step = EagerStep(model, optimizer, batch, **options)
    mode, reason = choose_mode(mode, step)
    if reason:
        step.warn(f"{reason}, so the step runs in its {mode} mode")
    if mode == "eager":
        return step
    kinds = {kind.mode: kind for kind in (CompiledStep, CudaGraphStep, CompiledCudaGraphStep)}
    return kinds[mode](model, optimizer, batch, **options)


def choose_mode(mode: str, step: EagerStep) -> tuple[str, str | None]:
    """The mode that ``mode`` means for this step, and why it is not the one asked for.

    ``auto`` is ``eager`` until a GPU has shown that the captured step is right and faster.

    Raises:
        ValueError: an unknown mode; a CUDA graph asked for where there is no GPU.
    """
    if mode not in MODES:
        raise ValueError(f"env_cfg.step must be one of {', '.join(map(repr, MODES))}, got {mode!r}; "
                         f"{did_you_mean(str(mode), MODES)}")
    gpu = step.device.type == "cuda"
    if "graph" in mode and not gpu:
        raise ValueError(f"env_cfg.step={mode!r} needs a GPU, as it replays CUDA graphs; on this machine use 'auto', "
                         "'eager' or 'compile'")
    wanted = "eager" if mode == "auto" else mode
    if wanted == "eager":
        return wanted, None
    capturable = unwrap(step.model).mixup.capturable
    if capturable is not True:
        return "eager", f"{type(unwrap(step.model).mixup).__name__} can be neither compiled nor captured: {capturable}"
    if step.world > 1:
        return "eager", "training with several processes is neither compiled nor captured"
    if "graph" in wanted:
        reason = None
        if step.accumulate > 1:
            reason = "accumulated gradients"
        elif step.scaler:
            reason = "the loss scaling of fp16"
        elif not all(group.get("fused") for group in step.optimizer.param_groups):
            reason = f"{type(step.optimizer).__name__}, which is not fused and reads its learning rate on the host,"
        if reason:
            return ("compile" if "compile" in wanted else "eager"), f"{reason} cannot be captured in a CUDA graph"
    return wanted, None
