"""Focal loss: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv 1708.02002."""
from .base import Criterion, log_complement


class FocalLoss(Criterion):
    """-sum_k weight_k * (1 - p_k)^gamma * log p_k with p = softmax(logits): less weight on what is easy.

    Args:
        gamma: 0 is cross-entropy; 2 is the paper's.

    Raises:
        ValueError: gamma below 0, logits of a single class.
    """

    def __init__(self, gamma=2.0, reduction="mean"):
        super().__init__(reduction)
        if gamma < 0:
            raise ValueError(f"gamma must be at least 0, got {gamma!r}")
        self.gamma = gamma

    def each(self, logits, target):
        if logits.shape[1] < 2:
            raise ValueError(f"FocalLoss needs at least 2 classes, got logits {tuple(logits.shape)}")
        log_p = logits.log_softmax(1)
        easy = (self.gamma * log_complement(log_p)).exp()
        return -(target.weight * (easy * log_p).gather(1, target.label)).sum(1)
