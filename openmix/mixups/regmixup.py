"""RegMixup: Pinto et al., "RegMixup: Mixup as a Regularizer Can Surprisingly Improve Accuracy and Out Distribution
Robustness", NeurIPS 2022, arXiv 2206.14502.
"""
import torch

from ..checks import number
from ..target import as_target
from .base import MixMethod, touch_parameters
from .mixup import MixUp
from .wrapper import Wrapper


class RegMixup(Wrapper):
    """The clean batch is learned, and its mixture regularises: both go through the network in one pass of 2N images.

    loss = (loss of the clean batch + ``weight`` * loss of the mixed batch) / (1 + ``weight``). Batch norm takes its
    statistics over both, as in the paper's code. A step costs about two of Vanilla.

    Args:
        method: mixes the batch; by default the paper's, MixUp with alpha 10 (CIFAR-10: 20).
        weight: of the mixed batch, eta in the paper.
    """

    paper = ('Pinto, Yang, Lim, Torr & Dokania, "RegMixup: Mixup as a Regularizer Can Surprisingly Improve Accuracy '
             'and Out Distribution Robustness", arXiv 2206.14502')
    year = 2022
    venue = "NeurIPS"
    passes = "one forward and backward pass (clean images, in the same call)"
    defaults = {"CIFAR-10": dict(method=dict(type="MixUp", alpha=20.0), weight=1.0),
                "CIFAR-100, ImageNet": dict(method=dict(type="MixUp", alpha=10.0), weight=1.0)}

    def __init__(self, method: MixMethod | None = None, weight: float = 1.0, num_classes: int | None = None):
        super().__init__(MixUp(alpha=10.0) if method is None else method, num_classes)
        self.weight = number("weight", weight)

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        """``loss`` and, for the log, its parts ``clean`` and ``mixed``."""
        self.check_batch(images, labels)
        self.check_some(images)
        mixed, target = self(images, labels, draws)
        of_clean, of_mixed = net(torch.cat([images, mixed])).split(len(images))
        clean = criterion(of_clean, self.maybe_dense(as_target(labels)))
        mixture = criterion(of_mixed, target)
        loss = touch_parameters(self.method, (clean + self.weight * mixture) / (1 + self.weight))
        return dict(loss=loss, clean=clean.detach(), mixed=mixture.detach())

    def extra_repr(self):
        return f"weight={self.weight}"
