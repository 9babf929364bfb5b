"""One training step: forward, loss, backward, update. Nothing in it waits for the device.

:func:`make_step` is the one place that knows how these go together; other forms of the same function (compiled,
captured) have the same signature.
"""
import contextlib
import math
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .launch import autocast


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
        fused = all(group.get("fused") for group in optimizer.param_groups)
        if not self.on_host and fused and not scaled:  # a gradient scaler skips such updates itself
            optimizer.found_inf = self.tripped

    def check(self, loss: Tensor) -> None:
        """Note a loss. Raises Diverged at once on a CPU."""
        if self.on_host:
            if not math.isfinite(loss.item()):
                raise Diverged(f"the loss is {loss:g}")
        else:
            self.tripped.copy_(torch.maximum(self.tripped, (~torch.isfinite(loss)).float()))

    def read(self) -> None:
        """Raise Diverged if the latch has tripped (one host read: call it at the logging interval)."""
        if not self.on_host and self.tripped:
            raise Diverged("the loss was not finite")


def unwrap(model: nn.Module) -> nn.Module:
    """The classifier inside a DistributedDataParallel."""
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


def make_step(model: nn.Module, optimizer: torch.optim.Optimizer, *, device: torch.device,
              dtype: torch.dtype | None = None, clip_grad: dict | None = None, accumulate: int = 1) -> Callable:
    """Build ``step(images, labels, draws, progress, mixing, update, seed, stop) -> (losses, stop)``.

    Args:
        model: a Classifier, maybe inside DistributedDataParallel.
        dtype: autocast dtype, None for float32.
        clip_grad: ``dict(max_norm=..., norm_type=2)`` of ``torch.nn.utils.clip_grad_norm_``.
        accumulate: micro batches an update is made of; gradients are averaged over them.

    The step returns a dict of detached scalars and whether any process was asked to stop.
    """
    context = autocast(device, dtype)
    scaler = torch.amp.GradScaler(device.type) if dtype == torch.float16 else None
    latch = Latch(optimizer, device, scaled=scaler is not None)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    generators = [torch.default_generator]
    if device.type == "cuda":
        generators.append(torch.cuda.default_generators[device.index or 0])
    local = getattr(model, "no_sync", contextlib.nullcontext)

    def step(images, labels, draws, progress, mixing=True, update=True, seed=None, stop=False):
        if seed is not None:  # networks that draw themselves (dropout) continue bit-exactly after a resume
            for generator in generators:
                generator.manual_seed(seed + rank)
        with contextlib.nullcontext() if update else local():
            with context():
                losses = model(images, labels, draws=draws, progress=progress, mixing=mixing)
            loss = losses["loss"]
            losses = {k: v.detach().float() for k, v in losses.items()}
            if world > 1:
                # every rank sees the mean loss and, on CPUs, any rank's wish to stop: all go on or none does
                agreed = list(losses.values())
                if latch.on_host:
                    agreed.append(torch.tensor(float(stop)))
                agreed = torch.stack(agreed)
                dist.all_reduce(agreed)
                losses = dict(zip(losses, agreed[:len(losses)] / world, strict=True))
                stop = latch.on_host and bool(agreed[-1])  # GPUs agree at the logging interval
            latch.check(losses["loss"])
            scaled = loss / accumulate if accumulate > 1 else loss
            (scaler.scale(scaled) if scaler else scaled).backward()
        if update:
            if clip_grad:
                if scaler:
                    scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(parameters, **clip_grad)
            if scaler:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
            for parameter in parameters:  # what zero_grad does, without its bookkeeping
                parameter.grad = None
            unwrap(model).after_step(progress)
        return losses, stop

    step.latch, step.scaler = latch, scaler
    return step
