"""SaliencyMix: Uddin et al., "SaliencyMix: A Saliency Guided Data Augmentation Strategy for Better Regularization".

ICLR 2021, arXiv 2006.01791.
"""
from functools import partial

import torch
from torch import Tensor

from .. import fine_grained, functional, saliency
from ..checks import switch
from .mask import MaskMethod

CONTRAST = {  # of grey images (N, H, W)
    "centre_surround": saliency.centre_surround,
    "balanced": partial(saliency.centre_surround, balanced=True),
    "spectral_residual": saliency.spectral_residual,
}
SALIENCY = ("fine_grained", *CONTRAST, "float_bytes")


def eight_bit(images: Tensor, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
    """The pixels 0 ... 255 of images (N, C, H, W); those of whole numbers are their pixels already.

    Args:
        mean, std: (C, 1, 1), the normalisation of float images, in units of pixel / 255. Without them each image is
            stretched so that its least value becomes 0 and its greatest 255.
    """
    if not images.is_floating_point():
        return images
    images = images.float()
    if mean is not None:
        return ((images * std + mean) * 255).round().clamp(0, 255)
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return ((images - low) * (255 / (high - low).clamp(min=1e-12))).round()


def saliency_map(images: Tensor, saliency: str, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
    """Saliency (N, H, W) of images (N, C, H, W) by one of ``SALIENCY``; ``mean``, ``std``: see :func:`eight_bit`."""
    if saliency == "fine_grained":
        return fine_grained.fine_grained(eight_bit(images, mean, std))
    if saliency == "float_bytes":
        return fine_grained.float_bytes(images)
    return CONTRAST[saliency](images.float().mean(1))


def saliency_peak(images: Tensor, saliency: str, mean: Tensor | None = None, std: Tensor | None = None) -> Tensor:
    """Row and column of the most salient pixel of each image, the first of several: (N, C, H, W) -> (N, 2) int64."""
    peak = saliency_map(images, saliency, mean, std).flatten(1).argmax(1)
    return torch.stack([peak // images.shape[3], peak % images.shape[3]], -1)


class SaliencyMix(MaskMethod):
    """CutMix with each box centred on the most salient pixel of the partner.

    Saliency is computed where the images are, for every image, on 8-bit pixels in the order red, green, blue.

    Args:
        alpha: Beta parameter of the image's share before clipping. CIFAR-100 tables: 0.2; the paper: 1 with prob 0.5.
        saliency: ``"fine_grained"``, the paper's: OpenCV's detector, number for number. ``"centre_surround"``: contrast
            to the surroundings, unrounded; ``"balanced"``: the same with bright and dark scaled to equal maxima.
            ``"spectral_residual"``; it misses small squares on flat ground. ``"float_bytes"``: OpenCV's detector
            on normalised floats, of which it reads single bytes; the box is then nearly random.
        one_box: one map a batch, of the first image's partner, whose peak is used for every image. The authors' code
            and the table cells do this, with ``"float_bytes"``.
        mean, std: the normalisation of float images, so that ``"fine_grained"`` sees their 8-bit pixels. Without them
            each image is stretched to 0 ... 255.
    """

    paper = ("Uddin et al., "
             '"SaliencyMix: A Saliency Guided Data Augmentation Strategy for Better Regularization", arXiv 2006.01791')
    year = 2021
    venue = "ICLR"
    passes = "none"
    defaults = dict(CIFAR=dict(alpha=1.0, prob=0.5), ImageNet=dict(alpha=1.0))

    def __init__(self, alpha: float = 1.0, *, saliency: str = "fine_grained", one_box: bool = False, mean=None,
                 std=None, **kwargs):
        super().__init__(alpha, **kwargs)
        if saliency not in SALIENCY:
            raise ValueError(f"saliency must be one of {SALIENCY}, got {saliency!r}")
        if (mean is None) != (std is None):
            raise ValueError(f"mean and std belong together: give both or neither, got mean={mean!r}, std={std!r}")
        if mean is not None and not (len(mean) == len(std) and min(std) > 0):
            raise ValueError(f"mean and std must have one number a channel, std positive, got {mean!r} and {std!r}")
        self.saliency, self.one_box = saliency, switch("one_box", one_box)
        for name, numbers in (("mean", mean), ("std", std)):
            value = None if numbers is None else torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def draw(self, n, size, generator=None, steps=(), device=None):
        functional.check_sides(size, type(self).__name__)
        return super().draw(n, size, generator, steps, device)

    def peak(self, images: Tensor) -> Tensor:
        """Row and column of the most salient pixel: (N, C, H, W) -> (N, 2) int64."""
        if self.mean is not None and images.shape[1] != len(self.mean):
            raise ValueError(f"SaliencyMix has mean and std of {len(self.mean)} channels, the images have "
                             f"{images.shape[1]}; give one number a channel, or leave both out")
        scale = [None if numbers is None else numbers.to(images.device) for numbers in (self.mean, self.std)]
        return saliency_peak(images, self.saliency, *scale)

    @torch.no_grad()
    def box(self, images, draws):
        if self.one_box:
            first = self.partner_index(len(images), draws, images.device)[:1]
            centre = self.peak(images.index_select(0, first))
        else:
            centre = self.partner(self.peak(images), draws)
        lam = draws["lam"]
        rows = max(len(lam), len(centre))
        return functional.boxes(lam.expand(rows), centre.expand(rows, 2), images.shape[2:])
