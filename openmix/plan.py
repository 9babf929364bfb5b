"""The plan of an epoch: made, cut, uploaded and read here. :class:`Plan` holds all steps, :class:`PlanRow` one."""
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import is_whole
from .moved import renamed
from .sampling import AUGMENT, MIX, ORDER, STEP, integers, keyed_generator, keys, uniform

ALIGNMENT = 16  # bytes between which the tensors of a packed row begin


class PlanRow(NamedTuple):
    """One training step of B images. What a loader, a method or a form of the step does not use is None."""

    mix: dict  # draws of the mixing method: tensors (B or 1, ...), host choices, dicts of the same
    seed: int | None = None  # reseeds the default generators
    index: Tensor | None = None  # (B,) int64, images of a resident set
    crop: Tensor | None = None  # (B, 2) int16, at least 0: row and column of the crop in the padded image
    flip: Tensor | None = None  # (B,) bool, mirrored images
    labels: Tensor | None = None  # (B,) int64, of a streamed set
    images: Tensor | None = None  # (B, C, H, W) uint8, decoded
    crop_key: Tensor | None = None  # (B,) int64, keys of crops that are resized while decoding
    progress: Tensor | None = None  # () share of the run that is done
    lr: Tensor | None = None  # (G,) learning rate of each parameter group
    partner: dict | None = None  # index, crop and flip of images from elsewhere in the set, to mix with these
    packed: Any = None  # on a GPU, the Packed bytes that the tensors of an uploaded plan are views of

    def for_forward(self) -> "PlanRow":
        """The row without what changes from step to step on the host, for a compiled function."""
        return self._replace(seed=None, lr=None, packed=None)


class Plan(PlanRow):
    """The same for S steps: each tensor has a leading dimension of S, each host value is a list of S."""

    __slots__ = ()

    def row(self, step: int) -> PlanRow:
        """The row of one step."""
        return PlanRow(*(_at(value, step) for value in self))

    def slice(self, rank: int, world: int) -> "Plan":
        """The part that process ``rank`` of ``world`` works on: a slice of each global batch.

        Tensors (S, B, ...) are sliced; tensors (S, 1, ...) or (S,) and host values are everybody's.

        Raises:
            ValueError: ``world`` does not divide the batch, or a tensor has another number of rows.
        """
        steps, batch = self.index.shape
        check_batch(batch, batch, world)
        if not 0 <= rank < world:
            raise ValueError(f"rank must lie in [0, {world}), got {rank}")
        low, high = batch * rank // world, batch * (rank + 1) // world

        def part(value, name):
            if isinstance(value, dict):
                return {k: part(v, f"{name}.{k}") for k, v in value.items()}
            if not isinstance(value, Tensor) or value.ndim < 2 or value.shape[1] == 1:
                return value
            if value.shape[1] != batch:
                raise ValueError(f"{name} has shape {tuple(value.shape)}; draws for {steps} steps of {batch} images "
                                 f"must be ({steps}, {batch}, ...) or ({steps}, 1, ...)")
            return value[:, low:high]

        return Plan(*(part(value, name) for name, value in zip(self._fields, self, strict=True)))

    def upload(self, device: torch.device) -> "Plan":
        """The plan on its device: on a GPU in one copy, from pinned memory."""
        if device.type != "cuda":
            return self
        return self.pack(lambda block: block.pin_memory().to(device, non_blocking=True))

    def pack(self, move: Callable[[Tensor], Tensor] = lambda block: block) -> "Plan":
        """The plan with all tensors in one block of bytes (S, L), which ``move`` brings to a device."""
        parts, width = [], 0

        def locate(value):
            nonlocal width
            if isinstance(value, dict):
                return {name: locate(v) for name, v in value.items()}
            if not isinstance(value, Tensor):
                return None
            flat = value.reshape(len(value), -1).contiguous()
            flat = flat.as_strided(flat.shape, (flat.shape[1], 1)).view(torch.uint8)  # one column may have any stride
            parts.append(F.pad(flat, (0, -flat.shape[1] % ALIGNMENT)))
            span = Span(width, flat.shape[1], value.dtype, value.shape[1:])
            width += parts[-1].shape[1]
            return span

        layout = [locate(value) for value in self]
        packed = Packed(move(torch.cat(parts, 1)), layout)
        return Plan(*(packed.views(value, where) for value, where in zip(self, layout, strict=True)))._replace(
            packed=packed)


class Span(NamedTuple):
    """The bytes of one tensor in a packed row."""

    start: int
    length: int
    dtype: torch.dtype
    shape: torch.Size


class Packed(NamedTuple):
    """The bytes of a plan (S, L) or of a row (L,), and the :class:`Span` of each of its tensors."""

    block: Tensor
    layout: list

    def row(self, step: int) -> "Packed":
        """Of the bytes of a plan, those of one row."""
        return Packed(self.block[step], self.layout)

    def views(self, value, where):
        """``value`` with every tensor that is in the block as a view of it; others stay."""
        if isinstance(value, dict):
            return {name: self.views(v, where[name]) for name, v in value.items()}
        if where is None:
            return value
        part = self.block[..., where.start:where.start + where.length]
        return part.view(where.dtype).view((*part.shape[:-1], *where.shape))


