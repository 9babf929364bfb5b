"""The step compiled by torch.compile."""
import types
from collections.abc import Callable

import torch
from torch import Tensor

from ...plan import PlanRow
from ..distributed.launch import unwrap
from .eager import Step, first_line, program


class Compiled:
    """``step.forward`` (batch, augmentation, mix, network, loss) as one graph of ``torch.compile`` for each program.

    A program that cannot be compiled runs eagerly; ``say`` is told why, once.
    """

    def __init__(self, step: Step, say: Callable[[str], None], backend="inductor"):
        self.step, self.eager, self.say, self.backend = step, step.forward, say, backend
        self.programs, self.said = {}, set()

    def __call__(self, row: PlanRow, progress, mixing: bool) -> dict[str, Tensor]:
        key, seed, row = program(self.step, row, mixing), row.seed, row.for_forward()

        def eagerly(row):
            return self.eager(row, row.progress, mixing)

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

    def try_out(self, compiled: Callable, row: PlanRow) -> bool:
        """Compile forward and backward, which comes late; True if that failed. Buffers and history are put back."""
        model = unwrap(self.step.model)
        buffers, history = list(model.buffers()), {k: v.clone() for k, v in model.mixup.history().items()}
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
            model.mixup.load_history(history)
        return False

    def compile(self, mixing: bool) -> Callable:
        eager = self.eager

        def forward(row):
            return eager(row, row.progress, mixing)

        # torch.compile counts recompilations by code object: each program gets one of its own
        code = forward.__code__.replace()
        forward = types.FunctionType(code, forward.__globals__, "forward", None, forward.__closure__)
        return torch.compile(forward, fullgraph=True, dynamic=False, backend=self.backend)

    def explain(self, error: Exception) -> None:
        reason = first_line(error)
        if reason not in self.said:
            self.said.add(reason)
            self.say(f"cannot be compiled, runs eagerly: {reason}")
