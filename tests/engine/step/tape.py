"""A stand-in for a CUDA graph on machines without a GPU: the operations of a step recorded once and done again.

Like a captured graph it is a list of kernels: numbers of the host are frozen, tensors made outside are read where they
lie, no Python of the step runs in a replay. What a capture forbids is an error: reading a value, shapes that depend on
data.
"""
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from openmix.engine.step.cudagraph import State

HOST_READS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "equal", "is_nonzero",
              "unique_dim", "unique_consecutive", "bincount")


class HostRead(RuntimeError):
    """An operation that a CUDA graph cannot capture."""


class Recorder(TorchDispatchMode):
    """Keeps every operation, its arguments and results."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ in HOST_READS:
            raise HostRead(f"{function} reads values of the device")
        if function.overloadpacket.__name__ == "index" and any(
                i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]):
            raise HostRead("indexing with a mask makes a shape that depends on data")
        result = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, result))
        return result


class Tape:
    """``run()`` recorded; :meth:`replay` does its operations again."""

    def __init__(self, run, step, followers=()):
        state = State(step, followers)
        before = state.copy()
        try:
            with Recorder() as recorder:
                self.result = run()
        finally:
            state.restore(before)  # capturing a CUDA graph executes nothing
        self.operations = recorder.operations

    @torch.no_grad()
    def replay(self):
        made = {}  # recorded tensor -> that of this replay

        def now(value):
            return made.get(id(value), value) if isinstance(value, torch.Tensor) else value

        for function, args, kwargs, recorded in self.operations:
            result = function(*tree_map(now, args), **tree_map(now, kwargs))
            for old, new in zip(tree_leaves(recorded), tree_leaves(result), strict=True):
                if isinstance(old, torch.Tensor):
                    made[id(old)] = new
        return {name: now(value) for name, value in self.result.items()}


def remade(step, kind, **options):
    """``step`` as one of another kind, for the same model, data and settings."""
    return kind(step.model, step.optimizer, step.batch, draws=step.draws, device=step.device, dtype=step.dtype,
                clip_grad=step.clip_grad, accumulate=step.accumulate, **options)