class StaticRow:
    """Memory of its own for a row, which a captured step reads; :meth:`load` fills it from another row.

    Packed tensors are copied at once.
    """

    def __init__(self, row: PlanRow):
        if row.packed is None:
            self.row = PlanRow(*map(_cloned, row))
            return
        packed = row.packed._replace(block=row.packed.block.clone())
        values = zip(row, packed.layout, strict=True)
        self.row = PlanRow(*(packed.views(v, where) if where else _cloned(v) for v, where in values))._replace(
            packed=packed)

    def load(self, row: PlanRow) -> None:
        packed = self.row.packed
        if packed is not None:
            packed.block.copy_(row.packed.block, non_blocking=True)
        layout = packed.layout if packed else [None] * len(row)
        for value, new, where in zip(self.row, row, layout, strict=True):
            if not where:
                _copy(value, new)


def _at(value, step):
    if isinstance(value, dict):
        return draws_at(value, step)
    if isinstance(value, Packed):
        return value.row(step)
    return None if value is None else value[step]


def _cloned(value):
    if isinstance(value, dict):
        return {name: _cloned(v) for name, v in value.items()}
    return value.clone() if isinstance(value, Tensor) else value


def _copy(value, new) -> None:
    if isinstance(value, dict):
        for name, v in value.items():
            _copy(v, new[name])
    elif isinstance(value, Tensor):
        value.copy_(new, non_blocking=True)


# -- making a plan -----------------------------------------------------------------------------------------------------

def no_draws(n: int, size, generator=None, steps=(), device=None) -> dict:
    """The draws of no mixing."""
    return {}


def epoch_plan(seed: int, epoch: int, num_images: int, total_batch: int, draw: Callable = no_draws,
               size: Sequence[int] = (), padding: int = 4, flip: float = 0.5, spare: int = 0) -> Plan:
    """Everything random about an epoch of S = num_images // total_batch steps, on the CPU.

    A function of its arguments alone: neither earlier epochs nor the number of processes change it. The images that
    fill no whole batch are left out, others each epoch.

    Args:
        draw: draws of the mixing method for all steps, as ``MixMethod.draw``. size: (H, W) of what it mixes.
        padding: border of the random crop. flip: chance that an image is mirrored. spare: pixels by which an image is
            higher and wider than a crop. With all of them 0, the plan has neither crops nor flips.

    Returns:
        Plan with ``index`` (S, B), ``crop`` (S, B, 2), ``flip`` (S, B), ``mix`` and ``seed``; see :class:`PlanRow`.

    Raises:
        ValueError: fewer images than one batch.
    """
    check_batch(num_images, total_batch)
    steps = num_images // total_batch
    order, augment, mix, step = (keyed_generator(seed, epoch, stream) for stream in (ORDER, AUGMENT, MIX, STEP))
    shape = (steps, total_batch)
    plan = Plan(
        index=torch.randperm(num_images, generator=order)[:steps * total_batch].view(shape),
        mix=draw(total_batch, size, mix, steps=(steps,)),
        seed=keys((steps,), step).tolist(),  # host numbers on purpose
    )
    return plan._replace(**crops_and_flips(shape, 2 * padding + spare, flip, augment))


def crops_and_flips(shape: Sequence[int], shifts: int, flip: float, generator=None) -> dict:
    """``crop`` (*shape, 2) in 0 ... ``shifts`` and ``flip`` (*shape) of a plan; empty with both settings 0."""
    if not shifts and not flip:
        return {}
    return dict(crop=integers(shifts + 1, (*shape, 2), generator).to(torch.int16),
                flip=uniform(0, 1, shape, generator) < flip)


def check_batch(num_images: int, total_batch: int, world: int = 1) -> None:
    """Raise ValueError unless ``num_images`` make a batch and ``world`` processes can share ``total_batch`` evenly."""
    if not is_whole(total_batch, 1):
        raise ValueError(f"total_batch must be a positive whole number, got {total_batch!r}")
    if num_images < total_batch:
        raise ValueError(f"{num_images} images make no batch of total_batch={total_batch}; lower total_batch")
    if world < 1 or total_batch % world:
        valid = ", ".join(str(k) for k in range(1, min(total_batch, 1024) + 1) if total_batch % k == 0)
        raise ValueError(f"total_batch={total_batch} cannot be shared evenly by {world} processes; use one of {valid} "
                         "processes, or another total_batch")


# -- draws of a mixing method ------------------------------------------------------------------------------------------

def draws_at(draws: dict, step) -> dict:
    """One step of draws made for many; nested draws and host choices included."""
    return {k: draws_at(v, step) if isinstance(v, dict) else v[step] for k, v in draws.items()}


def draws_to(draws: dict, device) -> dict:
    """``draws`` with every tensor on ``device``; host choices are unchanged."""
    return {k: draws_to(v, device) if isinstance(v, dict) else v.to(device, non_blocking=True)
            if isinstance(v, Tensor) else v for k, v in draws.items()}


__getattr__ = renamed(__name__, row="draws_at", moved="draws_to")
