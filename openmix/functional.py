"""Pure tensor maths: no randomness, no state, any device. Images are (N, C, H, W), H before W."""
import contextlib
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def extremes(values: Tensor) -> tuple[int | float, int | float] | None:
    """The least and the largest of ``values`` that lie in a CPU's memory.

    None where there are none, and where looking would wait for a device or is not possible: while torch.compile
    traces, for fake tensors, and inside ``torch.func.vmap``.
    """
    plain = type(values) is Tensor and values.is_cpu and values.numel() > 0 and not torch.compiler.is_compiling()
    if not plain or torch._C._functorch.is_functorch_wrapped_tensor(values):
        return None
    low, high = values.aminmax()
    return low.tolist(), high.tolist()


def boxes(lam: Tensor, centre: Tensor, size) -> Tensor:
    """CutMix boxes of area share ``1 - lam`` around ``centre``, clipped to the image.

    Args:
        lam: (...,) share kept of the first image. centre: (..., 2) row and column. size: (H, W).

    Returns:
        (..., 4) int64: top, bottom, left, right (ends excluded). Sides are floor(side * sqrt(1 - lam)), an odd side
        loses one pixel, as in the paper's code.
    """
    return boxes_around((1 - lam.double()).clamp(min=0).sqrt(), centre, size)


def check_sides(size, method: str) -> None:
    """Raise ValueError where all :func:`boxes` in images of ``size`` (H, W) are empty: half a side rounds to 0."""
    if min(size) < 3:
        raise ValueError(f"{method} pastes boxes that are empty in images of {size[0]}x{size[1]} pixels; sides need 3 "
                         "pixels, for smaller images use MixUp or FMix")


def boxes_around(share: Tensor, centre: Tensor, size, least: int = 0) -> Tensor:
    """Boxes with ``share`` of the image's sides around ``centre``, clipped to the image.

    Args:
        share: (...,) in [0, 1]. centre: (..., 2) row and column. size: (H, W). least: pixels left of a side at least.

    Returns:
        (..., 4) int64 as of :func:`boxes`.
    """
    sides = constant(sides_of, centre, *size)
    half = (share.double()[..., None] * (sides / 2)).long()  # floor(floor(a) / 2) = floor(a / 2)
    low, high = (centre - half).clamp(min=0), torch.minimum(centre + half, sides)
    if least:
        high = torch.maximum(high, low + least)
    return torch.stack([low, high], -1).flatten(-2)


def sides_of(height: int, width: int, device) -> Tensor:
    """(2,) int64, made without a copy from the host."""
    return torch.stack([torch.full((), side, device=device) for side in (height, width)])


def box_mask(box: Tensor, size) -> Tensor:
    """True outside the boxes (K, 4), i.e. the share of the first image: (K, 1, H, W) bool."""
    height, width = size
    low, high = box.reshape(-1, 2, 2, 1).unbind(2)  # (K, 2 axes, 1)
    position = torch.arange(max(height, width), device=box.device)
    rows, columns = ((position < low) | (position >= high)).unbind(1)
    return rows[:, None, :height, None] | columns[:, None, None, :width]


def box_area(box: Tensor) -> Tensor:
    """Pixels inside boxes (..., 4): (...,) int64."""
    top, bottom, left, right = box.unbind(-1)
    return (bottom - top) * (right - left)


def share_outside(box: Tensor, size) -> Tensor:
    """Share of an image of ``size`` (H, W) that boxes (K, 4) leave, float32 (K,)."""
    pixels = size[0] * size[1]
    return (pixels - box_area(box)) / pixels


def blend(images: Tensor, partner: Tensor, mask: Tensor, reuse: bool = False) -> Tensor:
    """``mask * images + (1 - mask) * partner``; a bool mask moves pixels and works for integer images too.

    Finite float images go through ``lerp`` for bool masks as well: exact at 0 and 1, and much faster than ``where``
    on CPU. ``reuse`` lets the result take the memory of ``partner``.
    """
    if not images.is_floating_point():
        return torch.where(mask, images, partner)
    mask = mask.to(images.dtype)
    if reuse and not mask.requires_grad:  # the gradient of a learned mask needs partner as it was
        return partner.lerp_(images, mask)
    return torch.lerp(partner, images, mask)


def is_at_hand(box: Tensor) -> bool:
    """Whether ``box`` is one of a batch, (1, 4), on the CPU, so that reading it synchronises with no device.

    Never so while torch.compile traces, and for fake tensors, which have no values.
    """
    return type(box) is Tensor and box.is_cpu and len(box) == 1 and not torch.compiler.is_compiling()


