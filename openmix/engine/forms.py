"""The forms of a training step: eager, compiled, captured in CUDA graphs. All are the functions of ``engine.step``.

A step is made of few *programs*: what the host chooses (the layer of ManifoldMix, the grid of PuzzleMix, the method of
RandomChoice, whether to mix) decides which operations run. Each program is compiled, or captured, once.
"""
import types
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import did_you_mean
from .step import Step, unwrap

FORMS = ("auto", "eager", "compile", "graph", "compile+graph")


def choose_form(form: str, step: Step) -> tuple[str, str | None]:
    """The form that ``form`` means for this step, and why it is not the one asked for (or the fastest, for ``auto``).

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
    wanted = ("graph" if gpu else "eager") if form == "auto" else form
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


def program(step: Step, row: dict, mixing: bool) -> tuple:
    """What the host has chosen for this row: steps with equal programs run the same operations."""
    return ("mix", unwrap(step.model).mixup.program(row["mix"])) if mixing else ("clean",)


class Compiled:
    """``step.forward`` (batch, augmentation, mix, network, loss) as one graph of ``torch.compile`` for each program.

    A program that cannot be compiled runs eagerly; ``say`` is told why, once.
    """

    def __init__(self, step: Step, say: Callable[[str], None], backend="inductor"):
        self.step, self.eager, self.say, self.backend = step, step.forward, say, backend
        self.programs, self.said = {}, set()

    def __call__(self, row: dict, progress, mixing: bool) -> dict[str, Tensor]:
        key = program(self.step, row, mixing)
        row = {k: v for k, v in row.items() if k not in ("seed", "bytes", "lr")}  # host numbers that change are none
        if key in self.programs:
            return self.programs[key](row)
        compiled = self.compile(mixing)
        try:
            losses = compiled(row)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever the compiler, the C++ compiler or Triton have to say
            self.explain(error)
            compiled = lambda row: self.eager(row, row["progress"], mixing)  # noqa: E731
            losses = compiled(row)
        self.programs[key] = compiled
        return losses

    def compile(self, mixing: bool) -> Callable:
        eager = self.eager

        def forward(row):
            return eager(row, row["progress"], mixing)

        # torch.compile counts recompilations by code object: each program gets one of its own
        code = forward.__code__.replace()
        forward = types.FunctionType(code, forward.__globals__, "forward", None, forward.__closure__)
        return torch.compile(forward, fullgraph=True, dynamic=False, backend=self.backend)

    def explain(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        if reason not in self.said:
            self.said.add(reason)
            self.say(f"cannot be compiled, runs eagerly: {reason}")
