"""AugMix: Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty".

ICLR 2020, arXiv 1912.02781.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import sampling
from ..checks import number
from ..target import as_target
from . import augmentations
from .base import MixMethod

VIEWS = 2


def jensen_shannon(*logits: Tensor) -> Tensor:
    """Mean over examples of the Jensen-Shannon divergence of the predictions, logits (N, C) each, in nats."""
    log_p = torch.stack([F.log_softmax(z.float(), 1) for z in logits])
    log_m = log_p.exp().mean(0).clamp(1e-7, 1).log()
    return (log_p.exp() * (log_p - log_m)).sum(2).mean()


class AugMix(MixMethod):
    """Several augmentations of one image are mixed, and predictions for such views must agree.

    A view is (1 - m) x + m sum_k w_k chain_k(x), with m uniform and w from a Dirichlet(1). A chain is up to ``depth``
    random operations (:mod:`openmix.mixups.augmentations`) on the 8-bit image. The loss is the criterion of the clean
    image, plus ``weight`` times the Jensen-Shannon divergence of the predictions for it and two views. All three are in
    one pass, so batch norm sees them together. Labels are not mixed.

    Args:
        weight: of the divergence. width: chains a view. depth: most operations a chain, drawn from 1 ... depth.
        severity: strengths are uniform in [0.1, severity], of 10.
        mean, std: the normalisation of the images, one number a channel. Without them images are in [0, 1].
        prob: share of the batches with views; in others the views are the clean image.

    Raises:
        ValueError: a parameter out of its range; images that are no floats or of other channels.
    """

    paper = ("Hendrycks et al., "
             '"AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty", arXiv 1912.02781')
    year = 2020
    venue = "ICLR"
    passes = "a forward and backward pass of two more views"
    defaults = dict(CIFAR=dict(weight=12.0, severity=3.0), ImageNet=dict(weight=12.0, severity=1.0))

    weight_from = "lam"
    needs = "outputs"  # of the network, for several views
    blends = False

    def __init__(self, weight: float = 12.0, *, width: int = 3, depth: int = 3, severity: float = 3.0, mean=None,
                 std=None, prob: float = 1.0, num_classes: int | None = None):
        super().__init__(prob=prob, num_classes=num_classes)
        self.weight, self.severity = number("weight", weight), number("severity", severity, 0.1, 10)
        self.width, self.depth = number("width", width, 1, whole=True), number("depth", depth, 1, whole=True)
        if (mean is None) != (std is None) or (mean is not None and len(mean) != len(std)):
            raise ValueError(f"mean and std are both given, one number a channel, or neither; got {mean} and {std}")
        for name, values in (("mean", mean), ("std", std)):
            values = None if values is None else [number(name, value, above=name == "std") for value in values]
            values = None if values is None else torch.tensor(values).view(-1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def draw(self, n, size, generator=None, steps=(), device=None):
        draws = dict(key=sampling.keys((*steps, n), generator, device))  # all else is a function of it
        return {**draws, **self.draw_common(n, generator, steps, device)}

    def check_images(self, images: Tensor) -> None:
        self.check_maps(images)
        if not images.is_floating_point():
            raise ValueError(f"AugMix needs float images, got {images.dtype}; convert them first, e.g. "
                             "images.float() / 255")
        if self.mean is not None and len(self.mean) not in (1, images.shape[1]):
            raise ValueError(f"mean and std have {len(self.mean)} channels, the images {images.shape[1]}")

    def chains(self, pixels: Tensor, noise: Tensor) -> Tensor:
        """Each image after its chain.

        Args:
            pixels: (K, C, H, W) of 0 ... 255. noise: (K, 1 + 3 * depth) uniform: the length, then operation,
                strength and direction of each step.
        """
        length = (noise[:, 0] * self.depth).floor() + 1
        for step in range(self.depth):
            kind, strength, sign = noise[:, 1 + 3 * step:4 + 3 * step].unbind(1)
            strength = 0.1 + (self.severity - 0.1) * strength
            changed = augmentations.apply(pixels, (kind * len(augmentations.OPERATIONS)).long(),
                                          torch.where(sign < 0.5, strength, -strength))
            pixels = torch.where((step < length).view(-1, 1, 1, 1), changed, pixels)
        return pixels

    def views(self, images: Tensor, draws: dict) -> Tensor:
        """Two augmented views of each image, (2, N, C, H, W), in the images' own normalisation."""
        n, one = len(images), 1 + 3 * self.depth
        noise = sampling.keyed_uniform(draws["key"], (VIEWS, 1 + self.width * (1 + one))).transpose(0, 1)
        share, weights, steps = noise.split([1, self.width, self.width * one], 2)
        weights = -weights.log()
        weights = weights / weights.sum(2, keepdim=True)
        scale, shift = (1.0, 0.0) if self.std is None else (self.std.to(images.device), self.mean.to(images.device))
        pixels = ((images.float() * scale + shift) * 255).round().clamp(0, 255)
        copies = pixels.expand(VIEWS * self.width, *pixels.shape).flatten(0, 1)  # chain by chain of all images
        order = steps.reshape(VIEWS, n, self.width, one).transpose(1, 2).reshape(-1, one)
        made = self.chains(copies, order).view(VIEWS, self.width, *pixels.shape) / 255
        weights = weights.transpose(1, 2)[..., None, None, None]
        mixed = ((weights * made).sum(1) - shift) / scale
        share = self.keep_unmixed(share[..., None, None].transpose(0, 1), draws, 0.0).transpose(0, 1)
        return torch.lerp(images.float().expand_as(mixed), mixed, share).to(images.dtype)

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        views = self.views(images, self.prepare_loss(images, labels, draws))
        logits = net(torch.cat([images, *views])).chunk(1 + VIEWS)
        divergence = jensen_shannon(*logits)
        labels = labels if self.num_classes is None else self.maybe_dense(as_target(labels))
        clean = criterion(logits[0], labels)
        return dict(loss=clean + self.weight * divergence, divergence=divergence.detach())

    def details(self, images, draws, net=None, labels=None):
        n = len(images)
        mask = images.new_ones(n, 1, *images.shape[2:], dtype=torch.float32)
        return dict(lam=mask.new_ones(n), mask=mask, partner=torch.arange(n, device=images.device))

    def extra_repr(self) -> str:
        return (f"weight={self.weight}, width={self.width}, depth={self.depth}, severity={self.severity}, "
                f"prob={self.prob}")
