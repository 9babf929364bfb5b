"""What several families share."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor


def normal(u: Tensor) -> Tensor:
    """Standard normal numbers from uniform ones in [0, 1)."""
    return torch.special.ndtri(u.clamp(1e-7, 1 - 1e-7))


def gaussian(sigma: float, truncate: float = 4.0, device=None) -> Tensor:
    """(2 r + 1,) weights of a Gaussian, r = truncate * sigma rounded."""
    reach = int(truncate * sigma + 0.5)
    x = torch.arange(-reach, reach + 1, device=device)
    weights = torch.exp(-x.square() / (2 * max(sigma, 1e-9)**2))
    return weights / weights.sum()


def convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """Each channel convolved with ``kernel`` (k, l), both odd; edge pixels are repeated."""
    k, n = kernel.shape
    padded = F.pad(images, (n // 2, n // 2, k // 2, k // 2), mode="replicate")
    return F.conv2d(padded.flatten(0, 1)[:, None], kernel[None, None]).view(images.shape)


def blur(images: Tensor, sigma: float, truncate: float = 4.0) -> Tensor:
    """Gaussian blur."""
    weights = gaussian(sigma, truncate, images.device)
    return convolve(convolve(images, weights[:, None]), weights[None])


def grid(images: Tensor) -> tuple[Tensor, Tensor]:
    """Row (H, 1) and column (1, W) of each pixel."""
    height, width = images.shape[2:]
    return (torch.arange(height, device=images.device)[:, None], torch.arange(width, device=images.device)[None])


def take(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The pixels at whole rows and columns (N, H, W); edge pixels are repeated."""
    height, width = images.shape[2:]
    flat = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return images.flatten(2).gather(2, flat.flatten(1)[:, None].expand(-1, images.shape[1], -1)).view(images.shape)


def sample(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Bilinear values at rows and columns (N, H, W), mirrored at the edges."""
    height, width = images.shape[2:]
    positions = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
    return F.grid_sample(images, positions, mode="bilinear", padding_mode="reflection", align_corners=True)


def zoom(images: Tensor, factor: float) -> Tensor:
    """The centre, enlarged to the size of the images."""
    (y, x), (height, width) = grid(images), images.shape[2:]
    y, x = (height - 1) / 2 * (1 - 1 / factor) + y / factor, (width - 1) / 2 * (1 - 1 / factor) + x / factor
    return sample(images, *(v.expand(len(images), height, width) for v in (y, x)))


def motion(images: Tensor, radius: int, sigma: float, angle: Tensor) -> Tensor:
    """Blur along a line from each pixel: half a Gaussian of 2 * radius + 1 pixels. ``angle`` is (N,) radians."""
    weights = torch.exp(-torch.arange(2 * radius + 1).square() / (2 * sigma**2))
    (y, x), total = grid(images), torch.zeros_like(images)
    for i, weight in enumerate((weights / weights.sum()).tolist()):
        if weight > 1e-6:
            down, right = ((i * f(angle)).round().long()[:, None, None] for f in (torch.sin, torch.cos))
            total += weight * take(images, *torch.broadcast_tensors(y + down, x + right))
    return total


def octaves(height: int, width: int) -> list[int]:
    """Sides of the lattices of :func:`fractal`: 3, 5, 9 ... up to the size of the images."""
    return [2**k + 1 for k in range(1, max(2, math.ceil(math.log2(max(height, width)))) + 1)]


def fractal(u: Tensor, height: int, width: int, decay: float) -> Tensor:
    """Cloudy noise (N, 1, H, W) from 0 to 1: lattices of uniform noise, each ``decay``² weaker and twice as fine."""
    total, start = 0, 0
    for k, side in enumerate(octaves(height, width)):
        lattice = u[:, start:start + side**2].view(-1, 1, side, side)
        start += side**2
        total = total + decay**(-2 * k) * F.interpolate(lattice, (height, width), mode="bilinear", align_corners=True)
    low, high = total.amin((1, 2, 3), keepdim=True), total.amax((1, 2, 3), keepdim=True)
    return (total - low) / (high - low).clamp(min=1e-12)


def fractal_draws(height: int, width: int) -> int:
    """How many uniform numbers :func:`fractal` takes."""
    return sum(side**2 for side in octaves(height, width))


def grey(images: Tensor) -> Tensor:
    """Luminance (N, 1, H, W) of colours; of other images the mean of the channels."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    return (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
