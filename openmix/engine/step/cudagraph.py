"""The captured form of a training step: CUDA graphs, each checked against the eager form before it is trusted."""
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...plan import PlanRow, StaticRow
from ..distributed.launch import unwrap
from .eager import Step, first_line, program

WARM_UP = 3  # real steps a program runs eagerly before it is captured: kernels are chosen, optimizer state appears
TOLERANCE = {None: 1e-3, torch.bfloat16: 5e-2}  # of a step's change, between the captured and the eager form


class State:
    """Everything a step changes, by kind: to take it back, and to compare what two forms made of it."""

    def __init__(self, step: Step, followers=()):
        model, optimizer = unwrap(step.model), step.optimizer
        self.kinds = {
            "weights": [p for p in model.parameters() if p.requires_grad],
            "momentum weights": [p for p in model.parameters() if not p.requires_grad],
            "buffers": list(model.buffers()),
            "optimizer state": [t for state in optimizer.state.values() for t in state.values()
                                if isinstance(t, Tensor)],
            "averages": [t for follower in followers for t in follower.tensors()],
            "history": list(model.mixup.history().values()),
            "loss sums": [*step.sums.totals.values(), *step.latch.tensors()],
        }

    @torch.no_grad()
    def copy(self) -> dict[str, list[Tensor]]:
        return {kind: [t.clone() for t in found] for kind, found in self.kinds.items()}

    @torch.no_grad()
    def restore(self, copy: dict[str, list[Tensor]]) -> None:
        for kind, found in self.kinds.items():
            for tensor, before in zip(found, copy[kind], strict=True):
                tensor.copy_(before)

    @torch.no_grad()
    def difference(self, before: dict, expected: dict, tolerance: float) -> dict[str, float]:
        """|now - expected| / |expected - before| of each kind, Euclidean over its floating tensors.

        A change of a few units in the last place counts as one of ``rounding / tolerance``, so that momentum weights,
        which hardly move in a step, may differ by rounding. Tensors of whole numbers must be equal (else infinite).
        """
        found = {}
        for kind, now in self.kinds.items():
            error = change = 0.0
            for value, old, right in zip(now, before[kind], expected[kind], strict=True):
                if not value.is_floating_point():
                    error = error + torch.where((value == right).all(), 0.0, torch.inf)
                    continue
                rounding = 4 * torch.finfo(value.dtype).eps / tolerance
                error = error + (value.double() - right.double()).square().sum()
                change = change + (right.double() - old.double()).square().sum()
                change = change + rounding**2 * right.double().square().sum()
            if now:
                found[kind] = float((torch.as_tensor(error) / torch.as_tensor(change).clamp(min=1e-300)).sqrt())
        return found


class CUDAGraph:
    """``run()`` captured: kernels recorded once, launched together by :meth:`replay`."""

    def __init__(self, run: Callable[[], object], pool):
        self.graph = torch.cuda.CUDAGraph()
        # thread_local: a loader's thread that pins memory meanwhile does no harm
        with torch.cuda.graph(self.graph, pool=pool, stream=torch.cuda.current_stream(),
                              capture_error_mode="thread_local"):
            self.result = run()

    def replay(self):
        self.graph.replay()
        return self.result


def heal(device: torch.device, pool) -> None:
    """After a capture that failed: the allocator stops recording into its pool, generators leave capture mode."""
    if device.type != "cuda":
        return
    with suppress(Exception):  # newer versions of torch have done so themselves
        torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)
    with suppress(Exception):
        with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=torch.cuda.current_stream()):
            torch.zeros(1, device=device)
    torch.cuda.empty_cache()


