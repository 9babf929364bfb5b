"""The captured training step: CUDA graphs, each checked against the eager step before it is trusted."""
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
from .compiled import CompiledStep
from .eager import EagerStep, first_line, variant

WARM_UP = 3  # real steps a variant runs eagerly before it is captured: kernels are chosen, optimizer state appears
TOLERANCE = {None: 1e-3, torch.bfloat16: 5e-2}  # of a step's change, between the captured and the eager step


class State:
    """Everything a step changes, by kind: to take it back, and to compare what two ways of running it change."""

    def __init__(self, step: EagerStep, followers=()):
        model, optimizer = unwrap(step.model), step.optimizer
        self.kinds = {
            "weights": [p for p in model.parameters() if p.requires_grad],
            "momentum weights": [p for p in model.parameters() if not p.requires_grad],
            "buffers": list(model.buffers()),
            "optimizer state": [t for state in optimizer.state.values() for t in state.values()
                                if isinstance(t, Tensor)],
            "averages": [t for follower in followers for t in follower.tensors()],
            "history": list(model.mixup.history().values()),
            "loss sums": [*step.meter.totals.values(), *step.guard.tensors()],
        }

    @torch.no_grad()
    def copy(self) -> dict[str, list[Tensor]]:
        return {kind: [t.clone() for t in group] for kind, group in self.kinds.items()}

    @torch.no_grad()
    def restore(self, copy: dict[str, list[Tensor]]) -> None:
        for kind, group in self.kinds.items():
            for tensor, before in zip(group, copy[kind], strict=True):
                tensor.copy_(before)

    @torch.no_grad()
    def difference(self, before: dict, expected: dict, tolerance: float) -> dict[str, float]:
        """|now - expected| / |expected - before| of each kind, Euclidean over its floating tensors.

        A change of a few units of the last digit counts as one of ``rounding / tolerance``, so that momentum weights,
        which hardly move in a step, may differ by rounding. Tensors of whole numbers must be equal (else infinite).
        """
        ratios = {}
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
                ratios[kind] = float((torch.as_tensor(error) / torch.as_tensor(change).clamp(min=1e-300)).sqrt())
        return ratios


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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            result = run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    where = [f"{w.filename}:{w.lineno}" for w in caught if "synchronizing CUDA operation" in str(w.message)]
    return result, where[0] if where else None


@dataclass
class Variant:
    """State of one captured variant of the step."""

    calls: int = 0
    static: StaticRow | None = None
    graph: Any = None
    state: str = "new"  # then "captured", "checked" or "refused"


