"""Binary cross-entropy: an independent yes-or-no decision for each class."""
import torch.nn.functional as F

from ..checks import number, switch
from .base import Criterion, log_complement


class BinaryCrossEntropy(Criterion):
    """Binary cross-entropy of sigmoid(logits), as in "ResNet strikes back" (Wightman et al., 2021, arXiv 2110.00476).

    Args:
        target_threshold: weights above it become 1 and the others 0, so both classes of a mix count fully.
        sum_classes: sum over the classes instead of their mean, which is C times smaller.
        reduction, class_weight: as of :class:`~openmix.losses.base.Criterion`; both answers of a class are weighted.
    """

    def __init__(self, target_threshold=None, sum_classes=False, reduction="mean", class_weight=None):
        super().__init__(reduction, class_weight)
        if target_threshold is not None:
            target_threshold = number("target_threshold", target_threshold, 0, 1, below=True)
        self.target_threshold, self.sum_classes = target_threshold, switch("sum_classes", sum_classes)

    def each(self, logits, target):
        weight = target.dense(logits.shape[1])
        if self.target_threshold is not None:
            weight = (weight > self.target_threshold).to(logits.dtype)
        loss = self.weigh(F.binary_cross_entropy_with_logits(logits, weight, reduction="none"))
        return loss.sum(1) if self.sum_classes else loss.mean(1)


class SoftmaxBCE(Criterion):
    """Binary cross-entropy of softmax(logits), the loss of the original Manifold Mixup and PuzzleMix code.

    Exact also where a probability rounds to 1, hence without the clamp at -100 of ``torch.nn.BCELoss``.

    Args:
        sum_classes: sum over the classes instead of their mean, which is C times smaller (and the originals').
        reduction, class_weight: as of :class:`~openmix.losses.base.Criterion`; both answers of a class are weighted.

    Raises:
        ValueError: logits of a single class.
    """

    def __init__(self, sum_classes=False, reduction="mean", class_weight=None):
        super().__init__(reduction, class_weight)
        self.sum_classes = switch("sum_classes", sum_classes)

    def each(self, logits, target):
        if logits.shape[1] < 2:
            raise ValueError(f"SoftmaxBCE needs at least 2 classes, got logits {tuple(logits.shape)}")
        log_p, weight = logits.log_softmax(1), target.dense(logits.shape[1])
        loss = -self.weigh(weight * log_p + (1 - weight) * log_complement(log_p))
        return loss.sum(1) if self.sum_classes else loss.mean(1)
