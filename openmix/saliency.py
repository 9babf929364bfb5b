"""Saliency filters of images, without a network."""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .functional import constant


def gaussian_blur(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian mean over the surroundings inside the map: (N, H, W) -> (N, H, W); ``sigma`` in pixels."""
    return _separable_means(maps, _bell, sigma)[0]


def _separable_means(maps: Tensor, weights: Callable, *numbers) -> Tensor:
    """R filters ``weights(side, *numbers)``, (R, side, side), along both axes: (N, H, W) -> (R, N, H, W).

    As matrix products: exact at the border, and faster than integral images up to 64 px.
    """
    rows, columns = (constant(weights, maps, side, *numbers).to(maps.dtype) for side in maps.shape[1:])
    with torch.autocast(maps.device.type, enabled=False):  # half precision would move maxima
        if len(maps) == 1:
            return (rows @ (maps @ columns.mT))[:, None]
        return torch.stack([row @ (maps @ column.mT) for row, column in zip(rows, columns, strict=True)])


def _bell(side: int, sigma: float, device) -> Tensor:
    """A Gaussian mean along one side, (1, side, side) float32."""
    return _normalised(torch.exp(_distance(side, device).float().square() / (-2 * sigma**2)))[None]


def _bell_and_windows(side: int, sigma: float, radii: tuple[int, ...], device) -> Tensor:
    """The Gaussian mean, and its means over windows: (1 + R, side, side)."""
    bell, distance = _bell(side, sigma, device), _distance(side, device)
    return torch.cat([bell, *(_normalised((distance <= radius).float()) @ bell for radius in radii)])


def _distance(side: int, device) -> Tensor:
    pixel = torch.arange(side, device=device)
    return (pixel[:, None] - pixel).abs()


def _normalised(weight: Tensor) -> Tensor:
    return F.threshold(weight / weight.sum(-1, keepdim=True), 1e-12, 0)  # denormals are very slow on CPU


def spectral_residual(grey: Tensor) -> Tensor:
    """Saliency of Hou & Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007: (N, H, W) -> (N, H, W).

    The log-amplitude spectrum less its smooth part, back in the image with the original phase, squared, blurred.
    The constant part of the image is left out, so that brightness does not count.
    """
    spectrum = torch.fft.fft2(grey - grey.mean((1, 2), keepdim=True))
    known = torch.ones_like(grey[:1])
    known[:, 0, 0] = 0
    log_amplitude = (spectrum.abs() + 1e-6).log() * known
    around = F.pad(torch.cat([log_amplitude, known])[:, None], (1, 1, 1, 1), mode="circular")
    mean = F.avg_pool2d(around, 3, 1)[:, 0]  # 3 x 3 frequencies, those next to the constant part have 8
    residual = torch.fft.ifft2(spectrum * (-mean[:-1] / mean[-1:]).exp())  # exp(log_amplitude - its mean + i phase)
    return gaussian_blur(residual.real.square(), 2.5 / 64 * max(grey.shape[1:]))


def centre_surround(grey: Tensor, radii=(12, 24, 28, 48, 56, 112), balanced: bool = False) -> Tensor:
    """Saliency of Montabone & Soto, Image and Vision Computing 28 (2010): (N, H, W) -> (N, H, W).

    Contrast of the slightly blurred image to the mean of square surroundings, summed over several radii (those of
    OpenCV's fine-grained saliency). ``balanced`` scales what is brighter (on) and what is darker (off) to equal maxima
    before they are added, as OpenCV does; faint shadows then count as much as a bright object.
    """
    near = tuple(radius for radius in radii if radius < max(grey.shape[1:]) - 1)  # windows of the others are the image
    grey = grey - grey.mean((1, 2), keepdim=True)  # so that rounding, too, knows no brightness
    means = _separable_means(grey, _bell_and_windows, 1.0, near)
    contrasts = means[:1] - means[1:]
    far = (means[0] - means[0].mean((1, 2), keepdim=True)) * (len(radii) - len(near))
    if not balanced:
        return contrasts.abs().sum(0) + far.abs()
    on = contrasts.clamp(min=0).sum(0) + far.clamp(min=0)
    parts = torch.stack([on, on - (contrasts.sum(0) + far)])  # exactly 0 where all contrasts are on: there are ties
    return (parts / parts.amax((2, 3), keepdim=True).clamp(min=1e-12)).sum(0)


def residual_amplitude(grey: Tensor) -> Tensor:
    """The spectral residual of GuidedMixup's code (arXiv 2306.16612): (N, H, W) -> (N, H, W), not blurred.

    Unlike :func:`spectral_residual` it keeps the constant part, repeats the border of the log-amplitude spectrum
    instead of wrapping it, and does not square.
    """
    with torch.autocast(grey.device.type, enabled=False):
        spectrum = torch.fft.fft2(grey)
        amplitude = (spectrum.abs().square() + 1e-10).sqrt()
        log = amplitude.log()
        mean = F.avg_pool2d(F.pad(log[:, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
        return torch.fft.ifft2(spectrum * ((log - mean).exp() / amplitude)).abs()


def blur_7(maps: Tensor) -> Tensor:
    """Gaussian mean of 7 x 7 pixels, sigma 3, the border mirrored about its pixels: (N, H, W) -> (N, H, W)."""
    return _separable_means(maps, _mirrored_taps, 3, 3.0)[0]


def _mirrored_taps(side: int, radius: int, sigma: float, device) -> Tensor:
    """A Gaussian mean of 2 radius + 1 pixels along one side, (1, side, side) float32."""
    tap = torch.arange(-radius, radius + 1, device=device)
    weight = torch.exp(tap.float().square() / (-2 * sigma**2))
    pixel = torch.arange(side, device=device)
    place = (pixel[:, None] + tap).abs() % max(2 * side - 2, 1)
    place = torch.minimum(place, 2 * side - 2 - place)
    return ((place[:, :, None] == pixel) * (weight / weight.sum())[:, None]).sum(1)[None]
