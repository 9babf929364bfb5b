"""GuidedMixup: Kang & Kim, "GuidedMixup: An Efficient Mixup Strategy Guided by Saliency Maps", AAAI 2023.

arXiv 2306.16612.
"""
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import saliency as filters
from ..checks import check_choice
from .base import PAIRINGS
from .guided import Guided

LUMINANCE = (0.2989, 0.587, 0.114)  # of red, green and blue
LARGEST = 128  # pixels of a side up to which spectra are taken; larger images are resized to that
POOLED = 8  # cells of a side in which the maps of two images are compared


def grey(images: Tensor) -> Tensor:
    """Luminance of three channels, the mean of another number: (N, C, H, W) -> (N, H, W) float32."""
    images = images.float().contiguous()  # Fourier transforms of other layouts round otherwise
    if images.shape[1] != 3:
        return images.mean(1)
    return sum(weight * channel for weight, channel in zip(LUMINANCE, images.unbind(1), strict=True)).contiguous()


def farthest_cycle(maps: Tensor) -> Tensor:
    """Partners (N,) int64 of maps (N, L): one cycle through all, from each to the farthest one not visited yet.

    It starts at the pair of greatest distance and ends where it began.
    """
    n = len(maps)
    eye = torch.eye(n, dtype=torch.bool, device=maps.device)
    distance = torch.cdist(maps, maps, compute_mode="donot_use_mm_for_euclid_dist").masked_fill(eye, -torch.inf)
    start = (distance.flatten().argmax() // n)[None]
    distance, partner, row = distance.index_fill(1, start, -torch.inf), start.expand(n).clone(), start
    for _ in range(n - 1):
        farthest = distance.index_select(0, row).argmax(1)
        partner.index_copy_(0, row, farthest)
        distance.index_fill_(1, farthest, -torch.inf)
        row = farthest
    return partner


class GuidedMixup(Guided):
    """Each pixel is mixed in proportion to the saliencies of the two images there.

    Maps are blurred and scaled to a sum of 1; the share of the first image is S_a / (S_a + S_b), its label weight the
    mean of that. Nothing is drawn but ``prob`` and a random pairing.

    Args:
        saliency: ``"spectral_residual"`` as in the authors' code (amplitude, blurred), which needs no network, or
            another of :class:`~openmix.mixups.guided.Guided`; ``"gradient"`` is the paper's second variant.
        pairing: ``"greedy"``, the paper's: one cycle through the batch, from each image to that whose map is the
            farthest. ``"perm"``: a random permutation, which the released CIFAR code takes even if asked for the
            greedy one. ``"roll"``: partner of i is i - 1.
        prob: share of the batches that are mixed. The paper: 0.5 with ``"spectral_residual"``, 0.8 with ``"gradient"``.
    """

    paper = 'Kang & Kim, "GuidedMixup: An Efficient Mixup Strategy Guided by Saliency Maps", arXiv 2306.16612'
    year = 2023
    venue = "AAAI"
    passes = "none, or one forward and backward pass (saliency='gradient')"
    defaults = {"CIFAR": dict(prob=0.5, pairing="greedy")}

    needs = "batch"

    def __init__(self, *, saliency: str = "spectral_residual", pairing: str = "greedy", prob: float = 1.0,
                 per_sample: bool = False, mix_rate: float = 1.0, clean_weight: float = 0.0,
                 num_classes: int | None = None):
        check_choice("pairing", pairing, ("greedy", *PAIRINGS))
        super().__init__(saliency=saliency, clean_weight=clean_weight, prob=prob, per_sample=per_sample,
                         mix_rate=mix_rate, num_classes=num_classes, pairing="roll" if pairing == "greedy" else pairing)
        self.greedy = pairing == "greedy"

    def draw(self, n, size, generator=None, steps=(), device=None):
        return self.draw_common(n, generator, steps, device)

    def filtered(self, images):
        if self.guide != "spectral_residual":
            return super().filtered(images)
        with torch.no_grad():
            size, gray = images.shape[2:], grey(images)
            if max(size) > LARGEST:
                gray = F.interpolate(gray[:, None], (LARGEST, LARGEST), mode="bilinear", antialias=True)[:, 0]
            maps = filters.blur_7(filters.residual_amplitude(gray))
            return maps if maps.shape[1:] == size else F.interpolate(maps[:, None], size, mode="bilinear")[:, 0]

    def shares(self, saliency: Tensor) -> Tensor:
        """Blurred maps that sum to 1, (N, H, W); a map of zeros is uniform."""
        maps = filters.blur_7(saliency.float()) + torch.finfo(torch.float32).tiny
        return maps / maps.sum((1, 2), keepdim=True)

    @torch.no_grad()
    def pair_up(self, saliency, draws):
        if not self.greedy:
            return draws
        maps = F.adaptive_avg_pool2d(self.shares(saliency)[:, None], [min(POOLED, side) for side in saliency.shape[1:]])
        return {**draws, "partner": farthest_cycle(maps.flatten(1))}

    @torch.no_grad()
    def mask(self, images, saliency, draws):
        own = self.shares(saliency)
        share = own / (own + self.partner(own, draws))
        return self.keep_unmixed(share, draws)[:, None]

    def extra_repr(self) -> str:
        pairing = "greedy" if self.greedy else self.pairing
        return f"saliency={self.guide!r}, pairing={pairing!r}, prob={self.prob}, per_sample={self.per_sample}"
