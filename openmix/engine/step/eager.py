"""One training step: batch, mix, forward, loss, backward, update. Nothing in it waits for the device.

:func:`make_step` is the one place that knows how these go together. It gives the eager form; :mod:`.modes` makes a
compiled and a captured (CUDA graph) one of the same functions.
"""
import contextlib
import math
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...plan import PlanRow
from ..distributed.launch import unwrap
from ..precision import autocast
from .meters import Sums


class Diverged(RuntimeError):
    """The loss stopped being a finite number."""


class Latch:
    """Remembers on the device that a loss was not finite, and from then on keeps the optimizer from updating.

    Fused optimizers skip their update where ``found_inf`` is 1, without asking the host; on a CPU reading the loss
    costs nothing, so there each step is checked before its update.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device, scaled: bool = False):
        self.on_host = device.type == "cpu"
        self.tripped = torch.zeros((), device=device)
        self.good = torch.zeros((), device=device)  # steps before the first loss that was not finite
        fused = all(group.get("fused") for group in optimizer.param_groups)
        if not self.on_host and fused and not scaled:  # a gradient scaler skips such updates itself
            optimizer.found_inf = self.tripped

    def check(self, loss: Tensor) -> None:
        """Note a loss. Raises Diverged at once on a CPU."""
        if self.on_host:
            if not math.isfinite(loss.tolist()):
                raise Diverged(f"the loss is {loss:g}")
        else:
            self.tripped.copy_(torch.maximum(self.tripped, (~torch.isfinite(loss)).float()))
            self.good.add_(1 - self.tripped)

    def tensors(self) -> list[Tensor]:
        return [self.tripped, self.good]


class Step:
    """What a training step does, in pieces that the forms put together; calling it runs the eager form.

    The functions are attributes, so that a form can put another in the place of :meth:`forward` (compiled) or
    :meth:`run` (captured).

    Args:
        model: a Classifier, maybe inside DistributedDataParallel.
        batch: row of the epoch plan -> (images, labels) on the device, e.g. ``ResidentLoader.batch``.
        dtype: autocast dtype, None for float32.
        clip_grad: ``dict(max_norm=..., norm_type=2)`` of ``torch.nn.utils.clip_grad_norm_``.
        accumulate: micro batches an update is made of, if not another number of them is given with a step.
    """

    form = "eager"

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, batch: Callable, *, device: torch.device,
                 dtype: torch.dtype | None = None, clip_grad: dict | None = None, accumulate: int = 1):
        self.model, self.optimizer, self.batch, self.device = model, optimizer, batch, device
        self.dtype, self.context = dtype, autocast(device, dtype)
        self.clip_grad, self.accumulate = clip_grad, accumulate
        self.scaler = torch.amp.GradScaler(device.type) if dtype == torch.float16 else None
        self.latch = Latch(optimizer, device, scaled=self.scaler is not None)
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.generators = [torch.default_generator]
        if device.type == "cuda":
            self.generators.append(torch.cuda.default_generators[device.index or 0])
        self.sums = Sums()

    def begin_epoch(self) -> None:
        """Called before the first step of each epoch."""

    def seed(self, seed: int) -> None:
        """Networks that draw themselves (dropout) continue bit-exactly after a resume."""
        for generator in self.generators:
            generator.manual_seed(seed + self.rank)

    def forward(self, row: PlanRow, progress, mixing: bool) -> dict[str, Tensor]:
        """From a row of the plan to the losses."""
        images, labels = self.batch(row)
        with self.context():
            return self.model(images, labels, draws=row.mix, progress=progress, mixing=mixing)

    def agree(self, losses: dict, stop: bool) -> tuple[dict, bool]:
        """Every process sees the mean losses and, on CPUs, any process's wish to stop: all go on or none does."""
        agreed = list(losses.values())
        if self.latch.on_host:
            agreed.append(torch.tensor(float(stop)))
        agreed = torch.stack(agreed)
        dist.all_reduce(agreed)
        losses = dict(zip(losses, agreed[:len(losses)] / self.world, strict=True))
        return losses, self.latch.on_host and bool(agreed[-1])  # GPUs agree at the logging interval

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
                losses, stop = self.agree(losses, stop)
            self.latch.check(losses["loss"])
            scaled = loss / window if window > 1 else loss
            (self.scaler.scale(scaled) if self.scaler else scaled).backward()
        if update:
            self.update(progress)
            for follower in followers:
                follower.follow()
        self.sums.add(losses)
        return losses, stop

    def __call__(self, row: PlanRow, progress: float, mixing: bool = True, update: bool = True, stop: bool = False,
                 followers=(), window: int | None = None) -> tuple[dict[str, Tensor], bool]:
        """One step.

        Args:
            row: of the epoch plan; for the compiled and captured forms with ``progress`` and ``lr``.
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
        self.sums.note(losses.keys())
        return losses, stop


def program(step: Step, row: PlanRow, mixing: bool) -> tuple:
    """What the host has chosen for this row: steps with equal programs run the same operations."""
    return ("mix", unwrap(step.model).mixup.variant(row.mix)) if mixing else ("clean",)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"
