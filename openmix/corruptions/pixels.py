"""Corruptions of single pixels or blocks: three noises, brightness, contrast, large pixels, JPEG."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .family import family
from .maths import grey, normal


def one_a_value(c: int, h: int, w: int) -> int:
    """Draws of a family that takes one uniform number for each value of an image."""
    return c * h * w


@family(0.04, 0.06, 0.08, 0.09, 0.10, draws=one_a_value)
def gaussian_noise(images, sigma, u):
    """Normal noise of this deviation."""
    return images + sigma * normal(u).view_as(images)


@family(500, 250, 100, 75, 50, draws=one_a_value)
def shot_noise(images, photons, u):
    """Poisson noise: white has so many photons."""
    return poisson(photons * images, u.view_as(images)) / photons


def poisson(rate: Tensor, u: Tensor) -> Tensor:
    """The least k with P(X <= k) >= u, X ~ Poisson(rate): exact counts from uniform numbers."""
    rate, z = rate.double(), normal(u).double()
    count = (rate + z * rate.sqrt() + (z.square() - 1) / 6).floor().clamp(min=0)  # off by a few at most

    def below(k):
        return torch.special.gammaincc((k + 1).clamp(min=1e-9), rate) < u  # P(X <= k), regularised gamma function
    for _ in range(3):
        count = count + below(count)
        count = count - ((count > 0) & ~below(count - 1)).double()
    return torch.where(rate > 0, count, 0).float()


@family(0.01, 0.02, 0.03, 0.05, 0.07, draws=one_a_value)
def impulse_noise(images, share, u):
    """This share of the values becomes 0 or 1, half each."""
    u = u.view_as(images)
    return torch.where(u < share / 2, 0.0, torch.where(u >= 1 - share / 2, 1.0, images))


@family(0.05, 0.1, 0.15, 0.2, 0.3)
def brightness(images, more, u):
    """So much is added to the value of hue, saturation and value."""
    value = images.amax(1, keepdim=True)
    brighter = (value + more).clamp(max=1)
    return torch.where(value > 0, images * (brighter / value.clamp(min=1e-12)), brighter)


@family(0.75, 0.5, 0.4, 0.3, 0.15)
def contrast(images, share, u):
    """Differences from the mean of each channel are reduced to this share."""
    mean = images.mean((2, 3), keepdim=True)
    return mean + share * (images - mean)


@family(0.95, 0.9, 0.85, 0.75, 0.65)
def pixelate(images, share, u):
    """Reduced to this share of the sides and enlarged again, by the areas of pixels."""
    height, width = images.shape[2:]
    small = resize(images, max(1, int(height * share)), max(1, int(width * share)))
    return resize(small, height, width)


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Each new pixel is the mean of what it covers."""
    rows, columns = (cover(old, new, images.device) for old, new in zip(images.shape[2:], (height, width), strict=True))
    return rows @ images @ columns.T


def cover(old: int, new: int, device=None) -> Tensor:
    """(new, old) share of each old pixel in each new one, along one side; rows sum to 1."""
    edges, left = torch.arange(new + 1, device=device) * (old / new), torch.arange(old, device=device)
    overlap = torch.minimum(edges[1:, None], left + 1) - torch.maximum(edges[:-1, None], left)
    return overlap.clamp(min=0) * (new / old)


# -- JPEG --------------------------------------------------------------------------------------------------------------

LUMA = (16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99)  # ITU-T T.81, annex K
CHROMA = (17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99)  # its corner; 99 elsewhere


@family(80, 65, 58, 50, 40)
def jpeg_compression(images, quality, u):
    """Cosine coefficients of 8 x 8 blocks, rounded to the steps of this JPEG quality; colours at half the size."""
    images = (255 * images).round()
    if images.shape[1] != 3:
        return quantise(images, table(quality, images.device, colour=False)) / 255
    luma, (red, _, blue) = grey(images), images.split(1, 1)
    luma = quantise(luma, table(quality, images.device, colour=False))
    chroma = torch.cat([(blue - grey(images)) / 1.772, (red - grey(images)) / 1.402], 1) + 128
    height, width = chroma.shape[2:]
    half = F.avg_pool2d(F.pad(chroma, (0, width % 2, 0, height % 2), mode="replicate"), 2)
    chroma = quantise(half, table(quality, images.device, colour=True))
    blue, red = (F.interpolate(chroma, scale_factor=2, mode="bilinear")[:, :, :height, :width] - 128).split(1, 1)
    red, blue = luma + 1.402 * red, luma + 1.772 * blue
    return torch.cat([red, (luma - 0.299 * red - 0.114 * blue) / 0.587, blue], 1) / 255


def table(quality: int, device, colour: bool) -> Tensor:
    """(8, 8) steps of the coefficients at a quality of 1 to 100."""
    steps = torch.tensor(LUMA, dtype=torch.float32).view(8, 8)
    if colour:
        steps = torch.full((8, 8), 99.0)
        steps[:4, :4] = torch.tensor(CHROMA, dtype=torch.float32).view(4, 4)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((steps * scale + 50) / 100).floor().clamp(1, 255).to(device)


def quantise(images: Tensor, steps: Tensor) -> Tensor:
    """Images of values from 0 to 255 after rounding the cosine coefficients of each 8 x 8 block."""
    n, c, height, width = images.shape
    k = torch.arange(8, device=images.device)
    basis = torch.cos(math.pi * k[:, None] * (2 * k + 1) / 16) / 2
    basis[0] /= math.sqrt(2)
    padded = F.pad(images, (0, -width % 8, 0, -height % 8), mode="replicate") - 128
    blocks = padded.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)  # (N, C, H / 8, W / 8, 8, 8)
    kept = ((basis @ blocks @ basis.T) / steps).round() * steps
    return ((basis.T @ kept @ basis).transpose(3, 4).reshape(padded.shape) + 128)[:, :, :height, :width].clamp(0, 255)
