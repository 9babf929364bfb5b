"""Cross-entropy with soft targets."""
import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import number
from ..target import Target
from .base import Criterion

NEVER = -(1 << 40)  # torch silently ignores labels equal to ignore_index, by default -100


def soft_cross_entropy(log_p: Tensor, target: Target) -> Tensor:
    """-sum_k weight[i, k] * log p[i, label[i, k]] of each example i, (N,)."""
    return -(target.weight * log_p.gather(1, target.label)).sum(1)


class SoftCrossEntropy(Criterion):
    """Mixture cross-entropy: of two labels, lam_i * CE(y_i) + (1 - lam_i) * CE(y'_i), per example and then the mean.

    Args:
        reduction, class_weight: as of :class:`~openmix.losses.base.Criterion`.
    """

    def forward(self, logits, target):
        if isinstance(target, Target):
            return super().forward(logits, target)
        self.check(logits, target)  # indices and probabilities: torch has one fused kernel
        logits, weight = logits.to(torch.promote_types(logits.dtype, torch.float32)), self.class_weight
        if target.ndim == 1:
            target = target.long()
        elif not target.is_floating_point():
            target = target.to(logits.dtype)
        if weight is None:
            return F.cross_entropy(logits, target, reduction=self.reduction, ignore_index=NEVER)
        each = F.cross_entropy(logits, target, weight.to(logits.dtype), reduction="none", ignore_index=NEVER)
        return each.mean() if self.reduction == "mean" else each

    def each(self, logits, target):
        return soft_cross_entropy(self.weigh(logits.log_softmax(1)), target)


class LabelSmoothing(Criterion):
    """Cross-entropy with the target smoothed to (1 - eps) * target + eps / C.

    Szegedy et al., CVPR 2016, arXiv 1512.00567. Smoothing is linear: its order with mixing does not matter.

    Args:
        eps: share that goes to all classes alike, in [0, 1).
        reduction, class_weight: as of :class:`~openmix.losses.base.Criterion`; smoothed targets are weighted.
    """

    def __init__(self, eps=0.1, reduction="mean", class_weight=None):
        super().__init__(reduction, class_weight)
        self.eps = number("eps", eps, 0, 1, below=True)

    def each(self, logits, target):
        log_p = self.weigh(logits.log_softmax(1))
        uniform = -target.weight.sum(1) * log_p.mean(1)
        return (1 - self.eps) * soft_cross_entropy(log_p, target) + self.eps * uniform
