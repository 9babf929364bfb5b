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


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"


class Compiled:
    """``step.forward`` (batch, augmentation, mix, network, loss) as one graph of ``torch.compile`` for each program.

    A program that cannot be compiled runs eagerly; ``say`` is told why, once.
    """

    def __init__(self, step: Step, say: Callable[[str], None], backend="inductor"):
        self.step, self.eager, self.say, self.backend = step, step.forward, say, backend
        self.programs, self.said = {}, set()

    def __call__(self, row: dict, progress, mixing: bool) -> dict[str, Tensor]:
        key, seed = program(self.step, row, mixing), row["seed"]
        row = {k: v for k, v in row.items() if k not in ("seed", "bytes", "lr")}  # host numbers that change are none

        def eagerly(row):
            return self.eager(row, row["progress"], mixing)

        if key not in self.programs:
            compiled = self.compile(mixing)
            reason = self.try_out(compiled, row)
            self.step.seed(seed)  # the trial may have drawn
            self.programs[key] = eagerly if reason else compiled
        try:
            return self.programs[key](row)
        except torch._dynamo.exc.TorchDynamoException as error:  # another shape or type than before
            self.explain(error)
            self.programs[key] = eagerly
            return eagerly(row)

    def try_out(self, compiled: Callable, row: dict) -> bool:
        """Compile forward and backward, which comes late; True if that failed. Buffers are put back."""
        buffers = list(unwrap(self.step.model).buffers())
        before = [buffer.clone() for buffer in buffers]
        try:
            loss = compiled(row)["loss"]
            learning = [p for p in self.step.parameters if p.requires_grad]
            torch.autograd.grad(loss, learning, allow_unused=True)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever the compiler, the C++ compiler or Triton have to say
            self.explain(error)
            return True
        finally:
            with torch.no_grad():
                for buffer, value in zip(buffers, before, strict=True):
                    buffer.copy_(value)
        return False

    def compile(self, mixing: bool) -> Callable:
        eager = self.eager

        def forward(row):
            return eager(row, row["progress"], mixing)

        # torch.compile counts recompilations by code object: each program gets one of its own
        code = forward.__code__.replace()
        forward = types.FunctionType(code, forward.__globals__, "forward", None, forward.__closure__)
        return torch.compile(forward, fullgraph=True, dynamic=False, backend=self.backend)

    def explain(self, error: Exception) -> None:
        reason = first_line(error)
        if reason not in self.said:
            self.said.add(reason)
            self.say(f"cannot be compiled, runs eagerly: {reason}")
