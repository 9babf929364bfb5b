"""One training step: batch, mix, forward, loss, backward, update. Nothing in it waits for the device.

:class:`EagerStep` runs it as it is written; :mod:`.compiled` and :mod:`.cudagraph` replace parts of it.
"""
import contextlib
import math
from collections.abc import Callable
from operator import attrgetter

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...plan import PlanRow
from ..distributed.launch import unwrap
from ..precision import autocast
from .meters import ScalarMeter


class Diverged(RuntimeError):
    """The loss stopped being a finite number."""


class NonFiniteGuard:
    """Remembers on the device that a loss was not finite, and from then on keeps the optimizer from updating.

    Fused optimizers skip their update where ``found_inf`` is 1, without asking the host; on a CPU reading the loss
    costs nothing, so there each step is checked before its update.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device, scaled: bool = False):
        self.immediate = device.type == "cpu"
        self.tripped = torch.zeros((), device=device)
        self.good = torch.zeros((), device=device)  # steps before the first loss that was not finite
        fused = all(group.get("fused") for group in optimizer.param_groups)
        if not self.immediate and fused and not scaled:  # a gradient scaler skips such updates itself
            optimizer.found_inf = self.tripped

    def check(self, loss: Tensor) -> None:
        """Note a loss. Raises Diverged at once on a CPU."""
        if self.immediate:
            if not math.isfinite(loss.tolist()):
                raise Diverged(f"the loss is {loss:g}")
        else:
            self.tripped.copy_(torch.maximum(self.tripped, (~torch.isfinite(loss)).float()))
            self.good.add_(1 - self.tripped)

    def tensors(self) -> list[Tensor]:
        return [self.tripped, self.good]


class EagerStep:
    """What a training step does, in parts: subclasses replace :meth:`forward` (compiled) or :meth:`run` (captured).

    Args:
        model: a Classifier, maybe inside DistributedDataParallel.
        batch: row of the epoch plan -> (images, labels) on the device, e.g. ``ResidentLoader.batch``.
        draws: row -> draws of the mixing method, e.g. ``ResidentLoader.draws``; by default those of the row itself.
        dtype: autocast dtype, None for float32.
        clip_grad: ``dict(max_norm=..., norm_type=2)`` of ``torch.nn.utils.clip_grad_norm_``.
        accumulate: micro batches an update is made of, if not another number of them is given with a step.
        warn: called once with each reason why a part runs eagerly nevertheless.
    """

    mode = "eager"

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, batch: Callable, *, device: torch.device,
                 draws: Callable = attrgetter("mix"), dtype: torch.dtype | None = None, clip_grad: dict | None = None,
                 accumulate: int = 1, warn: Callable[[str], None] = print):
        self.model, self.optimizer, self.device, self.batch, self.draws = model, optimizer, device, batch, draws
        self.dtype, self.context = dtype, autocast(device, dtype)
        self.clip_grad, self.accumulate, self.warn = clip_grad, accumulate, warn
        self.scaler = torch.amp.GradScaler(device.type) if dtype == torch.float16 else None
        self.guard = NonFiniteGuard(optimizer, device, scaled=self.scaler is not None)
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.generators = [torch.default_generator]
        if device.type == "cuda":
            self.generators.append(torch.cuda.default_generators[device.index or 0])
        self.meter = ScalarMeter()

    def begin_epoch(self) -> None:
        """Called before the first step of each epoch."""

    def seed(self, seed: int) -> None:
        """Networks that draw themselves (dropout) continue bit-exactly after a resume."""
        for generator in self.generators:
            generator.manual_seed(seed + self.rank)

    def forward(self, row: PlanRow, progress, mixing: bool) -> dict[str, Tensor]:
        """From a row of the plan to the losses."""
        images, labels = self.batch(row)
        draws = self.draws(row) if mixing else row.mix
        with self.context():
            return self.model(images, labels, draws=draws, progress=progress, mixing=mixing)

    def all_reduce_losses(self, losses: dict, stop: bool) -> tuple[dict, bool]:
        """The mean losses of all processes and, on CPUs, whether any of them was asked to stop: then all stop."""
        values = list(losses.values())
        if self.guard.immediate:
            values.append(torch.tensor(float(stop)))
        values = torch.stack(values)
        dist.all_reduce(values)
        losses = dict(zip(losses, values[:len(losses)] / self.world, strict=True))
        return losses, self.guard.immediate and bool(values[-1])  # GPUs share the wish at the logging interval

    def update(self, progress) -> None:
        """The optimizer's step, cleared gradients, and what follows the weights (momentum teachers)."""
        if self.clip_grad:
            if self.scaler:
                self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, **self.clip_grad)
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        for parameter in self.parameters:  # what zero_grad does, without its bookkeeping
            parameter.grad = None
        unwrap(self.model).after_step(progress)

    def run(self, row: PlanRow, progress, mixing: bool, update: bool, stop: bool, followers,
            window: int = 1) -> tuple[dict, bool]:
        """All of a step that happens on the device; ``progress`` is a number, or a tensor where it is captured."""
        with contextlib.nullcontext() if update or self.world == 1 else self.model.no_sync():
            losses = self.forward(row, progress, mixing)
            loss = losses["loss"]
            losses = {k: v.detach().float() for k, v in losses.items()}
            if self.world > 1:
                losses, stop = self.all_reduce_losses(losses, stop)
            self.guard.check(losses["loss"])
            scaled = loss / window if window > 1 else loss
            (self.scaler.scale(scaled) if self.scaler else scaled).backward()
        if update:
            self.update(progress)
            for follower in followers:
                follower.follow()
        self.meter.add(losses)
        return losses, stop

    def __call__(self, row: PlanRow, progress: float, mixing: bool = True, update: bool = True, stop: bool = False,
                 followers=(), window: int | None = None) -> tuple[dict[str, Tensor], bool]:
        """One step.

        Args:
            row: of the epoch plan; for the compiled and captured modes with ``progress`` and ``lr``.
            progress: share of the run that is done, in [0, 1].
            update: False adds gradients up for a later step.
            stop: whether this process was asked to stop.
            followers: objects whose ``follow()`` is called after an update: device work alone (averaged weights).
            window: batches that the update averages over, this one among them; ``accumulate`` by default.

        Returns:
            Detached scalars, and whether any process was asked to stop.
        """
        self.seed(row.seed)
        losses, stop = self.run(row, progress, mixing, update, stop, followers, window or self.accumulate)
        self.meter.count_step(losses.keys())
        return losses, stop


def variant(step: EagerStep, row: PlanRow, mixing: bool) -> tuple:
    """What the host has chosen for this row: steps of equal variants run the same operations."""
    return ("mix", unwrap(step.model).mixup.variant(row.mix)) if mixing else ("clean",)


def first_line(error: BaseException) -> str:
    """Type and first line of an error's message."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"
