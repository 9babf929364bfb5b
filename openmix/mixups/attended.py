"""Masks whose label weights depend on what a vision transformer attends to."""
import torch
from torch import Tensor

from .. import attention, functional, probes, sampling
from .base import MixMethod


class AttendedMask(MixMethod):
    """``mask * images + (1 - mask) * partner``, with a label weight that the network decides in the same forward pass.

    The labels are built after the forward pass that trains and before its loss: no pass is added. A subclass defines
    :meth:`mask` and :meth:`weigh`.
    """

    weight_from = "model"
    needs = "attention"

    def mask(self, images: Tensor, draws: dict) -> Tensor:
        """True where the first image stays, (N or 1, 1, H, W) bool."""
        raise NotImplementedError(f"{type(self).__name__} must define mask()")

    def weigh(self, net, mixed: Tensor, mask: Tensor, labels: Tensor | None, draws: dict) -> tuple[Tensor, Tensor]:
        """Logits (N, C) of ``net(mixed)``, run once, and ``lam`` (N,), the label weight of the first image."""
        raise NotImplementedError(f"{type(self).__name__} must define weigh()")

    def check_images(self, images):
        self.check_maps(images)

    def mixed(self, images: Tensor, draws: dict) -> tuple[Tensor, Tensor]:
        """Mixed images and the mask, all True for images that stay unmixed."""
        mask = self.keep_unmixed(self.mask(images, draws), draws)
        return functional.blend(images, self.partner(images, draws), mask, reuse=True), mask

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        draws = self.prepare_loss(images, labels, draws)
        logits, lam = self.weigh(net, *self.mixed(images, draws), labels, draws)
        return dict(loss=criterion(logits, self.target(labels, self.keep_unmixed(lam, draws), draws)))

    def details(self, images, draws, net=None, labels=None):
        """Without ``net`` and ``labels``, ``lam`` is the area kept."""
        draws, n = self.prepare(images, draws), len(images)
        mixed, mask = self.mixed(images, draws)
        lam = area(mask)
        if net is not None and labels is not None:
            with torch.no_grad(), probes.evaluating(net):
                lam = self.keep_unmixed(self.weigh(net, mixed, mask, labels, draws)[1], draws)
        return dict(lam=lam.expand(n), mask=mask.float().expand(n, -1, -1, -1),
                    partner=self.partner_index(n, draws, images.device))


def area(mask: Tensor) -> Tensor:
    """Share of the pixels where ``mask`` (N or 1, 1, H, W) is True: (N or 1,)."""
    return mask.float().mean((1, 2, 3))


def class_share(net, layer: str, mixed: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of ``net(mixed)``, and the share (N,) of the class token's attention that falls on ``mask``."""
    logits = []
    attended = attention.class_attention(net, layer, lambda: logits.append(net(mixed)), mixed.shape[2:])
    return logits[0], attention.attended_share(attended, mask)


def box_draws(draws: dict, size, patch: int = 1, generator=None, device=None) -> dict:
    """``draws`` with a CutMix ``box`` of area ``1 - lam``, on a grid of patches of so many pixels."""
    grid = tuple(side // patch for side in size)
    centre = sampling.centres(grid, draws["lam"].shape, generator, device)
    return {**draws, "box": functional.boxes(draws["lam"], centre, grid) * patch}
