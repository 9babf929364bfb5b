"""The 15 families of common corruptions in five severities, on whole batches and their device.

Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019,
arXiv 1903.12261, with the strengths of CIFAR-10-C for images of 32 pixels. Images differ from that published data set
in their random numbers, and where it used programs and photographs that are replaced here: frost (photographs of ice)
and fog (diamond-square) have fractal noise, glass blur moves pixels at once instead of swapping them one by one, and
JPEG is its quantisation of 8 x 8 cosine coefficients. Errors on the two are not the same number.
"""
import torch
from torch import Tensor

from ..errors import did_you_mean
from . import blurs, pixels, weather
from .family import Family

FAMILIES: dict[str, Family] = dict(
    gaussian_noise=pixels.gaussian_noise, shot_noise=pixels.shot_noise, impulse_noise=pixels.impulse_noise,
    defocus_blur=blurs.defocus_blur, glass_blur=blurs.glass_blur, motion_blur=blurs.motion_blur,
    zoom_blur=blurs.zoom_blur, snow=weather.snow, frost=weather.frost, fog=weather.fog, brightness=pixels.brightness,
    contrast=pixels.contrast, elastic_transform=blurs.elastic_transform, pixelate=pixels.pixelate,
    jpeg_compression=pixels.jpeg_compression)
SEVERITIES = (1, 2, 3, 4, 5)


def corrupt(images: Tensor, name: str, severity: int, generator: torch.Generator | None = None) -> Tensor:
    """Corrupted images, in whole grey levels.

    Args:
        images: (N, C, H, W) float, pixels in [0, 1].
        name: a key of :data:`FAMILIES`. severity: 1 to 5.
        generator: on the CPU. Each image takes as many numbers as any other, so the cut into batches does not matter.

    Returns:
        (N, C, H, W) float32 in [0, 1].

    Raises:
        ValueError: unknown name or severity.
    """
    if name not in FAMILIES:
        raise ValueError(f"unknown corruption {name!r}; {did_you_mean(name, FAMILIES)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be one of {SEVERITIES}, got {severity!r}")
    strengths, draws, apply = FAMILIES[name]
    u = torch.rand(len(images), draws(*images.shape[1:]), generator=generator).to(images.device)
    changed = apply(images.float(), strengths[severity - 1], u)
    return (255 * changed.clamp(0, 1)).round() / 255
