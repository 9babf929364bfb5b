"""Pure tensor maths: no randomness, no state, any device. Images are (N, C, H, W), H before W."""
import torch
from torch import Tensor


def boxes(lam: Tensor, centre: Tensor, size) -> Tensor:
    """CutMix boxes of area share ``1 - lam`` around ``centre``, clipped to the image.

    Args:
        lam: (...,) share kept of the first image. centre: (..., 2) row and column. size: (H, W).

    Returns:
        (..., 4) int64: top, bottom, left, right (ends excluded). Sides are floor(side * sqrt(1 - lam)), an odd side
        loses one pixel, as in the paper's code.
    """
    sides = torch.tensor(tuple(size), device=centre.device)
    half = ((1 - lam).clamp(min=0).sqrt()[..., None] * sides).floor().long() // 2
    low, high = (centre - half).clamp(min=0), torch.minimum(centre + half, sides)
    return torch.stack([low[..., 0], high[..., 0], low[..., 1], high[..., 1]], -1)


def box_mask(box: Tensor, size) -> Tensor:
    """True outside the boxes (K, 4), i.e. what is kept of the first image: (K, 1, H, W) bool."""
    rows, columns = (torch.arange(side, device=box.device) for side in size)
    top, bottom, left, right = box[..., None].unbind(-2)
    inside_rows = (rows >= top) & (rows < bottom)
    inside_columns = (columns >= left) & (columns < right)
    return ~(inside_rows[:, None, :, None] & inside_columns[:, None, None, :])


def box_area(box: Tensor) -> Tensor:
    """Pixels inside boxes (..., 4): (...,) int64."""
    top, bottom, left, right = box.unbind(-1)
    return (bottom - top) * (right - left)


def blend(images: Tensor, partner: Tensor, mask: Tensor) -> Tensor:
    """``mask * images + (1 - mask) * partner``; a bool mask moves pixels and works for integer images too."""
    if mask.dtype == torch.bool:
        return torch.where(mask, images, partner)
    return torch.lerp(partner, images, mask.to(images.dtype))
