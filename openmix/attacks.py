"""Adversarial examples: images that a network takes for another class, a few grey levels away.

Images are normalised, as the network takes them: (pixel / 255 - mean) / std. ``eps`` and ``step`` are in grey levels,
from 0 to 255. Parameters, their ``.grad``, buffers and the caller's images stay as they are; the caller sets the mode
of the network (evaluation).
"""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import number


class Pixels:
    """The range of pixel values, and grey levels, in units of normalised images.

    Args:
        mean, std: per channel, of pixels in [0, 1].
    """

    def __init__(self, mean, std, device=None):
        mean, std = (torch.as_tensor(v, dtype=torch.float32, device=device).flatten()[:, None, None]
                     for v in (mean, std))
        self.level = 1 / (255 * std)  # of one grey level, (C, 1, 1)
        self.low, self.high = (0 - mean) / std, (1 - mean) / std

    def near(self, images: Tensor, centre: Tensor, eps: float) -> Tensor:
        """``images`` moved into the box of ``eps`` grey levels around ``centre``, and to pixel values."""
        reach = eps * self.level
        return images.clamp(centre - reach, centre + reach).clamp(self.low, self.high)


def gradient_sign(net: Callable, images: Tensor, labels: Tensor) -> Tensor:
    """Sign of the gradient of the cross-entropy at ``images``."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        loss = F.cross_entropy(net(images).float(), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images)
    return gradient.sign()


def ifgsm(net: Callable, images: Tensor, labels: Tensor, pixels: Pixels, eps: float = 4.0, steps: int = 10,
          step: float | None = None, start: Tensor | None = None) -> Tensor:
    """Iterated fast gradient sign method: ``steps`` steps that increase the loss, each projected back.

    Kurakin et al., "Adversarial examples in the physical world", arXiv 1607.02533. With a random ``start`` it is
    projected gradient descent (PGD): Madry et al., arXiv 1706.06083.

    Args:
        net: images -> logits (N, C). images: (N, C, H, W), float. labels: (N,) class indices.
        eps: largest change of a pixel. step: change a step; ``eps / steps`` by default.
        start: change that the first step begins with, (N, C, H, W) in [-1, 1] as a share of ``eps``.

    Returns:
        (N, C, H, W), float32.
    """
    images = images.detach().float()
    step = eps / steps if step is None else step
    moved = images if start is None else pixels.near(images + start * (eps * pixels.level), images, eps)
    for _ in range(steps):
        moved = pixels.near(moved + step * pixels.level * gradient_sign(net, moved, labels), images, eps)
    return moved


def fgsm(net: Callable, images: Tensor, labels: Tensor, pixels: Pixels, eps: float = 4.0) -> Tensor:
    """Fast gradient sign method, one step of ``eps``: Goodfellow et al., arXiv 1412.6572; see :func:`ifgsm`."""
    return ifgsm(net, images, labels, pixels, eps, steps=1)


def check_eps(name: str, value) -> float:
    """A number of grey levels from 0 to 255. Raises ValueError for others."""
    return number(name, value, 0, 255)
