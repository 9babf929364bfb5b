"""The mode of a step: eager, compiled or captured."""
from collections.abc import Callable

import torch
from torch import nn

from ...errors import did_you_mean
from ..distributed.launch import unwrap
from .eager import Step


def make_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Callable, *, form: str = "eager",
              say: Callable[[str], None] = print, **options) -> Step:
    """The training step in a form of :data:`FORMS`; ``say`` is told, once, what cannot have that form.

    Args:
        options: those of :class:`Step`.

    Raises:
        ValueError: an unknown form, or a CUDA graph where there is no GPU.
    """
    from .compiled import Compiled
    from .cudagraph import Captured

    step = Step(model, optimizer, batch, **options)
    step.form, reason = choose_form(form, step)
    if reason:
        say(f"{reason}, so the step runs in its {step.form} form")
    if "compile" in step.form:
        step.forward = Compiled(step, say)
    if "graph" in step.form:
        step.run = Captured(step, say)
    return step


FORMS = ("auto", "eager", "compile", "graph", "compile+graph")


def choose_form(form: str, step: Step) -> tuple[str, str | None]:
    """The form that ``form`` means for this step, and why it is not the one asked for.

    ``auto`` is ``eager`` until a GPU has shown that the captured form is right and faster.

    Raises:
        ValueError: an unknown form; a CUDA graph asked for where there is no GPU.
    """
    if form not in FORMS:
        raise ValueError(f"env_cfg.step must be one of {', '.join(map(repr, FORMS))}, got {form!r}; "
                         f"{did_you_mean(str(form), FORMS)}")
    gpu = step.device.type == "cuda"
    if "graph" in form and not gpu:
        raise ValueError(f"env_cfg.step={form!r} needs a GPU, as it replays CUDA graphs; on this machine use 'auto', "
                         "'eager' or 'compile'")
    wanted = "eager" if form == "auto" else form
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
