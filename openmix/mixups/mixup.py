"""MixUp: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv 1710.09412."""
import torch
from torch import Tensor

from ..target import check_labels
from .mask import MaskMethod

PARTNERS, LABELS = ("batch", "class"), ("mix", "nearer")


def within_classes(labels: Tensor, noise: Tensor) -> Tensor:
    """A random permutation inside each class: (N,) int64, ``labels[within_classes(labels, noise)] == labels``.

    Args:
        labels: class indices (N,) or probabilities (N, C), whose greatest counts. noise: (N,), without ties.
    """
    if labels.ndim == 2:
        labels = labels.argmax(1)
    shuffled = noise.argsort()
    shuffled = shuffled[labels[shuffled].argsort(stable=True)]  # class by class, in the order of the noise
    return torch.empty_like(shuffled).scatter_(0, labels.argsort(stable=True), shuffled)


class MixUp(MaskMethod):
    """Images and labels are interpolated with one ``lam`` ~ Beta(alpha, alpha).

    Works for any trailing dimensions (tables, spectrograms). CIFAR: alpha 1; ImageNet: 0.2 to 0.4. The options
    ``partner`` and ``labels`` are those of the paper's ablation (Table 5).

    Args:
        partner: ``"batch"``: any image of the batch may be the partner, by ``pairing``; ``"class"``: a random
            permutation of the images of each class in the batch. An image may be its own partner, always where it is
            alone in its class.
        labels: ``"mix"``: interpolated as the images; ``"nearer"``: the label of the image that has the larger share
            (the own one where both have a half).
    """

    paper = 'Zhang et al., "mixup: Beyond Empirical Risk Minimization", arXiv 1710.09412'
    year = 2018
    venue = "ICLR"
    passes = "none"
    defaults = dict(CIFAR=dict(alpha=1.0), ImageNet=dict(alpha=0.2))

    weight_from = "lam"
    any_shape = True

    def __init__(self, alpha: float = 1.0, *, partner: str = "batch", labels: str = "mix", **kwargs):
        if partner == "class":
            if kwargs.get("pairing", "perm") != "perm":
                raise ValueError("partner='class' is a permutation inside each class: leave pairing out, or 'perm'")
            kwargs["pairing"] = "perm"
        super().__init__(alpha, **kwargs)
        for name, value, known in (("partner", partner, PARTNERS), ("labels", labels, LABELS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {known}, got {value!r}")
        self.same_class, self.nearer = partner == "class", labels == "nearer"

    def mask(self, images, draws):
        return draws["lam"].reshape(-1, *[1] * (images.ndim - 1))

    def weight(self, mask, draws):
        lam = super().weight(mask, draws)
        return (lam >= 0.5).to(lam.dtype) if self.nearer else lam

    def pair_up(self, images: Tensor, labels: Tensor | None, draws: dict | None) -> dict | None:
        """``draws`` with the partners of this batch, where they depend on labels."""
        if not self.same_class:
            return draws
        if labels is None:
            raise ValueError("MixUp(partner='class') pairs by labels; call details(images, draws, labels=labels)")
        check_labels(labels, len(images))
        draws = self.prepare(images, draws)
        return {**draws, "partner": within_classes(labels, draws["order"][:, 0])}

    def forward(self, images, labels, draws=None):
        return super().forward(images, labels, self.pair_up(images, labels, draws))

    def details(self, images, draws, net=None, labels=None):
        details = super().details(images, self.pair_up(images, labels, draws))
        details["mask"] = details["mask"].expand(len(images), 1, *images.shape[2:])
        return details

    def extra_repr(self):
        partner, labels = "class" if self.same_class else "batch", "nearer" if self.nearer else "mix"
        return f"{super().extra_repr()}, partner={partner!r}, labels={labels!r}"
