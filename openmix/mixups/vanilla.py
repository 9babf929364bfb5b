"""Training without mixing."""
import torch

from ..target import as_target, check_labels
from .base import MixMethod


class Vanilla(MixMethod):
    """No mixing: the baseline."""

    paper = ""
    year = 0
    venue = ""
    passes = "none"
    defaults = {}

    weight_from = "lam"

    def __init__(self, num_classes: int | None = None):
        super().__init__(num_classes=num_classes)

    def draw(self, n, size, generator=None, steps=(), device=None):
        return {}

    def forward(self, images, labels, draws=None):
        check_labels(labels, len(images), self.num_classes)
        return images, self.maybe_dense(as_target(labels))

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        self.check_some(images)
        return dict(loss=criterion(net(images), labels))  # labels as they are: losses have a shorter way for them

    def details(self, images, draws, net=None, labels=None):
        n = len(images)
        ones = torch.ones(n, *[1] * (images.ndim - 1), device=images.device)
        mask = ones.expand(n, 1, *images.shape[2:])
        return dict(lam=ones.flatten(), mask=mask, partner=torch.arange(n, device=images.device))