def paste_box(images: Tensor, partner: Callable[[Tensor], Tensor], box: Tensor, shrink: str | None = None) -> Tensor:
    """``images`` that show their partners inside boxes.

    On a CPU the pixels of one box for all are copied; all else is blended, with results that are equal bit by bit.

    Args:
        images: (N, C, H, W). partner: values (N, ...) -> those of the partners. box: (N or 1, 4) as of :func:`boxes`.
        shrink: None: the partner shows what it has in the box; ``"nearest"`` or ``"bilinear"``: all of it, resized.
    """
    if not is_at_hand(box):
        shown = partner(images) if shrink is None else resize_into(partner(images), box, shrink)
        return blend(images, shown, box_mask(box, images.shape[2:]), reuse=True)
    top, bottom, left, right = box.tolist()[0]
    mixed, inside = images.clone(), (..., slice(top, bottom), slice(left, right))
    mixed[inside] = partner(images[inside] if shrink is None else resize(images, (bottom - top, right - left), shrink))
    return mixed


def resize_into(images: Tensor, box: Tensor, mode: str = "nearest") -> Tensor:
    """Each whole image resized into its box; outside the box the border repeats and is meant to be masked.

    Args:
        images: (N, C, H, W). box: (N or 1, 4). mode: ``"nearest"`` or ``"bilinear"``, sampled as ``F.interpolate``
            does (``align_corners=False``, no antialiasing).
    """
    return _sample(images, box, images.shape[2:], mode)


def _sample(images: Tensor, box: Tensor, size: Sequence[int], mode: str) -> Tensor:
    """A picture of ``size`` (height, width) that shows each whole image in its box."""
    wide = images if images.dtype == torch.float64 else images.float()  # half precision cannot name the pixels
    top, bottom, left, right = box[..., None].unbind(-2)
    points = []  # where to read, in [-1, 1] from edge to edge
    for count, side, low, high in zip(size, images.shape[2:], (top, left), (bottom, right), strict=True):
        pixel, length = torch.arange(count, device=box.device) - low, (high - low).clamp(min=1)
        at = pixel * side // length + 0.5 if mode == "nearest" else (pixel + 0.5) * side / length
        points.append(at.to(wide.dtype) * (2 / side) - 1)
    rows, columns = points
    grid = torch.stack(torch.broadcast_tensors(columns[:, None, :], rows[:, :, None]), -1)
    grid = grid.expand(len(images), -1, -1, -1)
    return F.grid_sample(wide, grid, mode, padding_mode="border", align_corners=False).to(images.dtype)


def resize(images: Tensor, size: Sequence[int], mode: str = "nearest") -> Tensor:
    """The same numbers as :func:`resize_into` a box of ``size`` (height, width): (N, C, height, width).

    ``F.interpolate`` rounds otherwise where a pixel is between two, by a float scale instead of whole numbers.
    """
    if mode != "nearest":
        box = torch.tensor([[0, size[0], 0, size[1]]], device=images.device)
        return _sample(images, box, size, mode)
    rows, columns = (torch.arange(new, device=images.device) * old // max(new, 1)
                     for new, old in zip(size, images.shape[2:], strict=True))
    indices = (rows[:, None] * images.shape[3] + columns).flatten()
    planes = images.flatten(2).flatten(0, 1)
    return planes.gather(1, indices.expand(len(planes), -1)).view(*images.shape[:2], *size)


def ranks_to_mask(score: Tensor, count: Tensor, soft: Tensor | None = None) -> Tensor:
    """1 at the ``count`` highest scores of each row, exactly as many also where scores tie.

    Args:
        score: (K, L). count: (K,) int64. soft: (K,) int64, half the width in ranks of a linear ramp around the
            threshold; the sum stays ``count`` where ``soft`` exceeds neither ``count`` nor ``L - count``.

    Returns:
        (K, L) bool, or float32 with ``soft``.
    """
    rank = torch.arange(score.shape[1], device=score.device)
    value = rank < count[:, None]
    if soft is not None:
        value = ((count[:, None] - rank - 0.5) / (2 * soft[:, None]).clamp(min=1) + 0.5).clamp(0, 1)
    order = score.argsort(1, descending=True)
    return value.new_empty(order.shape).scatter_(1, order, value)


def class_activation(features: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Class activation maps of Zhou et al., CVPR 2016, arXiv 1512.04150: (N, h, w).

    Args:
        features: (N, C, h, w), whose mean a linear classifier reads. weight: of the classifier, (classes, C), without
            its bias. labels: class indices (N,) or probabilities (N, classes): which class, or mean of classes.
    """
    chosen = weight[labels.long()] if labels.ndim == 1 else labels.to(weight.dtype) @ weight
    return (features * chosen[:, :, None, None]).sum(1)


def constant(make: Callable, like: Tensor, *numbers) -> Tensor:
    """``make(*numbers, device)`` on the device of ``like``, made once and kept: tables that depend on sizes alone.

    Made outside of autocast: they have one precision, in whatever context they are first needed.
    Made anew while torch.compile traces, and for fake tensors, which must not be met again outside.
    """
    known = not torch.compiler.is_compiling() and type(like) is Tensor
    return (_kept_constant if known else _constant)(make, like.device, *numbers)


def _constant(make, device, *numbers):
    kind = torch.device(device).type
    in_full = contextlib.nullcontext() if kind == "meta" else torch.autocast(kind, enabled=False)
    with torch.inference_mode(False), in_full:
        return make(*numbers, device)


_kept_constant = lru_cache(maxsize=None)(_constant)  # never dropped: a captured graph may read them
