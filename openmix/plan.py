"""The plan of an epoch: made, cut, uploaded and read here."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import is_whole
from .sampling import AUGMENT, MIX, ORDER, STEP, integers, keyed_generator, keys, uniform


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


def epoch_plan(seed: int, epoch: int, num_images: int, total_batch: int, method, size: Sequence[int], padding: int = 4,
               flip: float = 0.5) -> dict:
    """Everything random about an epoch of S = num_images // total_batch steps, on the CPU.

    A function of its arguments alone: neither earlier epochs nor the number of processes change it. The images that
    fill no whole batch are left out, others each epoch.

    Args:
        method: mixing method whose ``draw`` fills ``mix``. size: (H, W) of the images.
        padding: border of the random crop. flip: chance that an image is mirrored.

    Returns:
        ``index`` (S, B) int64 images, ``crop`` (S, B, 2) int16 in [0, 2 * padding], ``flip`` (S, B) bool, ``mix`` the
        method's draws for steps (S,), ``seed`` a list of S ints that reseed the default generators.

    Raises:
        ValueError: fewer images than one batch.
    """
    check_batch(num_images, total_batch)
    steps = num_images // total_batch
    order, augment, mix, step = (keyed_generator(seed, epoch, stream) for stream in (ORDER, AUGMENT, MIX, STEP))
    shape = (steps, total_batch)
    return dict(
        index=torch.randperm(num_images, generator=order)[:steps * total_batch].view(shape),
        crop=integers(2 * padding + 1, (*shape, 2), augment).to(torch.int16),
        flip=uniform(0, 1, shape, augment) < flip,
        mix=method.draw(total_batch, size, mix, steps=(steps,)),
        seed=keys((steps,), step).tolist(),  # host numbers on purpose
    )


def slice_plan(plan: dict, rank: int, world: int) -> dict:
    """The part of an :func:`epoch_plan` that process ``rank`` of ``world`` works on: a slice of each global batch.

    Tensors (S, B, ...) are sliced, tensors (S, 1, ...) or (S,) and host values are everybody's; nested dicts too.

    Raises:
        ValueError: ``world`` does not divide the batch, or a tensor has another number of rows.
    """
    steps, batch = plan["index"].shape
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
            raise ValueError(f"{name[1:]} has shape {tuple(value.shape)}; draws for {steps} steps of {batch} images "
                             f"must be ({steps}, {batch}, ...) or ({steps}, 1, ...)")
        return value[:, low:high]

    return part(plan, "")


def row(draws: dict, i) -> dict:
    """Step ``i`` of draws made for many steps; nested draws and host choices included."""
    return {k: row(v, i) if isinstance(v, dict) else v[i] for k, v in draws.items()}


def moved(draws: dict, device) -> dict:
    """``draws`` with every tensor on ``device``; host choices stay what they are."""
    return {k: moved(v, device) if isinstance(v, dict) else v.to(device, non_blocking=True) if isinstance(v, Tensor)
            else v for k, v in draws.items()}


ALIGNMENT = 16  # bytes between which the tensors of a row begin


class Place(NamedTuple):
    """Where a tensor lies in each row of a block of bytes."""

    start: int
    length: int
    dtype: torch.dtype
    shape: torch.Size


def upload(plan: dict, device: torch.device) -> dict:
    """An epoch plan on its device: on a GPU in one copy, from pinned memory, with ``bytes`` (S, ...) that holds it."""
    if device.type != "cuda":
        return plan
    block, plan = pack(plan)
    block = block.pin_memory().to(device, non_blocking=True)
    return {**unpack(plan, block), "bytes": block}


def pack(plan: dict) -> tuple[Tensor, dict]:
    """The tensors (S, ...) of a nested dict as one block of bytes (S, L), and the dict with (offset, dtype, shape)."""
    parts, width = [], 0

    def visit(tree):
        nonlocal width
        if isinstance(tree, dict):
            return {name: visit(value) for name, value in tree.items()}
        if not isinstance(tree, Tensor):
            return tree
        flat = tree.reshape(len(tree), -1).contiguous()
        flat = flat.as_strided(flat.shape, (flat.shape[1], 1)).view(torch.uint8)  # one column may have any stride
        parts.append(F.pad(flat, (0, -flat.shape[1] % ALIGNMENT)))
        place = Place(width, flat.shape[1], tree.dtype, tree.shape)
        width += parts[-1].shape[1]
        return place

    layout = visit(plan)
    return torch.cat(parts, 1), layout


def unpack(layout, block: Tensor):
    """The nested dict that :func:`pack` took apart, its tensors views of ``block``."""
    if isinstance(layout, dict):
        return {name: unpack(value, block) for name, value in layout.items()}
    if not isinstance(layout, Place):
        return layout
    return block[:, layout.start:layout.start + layout.length].view(layout.dtype).view(layout.shape)
