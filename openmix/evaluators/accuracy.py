"""Accuracies that are counted on the device and read once."""
import warnings

import torch
from torch import Tensor

from ..checks import is_whole, plain
from .base import Evaluator, check_batch, refuse_empty, summed


class Accuracy(Evaluator):
    """Share of images whose class is among the k largest logits, exact for any split into batches and processes.

    With fewer than k classes every (finite) prediction counts as right. A tie with the right class and a NaN count as
    wrong, so a network that has collapsed to a constant scores nothing.

    Args:
        topk: the k that are counted, 1 or more each.

    Raises:
        ValueError: ``topk`` is empty or holds something below 1.
    """

    def __init__(self, topk=(1, 5)):
        self.topk = tuple(plain(k) for k in ([topk] if is_whole(topk) else topk))
        if not self.topk or not all(is_whole(k, 1) for k in self.topk):
            raise ValueError(f"topk must be whole numbers of at least 1, such as (1, 5), got {topk!r}")
        self.main = f"top{min(self.topk)}"
        self.reset()

    def check_classes(self, classes: int) -> None:
        k = min(self.topk)
        if k > 1 and k >= classes:
            raise ValueError(f"topk={k} of {classes} classes is always 100 %; count a smaller k, such as topk=(1, 5)")

    def reset(self) -> None:
        """Reset the counts."""
        self.counts, self.classes = torch.zeros(len(self.topk) + 1, dtype=torch.int64), None

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits (N, C), class indices (N,); rows of a negative label (padding) are left out.

        Nothing is read by the host.

        Raises:
            ValueError: the shapes do not fit.
        """
        check_batch(logits, labels)
        classes = logits.shape[1]
        if self.counts.device != logits.device or classes != self.classes:
            # how many classes must be strictly below: for each k, and (-1) to be counted at all
            needed = torch.tensor([max(classes - k, 0) for k in self.topk] + [-1])[:, None]
            self.counts, self.needed, self.classes = self.counts.to(logits.device), needed.to(logits.device), classes
        own = logits.gather(1, labels.clamp(min=0)[:, None])
        below = (logits < own).sum(1, dtype=torch.int32)  # a NaN is below nothing, and nothing is below a NaN
        if classes <= max(self.topk):
            below = torch.where(own[:, 0].isnan(), -1, below)
        self.counts += (below.masked_fill_(labels < 0, -2) >= self.needed).sum(1)

    def compute(self) -> dict[str, float | int]:
        """``top<k>`` in percent and ``count``, over all processes; every process must call it.

        Raises:
            ValueError: no image was counted.
        """
        *right, count = summed(self.counts).tolist()
        count = refuse_empty(count)
        return {**{f"top{k}": 100.0 * r / count for k, r in zip(self.topk, right, strict=True)}, "count": count}


class TopK(Accuracy):
    """The old name of :class:`Accuracy`."""

    def __init__(self, topk=(1, 5)):
        warnings.warn("the evaluator TopK is called Accuracy now, with the same keys", DeprecationWarning, stacklevel=2)
        super().__init__(topk)
