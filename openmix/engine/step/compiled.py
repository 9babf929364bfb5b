"""The step compiled by torch.compile."""
import types
from collections.abc import Callable

import torch
from torch import Tensor

from ...plan import PlanRow
from ..distributed.launch import unwrap
from .eager import EagerStep, first_line, variant


class CompiledStep(EagerStep):
    """:meth:`forward` (batch, augmentation, mix, network, loss) as one graph of ``torch.compile`` for each variant.

    A variant that cannot be compiled runs eagerly, with one warning that gives the reason.
    """

    mode = "compile"

    def __init__(self, *args, backend="inductor", **options):
        super().__init__(*args, **options)
        self.backend, self.compiled, self.warned = backend, {}, set()

    def forward(self, row: PlanRow, progress, mixing: bool) -> dict[str, Tensor]:
        key, seed, eager = variant(self, row, mixing), row.seed, super().forward
        row = row.for_forward()

        def eagerly(row):
            return eager(row, row.progress, mixing)

        if key not in self.compiled:
            compiled = self.compile(eager, mixing)
            failed = self.try_out(compiled, row)
            self.seed(seed)  # the trial may have drawn
            self.compiled[key] = eagerly if failed else compiled
        try:
            return self.compiled[key](row)
        except torch._dynamo.exc.TorchDynamoException as error:  # another shape or type than before
            self.warn_once(error)
            self.compiled[key] = eagerly
            return eagerly(row)

    def try_out(self, compiled: Callable, row: PlanRow) -> bool:
        """Compile forward and backward, which comes late; True if that failed. Buffers and history are put back."""
        model = unwrap(self.model)
        buffers, history = list(model.buffers()), {k: v.clone() for k, v in model.mixup.history().items()}
        before = [buffer.clone() for buffer in buffers]
        try:
            loss = compiled(row)["loss"]
            learning = [p for p in self.parameters if p.requires_grad]
            torch.autograd.grad(loss, learning, allow_unused=True)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # any compiler error
            self.warn_once(error)
            return True
        finally:
            with torch.no_grad():
                for buffer, value in zip(buffers, before, strict=True):
                    buffer.copy_(value)
            model.mixup.load_history(history)
        return False

    def compile(self, eager: Callable, mixing: bool) -> Callable:
        def forward(row):
            return eager(row, row.progress, mixing)

        # torch.compile counts recompilations by code object: each variant gets one of its own
        code = forward.__code__.replace()
        forward = types.FunctionType(code, forward.__globals__, "forward", None, forward.__closure__)
        return torch.compile(forward, fullgraph=True, dynamic=False, backend=self.backend)

    def warn_once(self, error: Exception) -> None:
        reason = first_line(error)
        if reason not in self.warned:
            self.warned.add(reason)
            self.warn(f"cannot be compiled, runs eagerly: {reason}")
