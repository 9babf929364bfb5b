"""OpenCV's fine-grained saliency, number for number, of batches and on any device.

Montabone & Soto, "Human detection using a mobile platform and novel features derived from a visual saliency mechanism",
Image and Vision Computing 28 (2010), as OpenCV's ``StaticSaliencyFineGrained`` computes it: in whole numbers, cut off
at every stage. Where several pixels share the greatest value, OpenCV's and torch's ``argmax`` take the first.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from .functional import constant

RADII = (12, 24, 28, 48, 56, 112)  # half the sides of the surroundings, in pixels
LUMINANCE = (9798, 19235, 3735)  # of red, green and blue, in 1/32768


def fine_grained(pixels: Tensor) -> Tensor:
    """Saliency of 8-bit images: (N, C, H, W) whole numbers 0 ... 255 -> (N, H, W) whole numbers in float32.

    Three channels are red, green and blue; of another number the mean is taken. What is brighter than its surroundings
    and what is darker have the same maximum 255, so that faint shadows count as much as a bright object. A pixel can be
    bright in its near and dark in its far surroundings: values above 255 are possible, for which OpenCV has no room.
    """
    grey = luminance(pixels)
    for _ in range(2):
        grey = (_three_by_three(grey) + 8) >> 4
    return _mixed(*_contrasts(grey, grey))


def float_bytes(images: Tensor) -> Tensor:
    """What OpenCV's detector makes of float images, which it does not know: (N, C, H, W) -> (N, H, W).

    It compares single bytes of the blurred floats with means of the floats. The first quarter of each row is all it
    reads, and the peak has little to do with the image. The first of three channels counts as blue.
    """
    images = images.float()
    grey = images.mean(1)
    if images.shape[1] == 3:
        grey = 0.114 * images[:, 0] + 0.587 * images[:, 1] + 0.299 * images[:, 2]
    for _ in range(2):
        grey = _three_by_three(grey) / 16
    parts = grey.contiguous().view(torch.uint8)[..., :grey.shape[2]]
    return _mixed(*_contrasts(grey, parts.int()))


def luminance(pixels: Tensor) -> Tensor:
    """(N, C, H, W) whole numbers -> (N, H, W) int32, rounded."""
    pixels = pixels.int()
    if pixels.shape[1] != 3:
        return pixels.float().mean(1).round().int()
    red, green, blue = (channel * weight for channel, weight in zip(pixels.unbind(1), LUMINANCE, strict=True))
    return (red + green + blue + (1 << 14)) >> 15


def _three_by_three(maps: Tensor) -> Tensor:
    """16 times the weighted mean (1, 2, 1) along both axes; the border is mirrored about its pixels."""
    for axis in (1, 2):
        side = maps.shape[axis]
        maps = maps.index_select(axis, constant(_mirrored, maps, side))
        before, here, after = (maps.narrow(axis, start, side) for start in range(3))
        maps = before + 2 * here + after
    return maps


def _mirrored(side: int, device) -> Tensor:
    """Pixels -1 ... side of a side that is mirrored about its first and last pixel."""
    near = torch.arange(-1, side + 1, device=device).abs()
    return torch.minimum(near, 2 * side - 2 - near).clamp(min=0)


def _contrasts(maps: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """How far ``centre`` is above and below the means of ``maps`` around it: (N, H, W), summed over all surroundings.

    Surroundings of radius r go from r - 1 pixels before to r pixels after. Each difference is cut off to a byte.
    """
    if maps.shape[1:] == (1, 1):  # no surroundings
        return torch.zeros_like(maps, dtype=torch.float32), torch.zeros_like(maps, dtype=torch.float32)
    whole = not maps.is_floating_point()
    dtype = torch.int32 if whole else torch.float32
    integral = F.pad(maps.cumsum(1, dtype=dtype).cumsum(2, dtype=dtype), (1, 0, 1, 0))
    here, on = centre.float(), torch.zeros(centre.shape, device=centre.device)
    off = torch.zeros_like(on)
    near = [radius for radius in RADII if radius < max(maps.shape[1:])]
    far = len(RADII) - len(near)  # the surroundings of these are the whole image
    for radius, times in [(radius, 1) for radius in near] + [(RADII[-1], far)] * (far > 0):
        top, bottom, left, right, count = constant(_windows, maps, *maps.shape[1:], radius)
        strip = integral.index_select(1, bottom) - integral.index_select(1, top)
        others = strip.index_select(2, right) - strip.index_select(2, left) - centre
        difference = (here - others.float() / count).trunc()
        for total, part in ((on, difference.clamp(min=0)), (off, difference.clamp(max=0).neg())):
            total.add_(part if whole else part % 256, alpha=times)
    return on, off


def _windows(height: int, width: int, radius: int, device) -> tuple[Tensor, ...]:
    """First row and last + 1 around each row, the same of columns, and how many other pixels there are, (H, W)."""
    edges = []
    for side in (height, width):
        pixel = torch.arange(side, device=device)
        edges += [(pixel - radius + 1).clamp(min=0), (pixel + radius + 1).clamp(max=side)]
    top, bottom, left, right = edges
    return *edges, ((bottom - top)[:, None] * (right - left) - 1).float()


def _mixed(on: Tensor, off: Tensor) -> Tensor:
    """Brightness and darkness relative to the surroundings, each cut off to 0 ... 255 of its maximum, added."""
    return sum((255 * (part / part.flatten(1).amax(1)[:, None, None].clamp(min=1)).double()).trunc().float()
               for part in (on, off))
