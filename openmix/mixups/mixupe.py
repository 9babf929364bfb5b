"""MixupE: Zou et al., "MixupE: Understanding and Improving Mixup from Directional Derivative Perspective", UAI 2023.

arXiv 2212.13381.
"""
import torch
from torch import Tensor

from ..checks import number
from ..target import as_target
from .mask import MaskMethod


def agreement(logits: Tensor, target: Tensor, threshold: float) -> Tensor:
    """Mean over the batch of s_i = sum_k z_ik (y_ik - softmax(z_i)_k), where s_i is below ``threshold`` and else 0.

    Args:
        logits: (N, C) of clean images. target: (N, C) probabilities.
    """
    logits = logits.float()
    each = (logits * (target - logits.softmax(1))).sum(1)
    return torch.where(each < threshold, each, 0.0).mean()


class MixupE(MaskMethod):
    """MixUp, and a term that enlarges the directional derivatives which MixUp makes small.

    The loss is that of MixUp minus ``eta`` times r = (1 - E lam') * :func:`agreement` of the clean batch, with lam' ~
    Beta(alpha + 1, alpha). It is then scaled to the size of MixUp's loss. This is version 3 of the authors' code, the
    one of their commands; it is free of derivatives with respect to the images.

    Args:
        alpha: Beta parameter of ``lam``.
        eta: weight of the term.
        threshold: examples whose term is larger have none.
    """

    paper = ("Zou et al., "
             '"MixupE: Understanding and Improving Mixup from Directional Derivative Perspective", arXiv 2212.13381')
    year = 2023
    venue = "UAI"
    passes = "one forward and backward pass of the clean batch"
    defaults = dict(CIFAR=dict(alpha=2.0, eta=0.001, threshold=1.0))

    weight_from = "lam"

    def __init__(self, alpha: float = 2.0, *, eta: float = 0.001, threshold: float = 1.0, **kwargs):
        super().__init__(alpha, **kwargs)
        self.eta, self.threshold = number("eta", eta), number("threshold", threshold)

    def mask(self, images, draws):
        return draws["lam"].view(-1, 1, 1, 1)

    def details(self, images, draws, net=None, labels=None):
        details = super().details(images, draws)
        return {**details, "mask": details["mask"].expand(-1, -1, *images.shape[2:])}

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        self.check_some(images)
        mixed, target = self(images, labels, draws)
        clean = net(images)
        loss = criterion(net(mixed), target)
        term = agreement(clean, as_target(labels).dense(clean.shape[1]), self.threshold)
        term = term * (self.alpha / (2 * self.alpha + 1))  # 1 - the mean of Beta(alpha + 1, alpha)
        total = loss - self.eta * term
        scale = loss.detach().abs() / total.detach().abs().clamp(min=1e-12)
        return dict(loss=scale * total, agreement=term.detach())

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, eta={self.eta}, threshold={self.threshold}"
