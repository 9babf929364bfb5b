"""Accuracy class by class."""
import torch
from torch import Tensor

from .base import Evaluator, add, check_batch, refuse_empty, summed


class PerClass(Evaluator):
    """Top-1 accuracy of the images of each class, in percent.

    * ``accuracy``: one value a class, in the order of the classes; None for a class without images.
    * ``mean``: over the classes with images (the balanced accuracy); ``worst``: the lowest of them.

    Ties with the right class and NaN count as wrong, as in :class:`openmix.evaluators.Accuracy`.
    """

    main = "mean"

    def __init__(self):
        self.sums = None

    def update(self, logits: Tensor, labels: Tensor) -> None:
        check_batch(logits, labels)
        classes = logits.shape[1]
        own = logits.gather(1, labels.clamp(min=0)[:, None])
        right = ((logits < own).sum(1) == classes - 1) & ~own[:, 0].isnan()
        counted = torch.stack([torch.ones_like(right), right]) & (labels >= 0)
        sums = torch.zeros(2, classes, dtype=torch.int64, device=logits.device)
        self.sums = add(self.sums, sums.index_add_(1, labels.clamp(min=0), counted.long()))

    def compute(self) -> dict:
        counts, right = summed(self.sums).view(2, -1).tolist()
        images = refuse_empty(sum(counts))
        accuracy = [100.0 * r / n if n else None for r, n in zip(right, counts, strict=True)]
        known = [value for value in accuracy if value is not None]
        return dict(accuracy=accuracy, mean=sum(known) / len(known), worst=min(known), count=images)
