"""The toy distributions of the mixup paper's GAN (arXiv 1710.09412, section 3.8), and how well points cover them."""
import math

import torch
from torch import Tensor

STD = 0.01  # of each Gaussian


def centres(data: str) -> Tensor:
    """Means of the Gaussians: ``"ring"`` (8, 2) on the unit circle, ``"grid"`` (25, 2) from -1 to 1.

    Raises:
        ValueError: another name.
    """
    if data == "ring":
        angle = torch.arange(8) * (math.tau / 8)
        return torch.stack([angle.cos(), angle.sin()], 1)
    if data == "grid":
        return torch.cartesian_prod(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 5))
    raise ValueError(f"data must be 'ring' or 'grid', got {data!r}")


def sample(means: Tensor, n: int, generator=None) -> Tensor:
    """``n`` points (n, 2) of the mixture with equal weights around ``means`` (K, 2)."""
    which = torch.randint(len(means), (n,), generator=generator)
    return means[which] + STD * torch.randn(n, 2, generator=generator)


def coverage(points: Tensor, means: Tensor) -> dict:
    """How well ``points`` (n, 2) cover the Gaussians around ``means``.

    Returns:
        ``modes``: Gaussians with at least 0.8 % of the points (20 of 2,500) within 3 standard deviations. ``good``:
        share of the points that are within 3 of any. ``distance``: mean distance to the nearest mean.
    """
    distance, nearest = torch.cdist(points, means).min(1)
    close = distance <= 3 * STD
    counts = nearest[close].bincount(minlength=len(means))
    return dict(modes=int((counts >= 0.008 * len(points)).sum()), good=float(close.float().mean()),
                distance=float(distance.mean()))
