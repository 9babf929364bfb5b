"""Corruptions that move light: four blurs and elastic deformation. Lengths are in pixels."""
import math

import torch

from .family import family
from .maths import blur, convolve, gaussian, grid, motion, sample, take, zoom


@family((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
def defocus_blur(images, strength, u):
    """A disk of this radius, softened by a 3 x 3 Gaussian."""
    radius, sigma = strength
    y, x = (torch.arange(-3, 4, device=images.device).view(shape) for shape in ((-1, 1), (1, -1)))
    disk = (y.square() + x.square() <= radius**2).float()
    weights = gaussian(sigma, 1.4 / sigma, images.device)  # one pixel to each side
    return convolve(images, convolve((disk / disk.sum())[None, None], weights[:, None] * weights)[0, 0])


@family((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2), draws=lambda c, h, w: 2 * 2 * h * w)
def glass_blur(images, strength, u):
    """Between two blurs, each pixel takes the value of one up to a pixel above and left, so many times."""
    sigma, times = strength
    steps = (u.view(-1, 2, 2, *images.shape[2:]) * 2).long() - 1
    images, (y, x) = blur(images, sigma), grid(images)
    for down, right in (steps[:, i].unbind(1) for i in range(times)):
        images = take(images, y + down, x + right)
    return blur(images, sigma)


@family((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5), draws=lambda c, h, w: 1)
def motion_blur(images, strength, u):
    """Along a line of -45 to 45 degrees."""
    radius, sigma = strength
    return motion(images, radius, sigma, (u[:, 0] - 0.5) * math.pi / 2)


@family(6, 11, 16, 21, 26)
def zoom_blur(images, count, u):
    """The mean of the image and of enlargements by 1, 1.01, 1.02 ..., so many."""
    return (images + sum(zoom(images, 1 + k / 100) for k in range(count))) / (count + 1)


@family((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03),
        draws=lambda c, h, w: 6 + 2 * h * w)
def elastic_transform(images, strength, u):
    """A random affine map, then displacements that are smooth; all as shares of the image's side.

    Strengths: size and smoothness of the displacements, and the reach of the three points that define the map.
    """
    (height, width), (size, sigma, reach), (y, x) = images.shape[2:], strength, grid(images)
    side, middle, third = min(height, width), (height // 2, width // 2), min(height, width) // 3
    points = images.new_tensor([[middle[0] + a * third, middle[1] + b * third] for a, b in ((1, 1), (1, -1), (-1, -1))])
    moved = points + (2 * u[:, :6].view(-1, 3, 2) - 1) * reach * side
    back = torch.linalg.solve(torch.cat([moved, torch.ones_like(moved[:, :, :1])], 2), points.expand_as(moved))
    positions = back[:, 0, :, None, None] * y + back[:, 1, :, None, None] * x + back[:, 2, :, None, None]
    images = sample(images, *positions.unbind(1))
    if not size:
        return images
    noise = 2 * u[:, 6:].view(-1, 2, height, width) - 1
    down, right = (size * side * blur(noise, sigma * side, truncate=3)).unbind(1)
    return sample(images, y + down, x + right)
