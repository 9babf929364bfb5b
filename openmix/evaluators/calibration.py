"""Whether the probabilities of a network are right."""
import torch
from torch import Tensor

from ..checks import check_count
from .base import Evaluator, add, check_batch, in_single, refuse_empty, summed


class Calibration(Evaluator):
    """Negative log-likelihood, expected calibration error and Brier score of the softmax of the logits.

    * ``nll``: mean of -log p(label), in nats.
    * ``ece``: bins of equal width over the confidence (the largest probability), each closed on its right side; the sum
      over bins of their share of images times \\|accuracy - mean confidence\\|, in [0, 1]. Guo et al., 2017.
    * ``brier``: mean over images of the sum over classes of (p - one-hot)^2, in [0, 2].

    An image counts as right where the first of its largest probabilities is that of the label.

    Args:
        bins: how many bins ``ece`` has.

    Raises:
        ValueError: ``bins`` is no whole number of at least 1.
    """

    main, lower_is_better = "ece", True

    def __init__(self, bins: int = 15):
        self.bins, self.sums = check_count("bins", bins), None

    def update(self, logits: Tensor, labels: Tensor) -> None:
        check_batch(logits, labels)
        real = (labels >= 0).double()
        labels = labels.clamp(min=0)[:, None]
        logs = in_single(logits).log_softmax(1)
        probabilities = logs.exp()
        own = probabilities.gather(1, labels)[:, 0].double()
        nll = -logs.gather(1, labels)[:, 0].double()
        brier = probabilities.double().square().sum(1) - 2 * own + 1
        confidence, predicted = probabilities.max(1)
        right = (predicted == labels[:, 0]).double()
        bins = (confidence.double().nan_to_num() * self.bins).ceil().long().sub(1).clamp(0, self.bins - 1)
        rows = torch.stack([torch.ones_like(right), right, confidence.double()])
        binned = rows.new_zeros(3, self.bins).index_add_(1, bins, torch.where(real > 0, rows, 0))
        totals = torch.where(real > 0, torch.stack([nll, brier]), 0).sum(1)
        self.sums = add(self.sums, torch.cat([totals, binned.flatten()]))

    def compute(self) -> dict:
        sums = summed(self.sums)
        count, right, confidence = sums[2:].view(3, self.bins)
        images = refuse_empty(count.sum().item())
        nll, brier = (sums[:2] / images).tolist()
        return dict(nll=nll, ece=((right - confidence).abs().sum() / images).item(), brier=brier, count=images)
