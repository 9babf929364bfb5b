"""Corruptions by weather: snow, frost and fog."""
import math

import torch

from .family import family
from .maths import fractal, fractal_draws, grey, motion, normal, zoom


@family((0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85), (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8), draws=lambda c, h, w: h * w + 1)
def snow(images, strength, u):
    """Flakes of enlarged normal noise above a threshold, falling; the image is paler.

    Strengths: mean, deviation and enlargement of the noise, threshold, radius and sigma of the motion, share of the
    image's own colours.
    """
    mean, deviation, larger, threshold, radius, sigma, share = strength
    flakes = zoom(mean + deviation * normal(u[:, 1:]).view(-1, 1, *images.shape[2:]), larger)
    flakes = torch.where(flakes < threshold, 0.0, flakes).clamp(0, 1)
    flakes = motion(flakes, radius, sigma, -math.pi / 4 - u[:, 0] * math.pi / 2)
    pale = torch.maximum(images, 1.5 * grey(images) + 0.5)
    return share * images + (1 - share) * pale + flakes + flakes.flip(2, 3)


@family((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45), draws=lambda c, h, w: fractal_draws(h, w))
def frost(images, strength, u):
    """Ice over the image: shares of the two. The ice is ridged fractal noise, not a photograph."""
    own, ice = strength
    ridges = 1 - (2 * fractal(u, *images.shape[2:], decay=1.3) - 1).abs()
    return own * images + ice * ridges


@family((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75), draws=lambda c, h, w: fractal_draws(h, w))
def fog(images, strength, u):
    """Fractal noise is added, and the brightest pixel stays as bright. Strengths: how much, and how smooth."""
    more, decay = strength
    brightest = images.amax((1, 2, 3), keepdim=True)
    return (images + more * fractal(u, *images.shape[2:], decay)) * brightest / (brightest + more)
