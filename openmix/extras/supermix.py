"""SuperMix: Dabouei et al., "SuperMix: Supervising the Mixing Data Augmentation", CVPR 2021, arXiv 2003.05034.

Mixtures are optimised against a teacher, which takes some hundred passes a batch: a data set is made of them once, and
a student trains on that, with the teacher's logits as targets (``Distill``).
"""
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import sampling
from ..checks import number
from ..corruptions.maths import blur

CLAMP = (1e-4, 2000.0)  # of the length of a step


class Mixtures(NamedTuple):
    """N mixtures of K images each."""

    images: Tensor  # (N, C, H, W)
    masks: Tensor  # (N, K, H, W), the share of each image in each pixel; they sum to 1
    label: Tensor  # (N, K) int64, what the teacher predicts of each image
    weight: Tensor  # (N, K), how much of each label the teacher is to see in the mixture
    solved: Tensor  # (N,) bool, whether it does: its most likely classes are these


def pixel_masks(logits: Tensor, size) -> Tensor:
    """Masks (N, K, H, W) that sum to 1 over K, of mask logits (N, K, w, w)."""
    masks = torch.sigmoid(F.interpolate(logits, size=tuple(size), mode="bilinear"))
    return masks / masks.sum(1, keepdim=True)


def divergence(target: Tensor, logits: Tensor) -> Tensor:
    """KL(target || softmax(logits)) of each row, (N,)."""
    return (torch.special.xlogy(target, target) - target * logits.log_softmax(1)).sum(1)


def agrees(logits: Tensor, target: Tensor) -> Tensor:
    """Whether the classes of ``target`` (N, C), those above 0, are the most likely ones: (N,) bool."""
    wanted = target > 0
    rank = logits.argsort(dim=1, descending=True, stable=True).argsort(1)
    return ((rank < wanted.sum(1, keepdim=True)) | ~wanted).all(1)


def newton_step(gradient: Tensor, loss: Tensor, sigma: float) -> Tensor:
    """``loss / <g, h> * h``, h the gradient blurred by a Gaussian of five taps: there a linear loss would be 0.

    Args:
        gradient: g (N, K, w, w). loss: (N,). sigma: of the Gaussian, in cells.
    """
    direction = blur(gradient, sigma, truncate=2 / sigma)
    slope = (gradient * direction).flatten(1).sum(1)
    length = (loss / slope).nan_to_num(CLAMP[1], CLAMP[1], CLAMP[0]).clamp(*CLAMP)
    return length[:, None, None, None] * direction


def supermix(teacher, images: Tensor, generator: torch.Generator | None = None, *, alpha: float = 3.0, grid: int = 16,
             sigma: float = 1.0, sparsity: float = 25.0, iterations: int = 50) -> Mixtures:
    """Mix images by masks with which a teacher sees as much of each image as was drawn.

    The weights are Dirichlet(alpha) and the labels what the teacher predicts of the images. A mask has ``grid`` x
    ``grid`` logits, all 0 at first. Each iteration goes a step of :func:`newton_step` down the loss
    ``KL(target || teacher(mixture)) + sparsity * mean |m (m - 1)|``. A mixture is left alone from then on when its
    labels are the teacher's most likely classes. Nothing is read back from the device.

    Args:
        teacher: a network in eval mode, images (N, C, H, W) -> logits. images: (N, K, C, H, W), as the teacher takes
            them. iterations: passes through the teacher, forward and back.

    Raises:
        ValueError: an option out of its range, images of another shape.
    """
    alpha, sigma = sampling.check_alpha(alpha), number("sigma", sigma, above=True)
    grid, iterations = (number(name, value, 1, whole=True) for name, value in (("grid", grid),
                                                                               ("iterations", iterations)))
    if images.ndim != 5 or images.shape[1] < 2:
        raise ValueError(f"images must be (N, K, C, H, W), K of them for each mixture, got {tuple(images.shape)}")
    (n, inputs), size = images.shape[:2], images.shape[3:]
    with torch.no_grad():
        logits = teacher(images.flatten(0, 1)).float()
        label = logits.argmax(1).view(n, inputs)
        weight = sampling.gamma(alpha, (n, inputs), generator).to(images.device)
        weight = weight / weight.sum(1, keepdim=True)
        target = torch.zeros(n, logits.shape[1], device=images.device).scatter_add_(1, label, weight)
    masks, unsolved = images.new_zeros(n, inputs, grid, grid), torch.ones(n, dtype=torch.bool, device=images.device)
    for _ in range(iterations):
        masks = masks.detach().requires_grad_()
        with torch.enable_grad():
            shares = pixel_masks(masks, size)
            logits = teacher((shares[:, :, None] * images).sum(1)).float()
            loss = divergence(target, logits) + sparsity * (shares * (shares - 1)).abs().flatten(1).mean(1)
            (gradient,) = torch.autograd.grad(loss.sum(), masks)
        unsolved = unsolved & ~agrees(logits.detach(), target)
        step = newton_step(gradient, loss.detach(), sigma)
        masks = masks.detach() - torch.where(unsolved[:, None, None, None], step, 0.0)
    with torch.no_grad():
        shares = pixel_masks(masks, size)
        mixed = (shares[:, :, None] * images).sum(1)
        return Mixtures(mixed, shares, label, weight, ~unsolved | agrees(teacher(mixed).float(), target))
