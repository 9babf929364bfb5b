"""Cross-entropy with soft targets."""
import torch
import torch.nn.functional as F
from torch import Tensor

from ..target import Target
from .base import Criterion, check_target


def soft_cross_entropy(log_p: Tensor, target: Target) -> Tensor:
    """-sum_k weight[i, k] * log p[i, label[i, k]] of each example i, (N,)."""
    return -(target.weight * log_p.gather(1, target.label)).sum(1)


class SoftCrossEntropy(Criterion):
    """Mixture cross-entropy: of two labels, lam_i * CE(y_i) + (1 - lam_i) * CE(y'_i), per example and then the mean."""

    def forward(self, logits, target):
        if isinstance(target, Target):
            return super().forward(logits, target)
        check_target(logits, target)  # indices and probabilities: torch has one fused kernel
        target = target.long() if target.ndim == 1 else target
        return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), target,
                               reduction=self.reduction)

    def each(self, logits, target):
        return soft_cross_entropy(logits.log_softmax(1), target)


class LabelSmoothing(Criterion):
    """Cross-entropy with the target smoothed to (1 - eps) * target + eps / C.

    Szegedy et al., CVPR 2016, arXiv 1512.00567. Smoothing is linear: smoothed before or after mixing is the same.

    Args:
        eps: share that goes to all classes alike, in [0, 1).
    """

    def __init__(self, eps=0.1, reduction="mean"):
        super().__init__(reduction)
        if not 0 <= eps < 1:
            raise ValueError(f"eps must lie in [0, 1), got {eps!r}")
        self.eps = eps

    def each(self, logits, target):
        log_p = logits.log_softmax(1)
        uniform = -target.weight.sum(1) * log_p.mean(1)
        return (1 - self.eps) * soft_cross_entropy(log_p, target) + self.eps * uniform
