"""DecoupleMix: Liu et al., "Harnessing Hard Mixed Samples with Decoupled Regularizer", NeurIPS 2023.

arXiv 2203.10761.
"""
import torch
import torch.nn.functional as F

from ..checks import check_choice, number
from .base import Criterion
from .cross_entropy import soft_cross_entropy

MODES = ("both", "more", "less")


class DecoupledCrossEntropy(Criterion):
    """Mixture cross-entropy, plus a term that lets each mixed class win without competing with the others.

    For class c of the classes S that an example mixes, the term is cross-entropy of c under a softmax without the
    others of S: ``-log(e^z_c / (e^z_c + sum of e^z_k over k not in S))``. It counts ``eta * D_c ** power`` times, where
    D_c is the weight of c in the target. An example of one class has plain cross-entropy.

    Args:
        eta: weight of the terms.
        mode: the classes that have a term: ``"both"``: all that are mixed; ``"more"``: those with a weight of at least
            ``threshold``; ``"less"``: those below it.
        threshold: of ``mode``.
        power: 0: all terms count alike; 1/2 or 1: by the root of their weight, or by it.
        reduction, class_weight: as of :class:`~openmix.losses.base.Criterion`; the term of a class is weighted, too.

    Raises:
        ValueError: a parameter out of its range.
    """

    in_label = True

    def __init__(self, eta=0.1, mode="both", threshold=0.5, power=0.0, reduction="mean", class_weight=None):
        super().__init__(reduction, class_weight)
        check_choice("mode", mode, MODES)
        self.eta, self.mode = number("eta", eta), mode
        self.threshold, self.power = number("threshold", threshold, 0, 1), number("power", power)

    def each(self, logits, target):
        dense = target.dense(logits.shape[1])
        mixed = dense > 0
        apart = mixed.sum(1, keepdim=True)
        apart = (apart > 1) & (apart < logits.shape[1])  # without other classes the term is 0, and its gradient NaN
        others = logits.masked_fill(mixed & apart, -torch.inf).logsumexp(1, keepdim=True)
        chosen = mixed & apart
        if self.mode != "both":
            chosen = chosen & ((dense >= self.threshold) == (self.mode == "more"))
        scale = self.eta * torch.where(chosen, dense, 1.0) ** self.power
        terms = torch.where(chosen, scale * F.softplus(others - logits), 0.0)
        return soft_cross_entropy(self.weigh(logits.log_softmax(1)), target) + self.weigh(terms).sum(1)