class CudaGraphStep(EagerStep):
    """:meth:`run` with each variant captured in a CUDA graph.

    A variant first runs eagerly for :data:`WARM_UP` real steps. Then it is captured and replayed; at its next step the
    graph and the eager step run from the same state, and only if their changes agree within :data:`TOLERANCE` is the
    graph kept. A variant that cannot be captured runs eagerly, with a warning. After a capture that failed no other is
    tried.

    Args:
        record: makes a recording with ``replay()`` of a function; tests on machines without a GPU give their own.
    """

    mode = "graph"

    def __init__(self, *args, record: Callable | None = None, **options):
        super().__init__(*args, **options)
        self.variants: dict[tuple, Variant] = {}
        self.ready, self.failed, self.host_state, self.pool = False, False, None, None
        if self.device.type == "cuda":  # the default stream cannot be captured; what was queued there is done
            torch.cuda.synchronize(self.device)
            torch.cuda.set_stream(torch.cuda.Stream(self.device))
            self.pool = torch.cuda.graph_pool_handle()  # for all graphs: they never run together
        self.record = partial(CUDAGraph, pool=self.pool) if record is None else record

    def prepare(self) -> None:
        """After a resume has loaded the optimizer: its learning rates become tensors."""
        self.ready = True
        for group in self.optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=self.device)
            if "capturable" in group:
                group["capturable"] = True

    def begin_epoch(self) -> None:
        """Capture anew if a hook has changed what a graph has frozen: training modes, which weights learn, groups."""
        modules = unwrap(self.model).modules()
        groups = [{k: v for k, v in group.items() if k not in ("params", "lr", "capturable")}
                  for group in self.optimizer.param_groups]
        now = ([m.training for m in modules], [p.requires_grad for p in self.model.parameters()], groups)
        if self.host_state is not None and now != self.host_state:
            self.variants.clear()
        self.host_state = now

    def run(self, row: PlanRow, progress, mixing: bool, update: bool, stop: bool, followers,
            window: int = 1) -> tuple[dict, bool]:
        if not self.ready:
            self.prepare()
        key = (variant(self, row, mixing), update, tuple(id(follower) for follower in followers), window)
        captured = self.variants.setdefault(key, Variant())
        captured.calls, run = captured.calls + 1, super().run

        def eagerly(row):
            """The eager step, which reads the row alone."""
            for group, lr in zip(self.optimizer.param_groups, row.lr.unbind(), strict=True):
                group["lr"].copy_(lr)
            return run(row, row.progress, mixing, update, False, followers, window)[0]

        if captured.state == "checked":
            captured.static.load(row)
            losses = captured.graph.replay()
        elif captured.state == "captured":
            losses = self.check(captured, row, eagerly, followers)
        elif captured.state == "refused" or self.failed or captured.calls < WARM_UP:
            losses = eagerly(row)
        elif captured.calls == WARM_UP:
            losses, where = waiting(lambda: eagerly(row), self.device)
            if where:
                self.refuse(captured, f"it waits for the GPU at {where}")
        else:
            losses = self.capture(captured, row, eagerly)
        return losses, stop

    def capture(self, captured: Variant, row: PlanRow, eagerly: Callable) -> dict[str, Tensor]:
        """Record the variant and replay it for this step; where it cannot be recorded, run the step eagerly."""
        captured.static = StaticRow(row)
        try:
            captured.graph = self.record(lambda: eagerly(captured.static.row))
        except Exception as error:  # an operation that CUDA cannot capture, or no memory for a second copy
            for parameter in self.parameters:
                parameter.grad = None
            self.failed = True
            self.refuse(captured, first_line(error.__context__ or error))
            heal(self.device, self.pool)
            self.seed(row.seed)
            return eagerly(row)
        captured.state = "captured"
        self.seed(row.seed)
        return captured.graph.replay()

    def check(self, captured: Variant, row: PlanRow, eagerly: Callable, followers) -> dict[str, Tensor]:
        """Run this step both ways from the same state; keep the graph if they agree, and the eager step if not."""
        state = State(self, followers)
        before = state.copy()
        losses = {k: v.clone() for k, v in eagerly(row).items()}
        expected = state.copy()
        state.restore(before)
        self.seed(row.seed)
        captured.static.load(row)
        replayed = captured.graph.replay()
        tolerance = TOLERANCE[self.dtype]
        errors = state.difference(before, expected, tolerance)
        wrong = {kind: error for kind, error in errors.items() if not error <= tolerance}  # a NaN is wrong
        if not wrong:
            captured.state = "checked"
            return replayed
        state.restore(expected)
        differences = ", ".join(f"{kind} by {error:.2g}" for kind, error in wrong.items())
        self.refuse(captured, "in one step these differ from the eager step's, as a share of their change: "
                              f"{differences} (tolerance {tolerance:g})")
        return losses

    def refuse(self, captured: Variant, reason: str) -> None:
        captured.state, captured.graph, captured.static = "refused", None, None
        self.warn(f"a variant of the step cannot be captured in a CUDA graph and runs eagerly: {reason}")


class CompiledCudaGraphStep(CudaGraphStep, CompiledStep):
    """The compiled step, captured."""

    mode = "compile+graph"
