"""Saliency Grafting: Park et al., "Saliency Grafting: Innocuous Attribution-Guided Mixup with Calibrated Label Mixing".

AAAI 2022, arXiv 2112.08796.
"""
import torch
from torch import Tensor

from .. import checks, functional, probes, sampling
from ..checks import number
from .base import MixMethod


class SaliencyGrafting(MixMethod):
    """Random cells of the partner's salient part are grafted on the image; labels are weighed by saliency.

    The saliency of a cell is the length of the network's features there, from a forward pass of the clean batch without
    gradient. A cell is salient where its softmax over the cells exceeds their mean. A salient cell of the partner shows
    with a chance of 1 - lam. With B the shown cells, s and s' the saliency of image and partner, the label weight is
    ``|s (1 - B)| / (|s (1 - B)| + |s' B|)``, Euclidean norms over the cells.

    Made after the paper's description; no code of the authors was at hand. The Euclidean norm over channels, and the
    softmax of the saliency over its mean at temperature 1, are choices of this library.

    Args:
        alpha: Beta parameter of ``lam``, the chance of a cell to stay.
        temperature: of the softmax over cells; a high one makes all cells above the mean salient, a low one the peak.
        layer: name of the layer with the features; by default the last with more than one position.
        image_shape: (C, H, W) of an image, for a forward pass in :meth:`attach`.
    """

    paper = ('Park et al., "Saliency Grafting: Innocuous Attribution-Guided Mixup with Calibrated Label '
             'Mixing", arXiv 2112.08796')
    year = 2022
    venue = "AAAI"
    passes = "one forward pass (saliency)"
    defaults = {"CIFAR": dict(alpha=1.0, temperature=1.0)}
    weight_from = "model"
    needs = "hidden"

    def __init__(self, alpha: float = 1.0, *, temperature: float = 1.0, layer: str | None = None,
                 image_shape: tuple[int, int, int] = (3, 32, 32), **kwargs):
        super().__init__(alpha, **kwargs)
        self.temperature = number("temperature", temperature, above=True)
        self.layer, self.image_shape = layer, checks.image_shape("image_shape", image_shape)
        self.watched = None

    def attach(self, net):
        self.watched = probes.last_map(net, self.image_shape, self.layer)[0]
        probes.plant(net, self.watched)

    def check_images(self, images):
        self.check_maps(images)
        if not images.is_floating_point():
            raise ValueError(f"SaliencyGrafting runs the network and needs float images, got {images.dtype}")

    def draw(self, n, size, generator=None, steps=(), device=None):
        draws = super().draw(n, size, generator, steps, device)
        draws["key"] = sampling.keys((*steps, n), generator, device)  # which cells of each image are drawn
        return draws

    @torch.no_grad()
    def saliency(self, net, images: Tensor) -> Tensor:
        """Length of the features in each cell over its mean, (N, h, w); 1 where all are 0. Statistics stay."""
        maps = probes.as_map(probes.watch(net, self.watched, lambda: probes.on_copies(net)(images)),
                             images.shape[2:])
        length = maps.float().square().sum(1).sqrt()
        mean = length.mean((1, 2), keepdim=True)
        return torch.where(mean > 1e-12, length / mean.clamp(min=1e-12), 1.0)

    def salient(self, saliency: Tensor) -> Tensor:
        """The cells above the mean of the softmax, (N, h, w) bool; all of a uniform map."""
        shares = (saliency.flatten(1) / self.temperature).softmax(1)
        return (shares * shares.shape[1] > 1 - 1e-5).view_as(saliency)

    def graft(self, saliency: Tensor, draws: dict) -> tuple[Tensor, Tensor]:
        """Which cells show the partner, (N, h, w) bool, and the label weight of the image, (N,)."""
        other = self.partner(saliency, draws)
        drawn = sampling.keyed_uniform(draws["key"], saliency.shape[1:]) >= self.drawn_lam(draws)[:, None, None]
        shown = self.salient(other) & drawn
        own, grafted = ((s * part).flatten(1).norm(dim=1) for s, part in ((saliency, ~shown), (other, shown)))
        return shown, torch.where(shown.flatten(1).any(1), own / (own + grafted).clamp(min=1e-12), 1.0)

    def kept(self, shown: Tensor, size) -> Tensor:
        """The pixels of the cells that stay, (N, 1, H, W) bool."""
        rows, columns = (torch.arange(side, device=shown.device) * cells // side
                         for side, cells in zip(size, shown.shape[1:], strict=True))
        return ~shown[:, rows[:, None], columns][:, None]

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        if self.watched is None:
            raise ValueError("SaliencyGrafting reads a layer of the network: call method.attach(net) once before "
                             "training")
        draws = self.prepare_loss(images, labels, draws)
        shown, lam = self.graft(self.saliency(net, images), draws)
        mask = self.kept(shown, images.shape[2:])
        mixed = functional.blend(images, self.partner(images, draws), mask, reuse=True)
        return dict(loss=criterion(net(mixed), self.target(labels, lam, draws)))

    def details(self, images, draws, net=None, labels=None):
        """Without ``net`` 4 x 4 cells are equally salient."""
        self.check_images(images)
        draws, n = self.prepare(images, draws), len(images)
        saliency = torch.ones(n, 4, 4, device=images.device) if net is None else self.saliency(net, images)
        shown, lam = self.graft(saliency, draws)
        return dict(lam=lam, mask=self.kept(shown, images.shape[2:]).float(),
                    partner=self.partner_index(n, draws, images.device))
