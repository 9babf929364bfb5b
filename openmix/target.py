"""The label side of every mixing method: example *i* is ``weight[i, k]`` of class ``label[i, k]``."""
from typing import NamedTuple

import torch
from torch import Tensor

from .functional import is_at_hand, read


class Target(NamedTuple):
    """Sparse soft labels.

    Attributes:
        label: classes, (N, K) int64.
        weight: how much of each, (N, K) float; rows usually sum to one.
    """

    label: Tensor
    weight: Tensor

    def dense(self, num_classes: int) -> Tensor:
        """Class probabilities (N, C), for losses that want one column a class."""
        zeros = self.weight.new_zeros(self.label.shape[0], num_classes)
        return zeros.scatter_add_(1, self.label, self.weight)

    def to(self, *args, **kwargs) -> "Target":
        """Both tensors moved to a device; a dtype concerns the weights alone."""
        weight = self.weight.to(*args, **kwargs)
        return Target(self.label.to(weight.device), weight)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", str(func))
        raise TypeError(
            f"{name} got an openmix Target, which is a pair of tensors (label, weight). Use one of openmix.losses "
            "(SoftCrossEntropy()(logits, target)), or target.dense(num_classes) for class probabilities (N, C), or "
            "give num_classes=... to the mixing method so that it hands out probabilities."
        )


def check_labels(labels: Tensor, n: int) -> None:
    """Raise unless ``labels`` are n class indices or (n, C) class probabilities: ValueError, TypeError if no tensor."""
    if not isinstance(labels, Tensor):
        hint = "; mix once, or hand on target.dense(num_classes)" if isinstance(labels, Target) else ""
        raise TypeError(f"labels must be a tensor of class indices or probabilities, got {type(labels).__name__}{hint}")
    indices = labels.ndim == 1 and not labels.is_floating_point() and labels.dtype != torch.bool
    probabilities = labels.ndim == 2 and labels.is_floating_point()
    if not (indices or probabilities) or labels.shape[0] != n:
        raise ValueError(
            f"labels must be {n} class indices (int64, shape ({n},)) or class probabilities (float, shape ({n}, C)) "
            f"for a batch of {n} images, got {labels.dtype} of shape {tuple(labels.shape)}"
        )


def as_target(labels: Tensor | Target) -> Target:
    """Class indices (N,) or probabilities (N, C) as a :class:`Target` with K = 1 or K = C; a Target stays itself."""
    if isinstance(labels, Target):
        return labels
    if labels.ndim == 1:
        return Target(labels.long()[:, None], torch.ones(len(labels), 1, device=labels.device))
    classes = torch.arange(labels.shape[1], device=labels.device)
    return Target(classes.expand(labels.shape[0], -1), labels)


def pair_target(labels: Tensor, partner: Tensor, lam: Tensor) -> Target:
    """``lam`` of each example's own label and ``1 - lam`` of its partner's.

    Args:
        labels, partner: indices (N,) or probabilities (N, C), in the same form.
        lam: the share kept of the first image, (N,), (1,) or ().

    Returns:
        Target with K = 2, or K = 2C for probabilities.
    """
    if is_at_hand(lam):
        kept = read(lam.float())
        weight = torch.tensor([[kept, 1 - kept]], dtype=torch.float32, device=lam.device)
    else:
        lam = lam.float().reshape(-1)
        weight = torch.stack([lam, 1 - lam], 1)
    weight = weight.expand(labels.shape[0], 2)
    if labels.ndim == 1:
        return Target(torch.stack([labels, partner], 1).long(), weight)
    a, b = as_target(labels), as_target(partner)
    return Target(torch.cat([a.label, b.label], 1), torch.cat([a.weight * weight[:, :1], b.weight * weight[:, 1:]], 1))


def smooth(target: Target, eps: float, num_classes: int) -> Tensor:
    """Label smoothing of a target, dense (N, C): (1 - eps) * target + eps / C. Linear, so mixing may come before."""
    return target.dense(num_classes) * (1 - eps) + target.weight.sum(1, keepdim=True) * (eps / num_classes)
