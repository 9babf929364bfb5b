"""Catch-Up-Mix: Kang et al., "Catch-Up Mix: Catch-Up Class for Struggling Filters in CNN", AAAI 2024, arXiv 2401.13193.
"""
from functools import partial

import torch
from torch import Tensor

from .. import functional, probes, sampling
from .manifoldmix import INPUT, ManifoldMix


def weak_channels(first: Tensor, second: Tensor, lam: Tensor) -> Tensor:
    """The floor(lam * C) channels in which the first image is weakest beside the second: (N, C) bool.

    The influence of a channel is its Euclidean norm, as a share of the norms of all channels of the image.

    Args:
        first, second: feature maps (N, C, h, w). lam: (N,) or (1,).
    """
    influence = [maps.detach().float().square().flatten(2).sum(2).sqrt() for maps in (first, second)]
    own, other = (norms / norms.sum(1, keepdim=True).clamp(min=1e-12) for norms in influence)
    count = (lam * first.shape[1] + 1e-6).long().expand(len(first))
    return functional.ranks_to_mask(other - own, count)


class CatchUpMix(ManifoldMix):
    """At a drawn layer, the image has the channels in which it is weak beside its partner, who gives the others.

    Filters that rarely count then have to carry the label. floor(lam * C) of C channels are the image's own, and labels
    are weighed by ``lam``. Where the drawn layer is the input, the batch is mixed by CutMix.

    Made after the paper's description; no code of the authors was at hand. ``alpha`` and ``layers`` are settings of
    this library.

    Args:
        alpha: Beta parameter of ``lam``.
        layers: names of layers with feature maps (N, C, h, w); ``"input"`` means CutMix of the images.
    """

    paper = 'Kang et al., "Catch-Up Mix: Catch-Up Class for Struggling Filters in CNN", arXiv 2401.13193'
    year = 2024
    venue = "AAAI"
    passes = "none"
    defaults = {"CIFAR": dict(alpha=1.0, layers=("input", "layer1", "layer2", "layer3"))}
    weight_from = "model"  # the drawn lam, or the clipped area of CutMix

    def __init__(self, alpha: float = 1.0, layers=(INPUT, "layer1", "layer2", "layer3"), **kwargs):
        super().__init__(alpha, layers, **kwargs)

    def check_images(self, images):
        self.check_maps(images)

    def draw(self, n, size, generator=None, steps=(), device=None):
        draws = super().draw(n, size, generator, steps, device)
        if INPUT in self.layers:
            functional.check_sides(size, "CatchUpMix")
            centre = sampling.centres(size, draws["lam"].shape, generator, device)
            draws["box"] = functional.boxes(draws["lam"], centre, size)
        return draws

    def share(self, images: Tensor, draws: dict) -> Tensor:
        """Label weight of the first image, (N,) or (1,)."""
        if self.layers[draws["layer"]] != INPUT:
            return self.drawn_lam(draws)
        return self.keep_unmixed(functional.share_outside(draws["box"], images.shape[2:]), draws)

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        draws = self.prepare_loss(images, labels, draws)
        lam = self.share(images, draws)
        mix = partial(self.mix, lam=lam, draws=draws, n=len(images), size=images.shape[2:])
        logits = self.logits_with(net, images, draws, mix, partial(self.paste, draws=draws))
        return dict(loss=criterion(logits, self.target(labels, lam, draws)))

    def paste(self, images, draws):
        """CutMix of the images, in a new tensor."""
        box = self.keep_unmixed(draws["box"], draws, False)
        return functional.paste_box(images, partial(self.partner, draws=draws), box)

    def mix(self, state, lam, draws, n, size):
        """Feature maps ``state`` (N, C, h, w) of images of ``size`` (H, W) with the strong channels of the partners."""
        if not isinstance(state, Tensor) or state.ndim != 4 or len(state) != n or probes.channels_last(
                state.shape, size):
            got = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
            raise ValueError(f"CatchUpMix mixes channels of feature maps ({n}, C, h, w), got {got}; name other layers")
        partner = self.partner(state, draws)
        return torch.where(weak_channels(state, partner, lam)[:, :, None, None], state, partner)

    def details(self, images, draws, net=None, labels=None):
        draws = self.prepare(images, draws)
        return {**super().details(images, draws), "lam": self.share(images, draws).expand(len(images))}
