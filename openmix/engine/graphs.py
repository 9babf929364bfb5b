"""The captured form of a training step: CUDA graphs, each checked against the eager form before it is trusted."""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .forms import program
from .step import Step, unwrap

WARM_UP = 3  # real steps a program runs eagerly before it is captured: kernels are chosen, optimizer state appears
TOLERANCE = {None: 1e-3, torch.bfloat16: 5e-2}  # of a step's change, between the captured and the eager form


def tensors(tree) -> list[Tensor]:
    """The tensors of a nested dict, in order."""
    if isinstance(tree, dict):
        return [t for value in tree.values() for t in tensors(value)]
    return [tree] if isinstance(tree, Tensor) else []


def rebuild(tree, new: dict[int, Tensor]):
    """``tree`` with ``new[id(tensor)]`` in the place of each tensor."""
    if isinstance(tree, dict):
        return {k: rebuild(v, new) for k, v in tree.items()}
    return new[id(tree)] if isinstance(tree, Tensor) else tree


class StaticRow:
    """Memory of its own for a row, which a captured program reads; :meth:`load` fills it from another row.

    What lies in the packed bytes of an uploaded plan comes over in one copy.
    """

    def __init__(self, row: dict):
        block = row.get("bytes")
        self.own = None if block is None else block.clone()
        self.outside, new = [], {}  # (place among the row's tensors, its copy) of what lies elsewhere
        for place, tensor in enumerate(tensors(row)):
            offset = -1 if block is None else tensor.data_ptr() - block.data_ptr()
            if tensor is block:
                new[id(tensor)] = self.own
            elif block is not None and 0 <= offset < block.numel():
                part = self.own[offset:offset + tensor.numel() * tensor.element_size()]
                new[id(tensor)] = part.view(tensor.dtype).view(tensor.shape)
            else:
                new[id(tensor)] = tensor.clone()
                self.outside.append((place, new[id(tensor)]))
        self.row = rebuild(row, new)

    def load(self, row: dict) -> None:
        if self.own is not None:
            self.own.copy_(row["bytes"], non_blocking=True)
        if self.outside:
            found = tensors(row)
            for place, copy in self.outside:
                copy.copy_(found[place], non_blocking=True)


class State:
    """Everything a step changes, by kind: to take it back, and to compare what two forms made of it."""

    def __init__(self, step: Step, followers=()):
        model, optimizer = unwrap(step.model), step.optimizer
        self.kinds = dict(
            weights=list(model.parameters()), buffers=list(model.buffers()),
            optimizer=[t for state in optimizer.state.values() for t in state.values() if isinstance(t, Tensor)],
            followers=[t for follower in followers for t in follower.tensors()],
            sums=[*step.sums.totals.values(), *step.latch.tensors()])

    @torch.no_grad()
    def copy(self) -> dict[str, list[Tensor]]:
        return {kind: [t.clone() for t in found] for kind, found in self.kinds.items()}

    @torch.no_grad()
    def restore(self, copy: dict[str, list[Tensor]]) -> None:
        for kind, found in self.kinds.items():
            for tensor, before in zip(found, copy[kind], strict=True):
                tensor.copy_(before)

    @torch.no_grad()
    def difference(self, before: dict, expected: dict) -> dict[str, float]:
        """|now - expected| / |expected - before| of each kind, Euclidean over all its tensors."""
        found = {}
        for kind, now in self.kinds.items():
            error = change = 0.0
            for value, old, right in zip(now, before[kind], expected[kind], strict=True):
                error = error + (value.double() - right.double()).square().sum()
                change = change + (right.double() - old.double()).square().sum()
            if now:
                found[kind] = float((error / change.clamp(min=1e-300)).sqrt())
        return found


class CUDAGraph:
    """``run()`` captured: kernels recorded once, launched together by :meth:`replay`."""

    def __init__(self, run: Callable[[], object]):
        self.graph = torch.cuda.CUDAGraph()
        # thread_local: a loader's thread that pins memory meanwhile does no harm
        with torch.cuda.graph(self.graph, pool=pool(), stream=torch.cuda.current_stream(),
                              capture_error_mode="thread_local"):
            self.result = run()

    def replay(self):
        self.graph.replay()
        return self.result


