"""An embedded data set: ten shapes, made on the spot, nothing to download."""
import math

import torch
from torch import Tensor

from ..checks import check_count
from ..sampling import keyed_generator, uniform
from .arrays import ArrayData
from .splits import source_split

SIDE = 32
CLASSES = ("disc", "ring", "square", "frame", "triangle", "bar", "cross", "star", "half_disc", "crescent")
STREAMS = dict(train=1, test=2)


def signed_distance(kind: str, u: Tensor, v: Tensor) -> Tensor:
    """Approximate distance of a point (u, v) from a shape of radius 1 around 0; negative inside."""
    radius = (u * u + v * v).sqrt()
    if kind == "disc":
        return radius - 0.9
    if kind == "ring":
        return (radius - 0.72).abs() - 0.2
    if kind == "square":
        return torch.maximum(u.abs(), v.abs()) - 0.75
    if kind == "frame":
        return (torch.maximum(u.abs(), v.abs()) - 0.65).abs() - 0.17
    if kind == "triangle":
        return torch.maximum(-v - 0.5, math.sqrt(0.75) * u.abs() + 0.5 * v - 0.5)
    if kind == "bar":
        return torch.maximum(u.abs() - 1, v.abs() - 0.28)
    if kind == "cross":
        arms = torch.maximum(u.abs() - 0.95, v.abs() - 0.25), torch.maximum(u.abs() - 0.25, v.abs() - 0.95)
        return torch.minimum(*arms)
    if kind == "star":
        return radius - (0.68 + 0.32 * torch.cos(5 * torch.atan2(v, u)))
    if kind == "half_disc":
        return torch.maximum(radius - 0.95, v + 0.2)
    return torch.maximum(radius - 0.95, 0.75 - ((u - 0.45) ** 2 + v * v).sqrt())  # crescent


def coverage(kind: str, n: int, generator) -> Tensor:
    """Coverage in [0, 1], (n, 1, SIDE, SIDE), of ``n`` shapes of random position, size, angle and aspect."""
    grid = torch.arange(SIDE, dtype=torch.float32)
    cy, cx = uniform(11, SIDE - 12, (2, n, 1, 1), generator)
    size = uniform(7, 11, (n, 1, 1), generator)
    angle = uniform(-0.6, 0.6, (n, 1, 1), generator)
    aspect = uniform(0.8, 1.25, (n, 1, 1), generator)
    dy, dx = (grid[:, None] - cy) / size, (grid[None, :] - cx) / size
    u = (angle.cos() * dx + angle.sin() * dy) * aspect
    v = (angle.cos() * dy - angle.sin() * dx) / aspect
    return (0.5 - signed_distance(kind, u, v) * size).clamp(0, 1)[:, None]


def clutter(n: int, generator) -> Tensor:
    """Coverage (n, 1, SIDE, SIDE) of a thin stroke anywhere: it may cross the shape."""
    grid = torch.arange(SIDE, dtype=torch.float32)
    cy, cx = uniform(0, SIDE, (2, n, 1, 1), generator)
    angle = uniform(0, math.pi, (n, 1, 1), generator)
    length, width = uniform(3, 9, (n, 1, 1), generator), uniform(0.6, 1.8, (n, 1, 1), generator)
    dy, dx = grid[:, None] - cy, grid[None, :] - cx
    along, across = angle.cos() * dx + angle.sin() * dy, angle.cos() * dy - angle.sin() * dx
    return (0.5 - torch.maximum(along.abs() - length, across.abs() - width)).clamp(0, 1)[:, None]


def background(n: int, generator) -> Tensor:
    """Smooth coloured backgrounds (n, 3, SIDE, SIDE): a random 4 x 4 image, enlarged."""
    coarse = uniform(0, 1, (n, 3, 1, 1), generator) * 0.6 + uniform(0, 0.4, (n, 3, 4, 4), generator)
    return torch.nn.functional.interpolate(coarse, SIDE, mode="bilinear", align_corners=True)


def draw_images(kind: str, n: int, generator) -> Tensor:
    """``n`` images of one class, uint8 (n, 3, SIDE, SIDE): background, stroke, shape, a stroke over it, noise."""
    image = background(n, generator)
    image = torch.lerp(image, uniform(0, 1, (n, 3, 1, 1), generator), clutter(n, generator))
    # a colour at some distance from the background, lighter or darker in each channel
    middle = image.mean((2, 3), keepdim=True)
    away = torch.where(middle < 0.5, 1.0, -1.0) * uniform(0.25, 0.6, (n, 3, 1, 1), generator)
    image = torch.lerp(image, middle + away, coverage(kind, n, generator))
    image = torch.lerp(image, uniform(0, 1, (n, 3, 1, 1), generator), clutter(n, generator))
    strength = uniform(0.02, 0.15, (n, 1, 1, 1), generator)
    image += strength * uniform(-1, 1, image.shape, generator)
    return (image * 255).round_().clamp_(0, 255).to(torch.uint8)


class Shapes(ArrayData):
    """Ten classes of shapes, 32 x 32, in random colours, sizes, positions and angles under clutter and noise.

    For trials and tests where no data set is at hand: its numbers compare with nothing
    published. A small ResNet needs some epochs for it.

    Args:
        split: ``"train"``, ``"test"``, or ``"val"`` with ``val_size``; drawn from streams of their own.
        num_images: of the split ("train" before ``val_size`` are taken); 10,000 for training, 2,000 for testing.
        seed: another seed makes another set.
    """

    floats = False
    name = "Shapes"
    mean, std = (0.5, 0.5, 0.5), (0.228, 0.228, 0.228)

    def __init__(self, split="train", val_size=0, *, num_images=None, seed=0):
        source = source_split(split, val_size)
        n = num_images if num_images is not None else dict(train=10_000, test=2_000)[source]
        n = check_count("num_images", n, len(CLASSES), ", one of each class")
        generator = keyed_generator(check_count("seed", seed, 0), STREAMS[source])
        labels = torch.arange(n) % len(CLASSES)
        images = torch.empty(n, 3, SIDE, SIDE, dtype=torch.uint8)
        for k, kind in enumerate(CLASSES):
            images[k::len(CLASSES)] = draw_images(kind, len(labels[k::len(CLASSES)]), generator)
        super().__init__(images, labels, CLASSES, split=split, val_size=val_size)
