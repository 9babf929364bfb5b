"""MixUp: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv 1710.09412."""
import torch
from torch import Tensor

from ..checks import number
from ..functional import blend
from ..target import check_labels, pair_target
from .draws import PARTNERS
from .mask import MaskMethod

PARTNER, LABELS = ("batch", "class", "knn", "class_knn"), ("mix", "nearer")


def within_classes(labels: Tensor, noise: Tensor) -> Tensor:
    """A random permutation inside each class: (N,) int64, ``labels[within_classes(labels, noise)] == labels``.

    Args:
        labels: class indices (N,) or probabilities (N, C), whose greatest counts. noise: (N,), without ties.
    """
    if labels.ndim == 2:
        labels = labels.float().argmax(1)
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
            alone in its class. ``"knn"``: one of the ``k`` nearest other images of the whole training set by the
            distance of raw pixels, drawn anew each time and augmented by itself; ``"class_knn"``: of the nearest in
            its class. The loader of a training run hands these over; your own loop adds to the draws
            ``partner_images`` and ``partner_labels``, in the form of images and labels.
        k: how many neighbours; the paper's 200 by default.
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

    def __init__(self, alpha: float = 1.0, *, partner: str = "batch", k: int | None = None, labels: str = "mix",
                 **kwargs):
        for name, value, known in (("partner", partner, PARTNER), ("labels", labels, LABELS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {known}, got {value!r}")
        nearest = partner in ("knn", "class_knn")
        if k is not None and not nearest:
            raise ValueError(f"k counts the neighbours of partner='knn' or 'class_knn', not of {partner!r}")
        if partner == "class":
            if kwargs.get("pairing", "perm") != "perm":
                raise ValueError("partner='class' is a permutation inside each class: leave pairing out, or 'perm'")
            kwargs["pairing"] = "perm"
        elif nearest and "pairing" in kwargs:
            raise ValueError(f"partner={partner!r} draws neighbours and pairs nobody in the batch: leave pairing out")
        super().__init__(alpha, **kwargs)
        self.partner_of, self.nearer = partner, labels == "nearer"
        if nearest:
            k = number("k", 200 if k is None else k, 1, whole=True)
            self.neighbours, self.permutes = dict(k=k, same_class=partner == "class_knn"), False

    def mask(self, images, draws):
        return draws["lam"].reshape(-1, *[1] * (images.ndim - 1))

    def weight(self, mask, draws):
        lam = super().weight(mask, draws)
        return (lam >= 0.5).to(lam.dtype) if self.nearer else lam

    def blend(self, images, mask, draws):
        if self.neighbours is None:
            return super().blend(images, mask, draws)
        return blend(images, draws["partner_images"], mask)

    def target(self, labels, lam, draws, k=1):
        if self.neighbours is None:
            return super().target(labels, lam, draws, k)
        return self.maybe_dense(pair_target(labels, draws["partner_labels"], lam))

    def check_partners(self, images: Tensor, draws: dict | None) -> None:
        """Raise ValueError unless the draws hold a neighbour for each image."""
        if not isinstance(draws, dict) or not set(PARTNERS) <= draws.keys():
            raise ValueError(
                f"MixUp(partner={self.partner_of!r}) mixes with images that a batch does not hold. The loader of a "
                "training run hands them over; in your own loop add them to the draws: draws=dict(method.draw(len("
                "images), images.shape[2:]), partner_images=..., partner_labels=...). openmix.datasets.neighbours."
                "neighbour_table gives the neighbours of each image of a set")
        shape = tuple(draws["partner_images"].shape)
        if shape != tuple(images.shape):
            raise ValueError(f"partner_images must have the shape of the images, {tuple(images.shape)}, got {shape}")

    def pair_up(self, images: Tensor, labels: Tensor | None, draws: dict | None) -> dict | None:
        """``draws`` with the partners of this batch, where they depend on labels."""
        if self.neighbours is not None:
            self.check_partners(images, draws)
        if self.partner_of != "class":
            return draws
        if labels is None:
            raise ValueError("MixUp(partner='class') pairs by labels; call details(images, draws, labels=labels)")
        check_labels(labels, len(images))
        draws = self.prepare(images, draws)
        return {**draws, "partner": within_classes(labels, draws["order"][:, 0])}

    def forward(self, images, labels, draws=None):
        return super().forward(images, labels, self.pair_up(images, labels, draws))

    def details(self, images, draws, net=None, labels=None):
        details, n = super().details(images, self.pair_up(images, labels, draws)), len(images)
        lam, mask = details["lam"], details["mask"].expand(n, 1, *images.shape[2:])
        if self.neighbours is None:
            return {**details, "mask": mask}
        own = torch.arange(n, device=images.device)
        return dict(sources=torch.stack([own, torch.full_like(own, -1)], 1), weights=torch.stack([lam, 1 - lam], 1),
                    masks=torch.cat([mask, 1 - mask], 1))

    def extra_repr(self):
        return f"{super().extra_repr()}, partner={self.partner_of!r}, labels={'nearer' if self.nearer else 'mix'!r}"