def pool():
    """One memory pool for all graphs: they never run together, and nothing in it is read after the next replay."""
    if not hasattr(pool, "handle"):
        pool.handle = torch.cuda.graph_pool_handle()
    return pool.handle


@dataclass
class Program:
    """What is known of one program."""

    calls: int = 0
    static: StaticRow | None = None
    graph: Any = None
    state: str = "new"  # then "captured", "checked" or "refused"


class Captured:
    """``step.run`` with each program captured in a CUDA graph.

    A program first runs eagerly for :data:`WARM_UP` real steps. Then it is captured and replayed; at its next step both
    forms run from the same state, and only if the changes they make agree within :data:`TOLERANCE` is the graph kept.
    A program that cannot be captured runs eagerly; ``say`` is told why.

    Args:
        record: makes a recording with ``replay()`` of a function; tests on machines without a GPU give their own.
    """

    def __init__(self, step: Step, say: Callable[[str], None], record=CUDAGraph):
        self.step, self.eager, self.say, self.record = step, step.run, say, record
        step.sums.at_once = True
        self.programs: dict[tuple, Program] = {}
        self.ready = False

    def prepare(self) -> None:
        """After a resume has loaded the optimizer: its learning rates become tensors, and work goes to a new stream."""
        step, self.ready = self.step, True
        for group in step.optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=step.device)
            if "capturable" in group:
                group["capturable"] = True
        if step.device.type == "cuda":  # the default stream cannot be captured
            torch.cuda.synchronize(step.device)
            torch.cuda.set_stream(torch.cuda.Stream(step.device))

    def __call__(self, row: dict, progress, mixing: bool, update: bool, stop: bool, followers) -> tuple[dict, bool]:
        if not self.ready:
            self.prepare()
        key = (program(self.step, row, mixing), update, tuple(id(follower) for follower in followers))
        found = self.programs.setdefault(key, Program())
        found.calls += 1

        def eagerly(row):
            """The eager form, fed by the row alone."""
            for group, lr in zip(self.step.optimizer.param_groups, row["lr"].unbind(), strict=True):
                group["lr"].copy_(lr)
            return self.eager(row, row["progress"], mixing, update, False, followers)[0]

        if found.state == "checked":
            found.static.load(row)
            losses = found.graph.replay()
        elif found.state == "captured":
            losses = self.check(found, row, eagerly, followers)
        elif found.state == "refused" or found.calls <= WARM_UP:
            losses = eagerly(row)
        else:
            losses = self.capture(found, row, eagerly)
        return losses, stop

    def capture(self, found: Program, row: dict, eagerly: Callable) -> dict[str, Tensor]:
        """Record the program and replay it for this step; where it cannot be recorded, run the step eagerly."""
        found.static = StaticRow(row)
        try:
            found.graph = self.record(lambda: eagerly(found.static.row))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever CUDA has to say about an operation
            for parameter in self.step.parameters:
                parameter.grad = None
            self.refuse(found, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
            self.step.seed(row["seed"])
            return eagerly(row)
        found.state = "captured"
        self.step.seed(row["seed"])
        return found.graph.replay()

    def check(self, found: Program, row: dict, eagerly: Callable, followers) -> dict[str, Tensor]:
        """Run this step in both forms from the same state; keep the graph if they agree, and the eager step if not."""
        state = State(self.step, followers)
        before = state.copy()
        losses = {k: v.clone() for k, v in eagerly(row).items()}
        expected = state.copy()
        state.restore(before)
        self.step.seed(row["seed"])
        found.static.load(row)
        replayed = found.graph.replay()
        worst, error = max(state.difference(before, expected).items(), key=lambda kind: kind[1])
        tolerance = TOLERANCE[self.step.dtype]
        if error <= tolerance:  # (never true of a NaN)
            found.state = "checked"
            return replayed
        state.restore(expected)
        self.refuse(found, f"its {worst} differ from the eager form's by {error:.2g} of their change in one step "
                           f"(tolerance {tolerance:g})")
        return losses

    def refuse(self, found: Program, reason: str) -> None:
        found.state, found.graph, found.static = "refused", None, None
        self.say(f"a program of the step cannot be captured in a CUDA graph and runs eagerly: {reason}")