def waiting(run: Callable[[], object], device: torch.device) -> tuple[object, str | None]:
    """``run()``, and what in it waited for the GPU, if anything did: a capture would fail, and leave traces."""
    if device.type != "cuda":
        return run(), None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            result = run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    where = [f"{w.filename}:{w.lineno}" for w in said if "synchronizing CUDA operation" in str(w.message)]
    return result, where[0] if where else None


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
    A program that cannot be captured runs eagerly; ``say`` is told why. After a capture that failed no other is tried.

    Args:
        record: makes a recording with ``replay()`` of a function; tests on machines without a GPU give their own.
    """

    def __init__(self, step: Step, say: Callable[[str], None], record: Callable | None = None):
        self.step, self.eager, self.say, self.pool = step, step.run, say, None
        step.sums.at_once, step.begin_epoch = True, self.renew
        self.programs: dict[tuple, Program] = {}
        self.ready, self.failed, self.host_state = False, False, None
        if step.device.type == "cuda":  # the default stream cannot be captured; what was queued there is done
            torch.cuda.synchronize(step.device)
            torch.cuda.set_stream(torch.cuda.Stream(step.device))
            self.pool = torch.cuda.graph_pool_handle()  # for all graphs: they never run together
        self.record = partial(CUDAGraph, pool=self.pool) if record is None else record

    def prepare(self) -> None:
        """After a resume has loaded the optimizer: its learning rates become tensors."""
        self.ready = True
        for group in self.step.optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=self.step.device)
            if "capturable" in group:
                group["capturable"] = True

    def renew(self) -> None:
        """Capture anew if a hook has changed what a graph has frozen: training modes, which weights learn, groups."""
        modules = unwrap(self.step.model).modules()
        groups = [{k: v for k, v in group.items() if k not in ("params", "lr", "capturable")}
                  for group in self.step.optimizer.param_groups]
        found = ([m.training for m in modules], [p.requires_grad for p in self.step.model.parameters()], groups)
        if self.host_state is not None and found != self.host_state:
            self.programs.clear()
        self.host_state = found

    def __call__(self, row: PlanRow, progress, mixing: bool, update: bool, stop: bool, followers,
                 window: int = 1) -> tuple[dict, bool]:
        if not self.ready:
            self.prepare()
        key = (program(self.step, row, mixing), update, tuple(id(follower) for follower in followers), window)
        found = self.programs.setdefault(key, Program())
        found.calls += 1

        def eagerly(row):
            """The eager form, fed by the row alone."""
            for group, lr in zip(self.step.optimizer.param_groups, row.lr.unbind(), strict=True):
                group["lr"].copy_(lr)
            return self.eager(row, row.progress, mixing, update, False, followers, window)[0]

        if found.state == "checked":
            found.static.load(row)
            losses = found.graph.replay()
        elif found.state == "captured":
            losses = self.check(found, row, eagerly, followers)
        elif found.state == "refused" or self.failed or found.calls < WARM_UP:
            losses = eagerly(row)
        elif found.calls == WARM_UP:
            losses, where = waiting(lambda: eagerly(row), self.step.device)
            if where:
                self.refuse(found, f"it waits for the GPU at {where}")
        else:
            losses = self.capture(found, row, eagerly)
        return losses, stop

    def capture(self, found: Program, row: PlanRow, eagerly: Callable) -> dict[str, Tensor]:
        """Record the program and replay it for this step; where it cannot be recorded, run the step eagerly."""
        found.static = StaticRow(row)
        try:
            found.graph = self.record(lambda: eagerly(found.static.row))
        except Exception as error:  # whatever CUDA has to say about an operation, or memory for two copies of it
            for parameter in self.step.parameters:
                parameter.grad = None
            self.failed = True
            self.refuse(found, first_line(error.__context__ or error))
            heal(self.step.device, self.pool)
            self.step.seed(row.seed)
            return eagerly(row)
        found.state = "captured"
        self.step.seed(row.seed)
        return found.graph.replay()

    def check(self, found: Program, row: PlanRow, eagerly: Callable, followers) -> dict[str, Tensor]:
        """Run this step in both forms from the same state; keep the graph if they agree, and the eager step if not."""
        state = State(self.step, followers)
        before = state.copy()
        losses = {k: v.clone() for k, v in eagerly(row).items()}
        expected = state.copy()
        state.restore(before)
        self.step.seed(row.seed)
        found.static.load(row)
        replayed = found.graph.replay()
        tolerance = TOLERANCE[self.step.dtype]
        errors = state.difference(before, expected, tolerance)
        wrong = {kind: error for kind, error in errors.items() if not error <= tolerance}  # a NaN is wrong
        if not wrong:
            found.state = "checked"
            return replayed
        state.restore(expected)
        told = ", ".join(f"{kind} by {error:.2g}" for kind, error in wrong.items())
        self.refuse(found, f"in one step these differ from the eager form's, as a share of their change: {told} "
                           f"(tolerance {tolerance:g})")
        return losses

    def refuse(self, found: Program, reason: str) -> None:
        found.state, found.graph, found.static = "refused", None, None
        self.say(f"a program of the step cannot be captured in a CUDA graph and runs eagerly: {reason}")
