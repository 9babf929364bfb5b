"""The operations of AugMix on batches of 8-bit images, each image with an operation and a strength of its own.

Hendrycks et al., ICLR 2020, arXiv 1912.02781. The operations are Pillow's: affine maps are about the same points, read
black outside, and each result is rounded to 8 bits. Images are float tensors (K, C, H, W) of whole numbers 0 ... 255,
strengths (K,).
"""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

OPERATIONS = ("autocontrast", "equalize", "posterize", "solarize", "rotate", "shear_x", "shear_y", "translate_x",
              "translate_y")
ROTATION, SHEAR, SHIFT = 30.0, 0.3, 1 / 3  # at strength 10: degrees, slope, share of the side


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched to 0 ... 255; a channel of one value stays."""
    wide = images.double()  # the result is cut to whole numbers, so it depends on the last digit
    low, high = wide.amin((2, 3), keepdim=True), wide.amax((2, 3), keepdim=True)
    scale = low.new_full((), 255.0) / (high - low).clamp(min=1)  # a number over a tensor would be a rounded inverse
    stretched = (wide * scale - low * scale).floor().clamp(0, 255)
    return torch.where(high > low, stretched, wide).to(images.dtype)


def equalize(images: Tensor) -> Tensor:
    """Each channel with a histogram as level as whole numbers allow."""
    values = images.flatten(2).flatten(0, 1).long()
    counts = images.new_zeros(len(values), 256).scatter_add(1, values, torch.ones_like(values, dtype=images.dtype))
    highest = counts.gather(1, values.amax(1, keepdim=True))
    step = ((values.shape[1] - highest) / 255).floor()
    below = counts.cumsum(1) - counts
    table = ((below + (step / 2).floor()) / step.clamp(min=1)).floor().clamp(0, 255)
    return torch.where(step > 0, table.gather(1, values), values.to(images.dtype)).view_as(images)


def posterize(images: Tensor, strength: Tensor) -> Tensor:
    """The 4 highest bits of each pixel, fewer with more strength."""
    width = 2.0 ** (4 + (strength * 0.4).floor()).view(-1, 1, 1, 1)
    return (images / width).floor() * width


def solarize(images: Tensor, strength: Tensor) -> Tensor:
    """Pixels above a threshold inverted."""
    threshold = 256 - (strength * 25.6).floor().view(-1, 1, 1, 1)
    return torch.where(images < threshold, images, 255 - images)


def matrices(operation: Tensor, strength: Tensor, size) -> Tensor:
    """Where each pixel is read, x' = a x + b y + c and y' = d x + e y + f from the upper left corner: (K, 2, 3).

    Args:
        operation: (K,) int64, indices into OPERATIONS; those that move nothing get the identity. strength: signed (K,).
    """
    height, width = size
    zero, one = torch.zeros_like(strength), torch.ones_like(strength)

    def only(name, value, other=zero):
        return torch.where(operation == OPERATIONS.index(name), value, other)

    angle = only("rotate", -(strength * ROTATION / 10).trunc() * (math.pi / 180))
    cos, sin = angle.cos(), angle.sin()
    slope = strength * SHEAR / 10
    right, down = ((strength * side * SHIFT / 10).trunc() for side in (width, height))
    x = [cos, sin + only("shear_x", slope), (one - cos) * width / 2 - sin * height / 2 + only("translate_x", right)]
    y = [only("shear_y", slope) - sin, cos, (one - cos) * height / 2 + sin * width / 2 + only("translate_y", down)]
    return torch.stack([torch.stack(x, -1), torch.stack(y, -1)], -2)


def affine(images: Tensor, matrix: Tensor) -> Tensor:
    """Images read bilinearly at ``matrix`` (K, 2, 3) times the position of each pixel's middle, black outside."""
    height, width = images.shape[2:]
    row, column = (torch.arange(side, device=images.device) + 0.5 for side in (height, width))
    (a, b, c), (d, e, f) = (line[..., None, None].unbind(1) for line in matrix.unbind(1))
    x, y = a * column + b * row[:, None] + c, d * column + e * row[:, None] + f  # (K, H, W), in float32 under autocast
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    grid = torch.stack([x * (2 / width) - 1, y * (2 / height) - 1], -1)
    moved = F.grid_sample(images, grid, "bilinear", padding_mode="border", align_corners=False)
    return torch.where(inside[:, None], (moved + 1e-3).floor(), 0)


def apply(images: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Each image after its operation.

    Args:
        operation: (K,) int64, indices into OPERATIONS. strength: (K,) float from -10 to 10; the sign is a direction.
    """
    size = strength.abs()
    made = dict(autocontrast=autocontrast(images), equalize=equalize(images), posterize=posterize(images, size),
                solarize=solarize(images, size))
    result = affine(images, matrices(operation, strength, images.shape[2:]))
    for name, values in made.items():
        result = torch.where((operation == OPERATIONS.index(name)).view(-1, 1, 1, 1), values, result)
    return result
