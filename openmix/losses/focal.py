"""Focal loss: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv 1708.02002."""
from ..checks import number
from .base import Criterion, log_complement


class FocalLoss(Criterion):
    """-sum_k weight_k * (1 - p_k)^gamma * log p_k with p = softmax(logits): less weight on easy examples.

    Args:
        gamma: 0 is cross-entropy; 2 is the paper's.
        reduction, class_weight: as of :class:`~openmix.losses.base.Criterion` (the paper's alpha, one a class).

    Raises:
        ValueError: gamma below 0, logits of a single class.
    """

    def __init__(self, gamma=2.0, reduction="mean", class_weight=None):
        super().__init__(reduction, class_weight)
        self.gamma = number("gamma", gamma)

    def each(self, logits, target):
        if logits.shape[1] < 2:
            raise ValueError(f"FocalLoss needs at least 2 classes, got logits {tuple(logits.shape)}")
        log_p = logits.log_softmax(1)
        easy = (self.gamma * log_complement(log_p)).exp()
        return -(target.weight * self.weigh(easy * log_p).gather(1, target.label)).sum(1)
