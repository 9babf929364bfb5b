"""ResizeMix: Qin et al., "ResizeMix: Mixing Data with Preserved Object Information and True Labels".

Computational Visual Media 2023, arXiv 2012.11101.
"""
import torch
from torch import Tensor

from .. import functional, sampling
from ..checks import pair, switch
from .mask import MaskMethod

INTERPOLATIONS = ("nearest", "bilinear")


def shifted_boxes(share: Tensor, centre: Tensor, size) -> Tensor:
    """Boxes with ``share`` of the image's sides around ``centre``, shifted into the image.

    Args:
        share: (..., N or 1) in [0, 1]. centre: (..., N, 2) row and column. size: (H, W).

    Returns:
        (..., N, 4) int64: top, bottom, left, right (ends excluded). Sides are floor(share * side), at least a pixel.
    """
    edges = []
    for middle, side in zip(centre.unbind(-1), size, strict=True):
        length = (share.double() * side).long().clamp(1, side)
        low = torch.minimum((middle - length // 2).clamp(min=0), side - length)
        edges += [low, low + length]
    return torch.stack(edges, -1)


class ResizeMix(MaskMethod):
    """The whole partner is resized and pasted into a box; the label weight is the remaining area.

    As in the authors' code the box has one size in a batch, floor(tau * side), and its own position in each image. It
    is around a uniform centre, shifted into the image. At 32 pixels the image's mean share is 0.770.

    Args:
        alpha: the box has ``tau`` of the image's sides, tau ~ Beta(alpha, alpha), drawn again from U(scope) if it is
            outside ``scope``. With the default 1 that is U(scope), as in the paper.
        scope: least and largest ``tau``.
        interpolation: ``"nearest"`` (CIFAR tables; integer images stay integer) or ``"bilinear"`` (ViT recipes).
        clipped: one position a batch, and the box is cut off at the border. The partner is squeezed and the image's
            share is larger (0.841 at 32 pixels). The published table cells used this.
        per_sample: a ``tau`` for each image, too.
    """

    paper = 'Qin et al., "ResizeMix: Mixing Data with Preserved Object Information and True Labels", arXiv 2012.11101'
    year = 2023
    venue = "Computational Visual Media"
    passes = "none"
    defaults = dict(CIFAR=dict(scope=(0.1, 0.8)), ImageNet=dict(scope=(0.1, 0.8)))

    blends = False  # the partner's pixels have moved

    def __init__(self, alpha: float = 1.0, *, scope: tuple[float, float] = (0.1, 0.8), interpolation: str = "nearest",
                 clipped: bool = False, **kwargs):
        super().__init__(alpha, **kwargs)
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {INTERPOLATIONS}, got {interpolation!r}")
        self.scope, self.interpolation = pair("scope", scope, 0, 1), interpolation
        self.shrink = interpolation
        self.clipped = switch("clipped", clipped)

    def draw(self, n, size, generator=None, steps=(), device=None):
        rows = (*steps, n if self.per_sample else 1)
        low, high = self.scope
        tau = sampling.beta(self.alpha, rows, generator, device)
        again = sampling.uniform(low, high, rows, generator, device)
        tau = torch.where((tau >= low) & (tau <= high), tau, again)
        if self.clipped:
            box = functional.boxes_around(tau, sampling.centres(size, rows, generator, device), size, least=1)
        else:
            box = shifted_boxes(tau, sampling.centres(size, (*steps, n), generator, device), size)
        return dict(box=box, **self.draw_common(n, generator, steps, device))

    def box(self, images, draws):
        if self.interpolation != "nearest" and not images.is_floating_point():
            raise ValueError(f"ResizeMix(interpolation={self.interpolation!r}) blends pixels and needs float images, "
                             f"got {images.dtype}; convert them first or use interpolation='nearest'")
        return draws["box"]
