"""SaliencyMix: Uddin et al., "SaliencyMix: A Saliency Guided Data Augmentation Strategy for Better Regularization".

ICLR 2021, arXiv 2006.01791.
"""
from functools import partial

import torch
from torch import Tensor

from .. import functional
from ..checks import switch
from .base import MaskMethod

SALIENCY = {
    "centre_surround": functional.centre_surround,
    "fine_grained": partial(functional.centre_surround, balanced=True),
    "spectral_residual": functional.spectral_residual,
}


def saliency_peak(images: Tensor, saliency: str) -> Tensor:
    """Row and column of the most salient pixel of each image: (N, C, H, W) -> (N, 2) int64."""
    grey = images.float().mean(1)
    peak = SALIENCY[saliency](grey).flatten(1).argmax(1)
    return torch.stack([peak // grey.shape[2], peak % grey.shape[2]], -1)


class SaliencyMix(MaskMethod):
    """CutMix around what catches the eye: each box is centred at the most salient pixel of the partner.

    Saliency is computed where the images are, for every image; a change of brightness or contrast does not move its
    peak, so normalised images serve as well as raw ones.

    Args:
        alpha: Beta parameter of the kept share before clipping. CIFAR-100 tables: 0.2; the paper: 1 with prob 0.5.
        saliency: ``"centre_surround"`` (contrast to the surroundings), ``"fine_grained"`` (the same with bright and
            dark scaled to equal maxima, as in OpenCV's detector that the paper uses) or ``"spectral_residual"``.
        one_box: one map a batch, of the first image's partner, whose peak serves every image, as in the authors' code
            and the table cells (there with ``"fine_grained"``).
    """

    def __init__(self, alpha: float = 1.0, *, saliency: str = "centre_surround", one_box: bool = False, **kwargs):
        super().__init__(alpha, **kwargs)
        if saliency not in SALIENCY:
            raise ValueError(f"saliency must be one of {tuple(SALIENCY)}, got {saliency!r}")
        self.saliency, self.one_box = saliency, switch("one_box", one_box)

    def draw(self, n, size, generator=None, steps=(), device=None):
        functional.check_sides(size, type(self).__name__)
        return super().draw(n, size, generator, steps, device)

    def first_partner(self, images: Tensor, draws: dict) -> Tensor:
        """The partner of the first image, (1, C, H, W), without a copy of all."""
        if self.rolls():
            return images[-1:]
        index = self.partner(torch.arange(len(images), device=images.device), draws)
        return images.index_select(0, index[:1])

    @torch.no_grad()
    def box(self, images, draws):
        if self.one_box:
            centre = saliency_peak(self.first_partner(images, draws), self.saliency)
        else:
            centre = self.partner(saliency_peak(images, self.saliency), draws)
        lam = draws["lam"]
        rows = max(len(lam), len(centre))
        return functional.boxes(lam.expand(rows), centre.expand(rows, 2), images.shape[2:])
