"""ResizeMix: Qin et al., "ResizeMix: Mixing Data with Preserved Object Information and True Labels".

Computational Visual Media 2023, arXiv 2012.11101.
"""
import torch

from .. import functional, sampling
from ..checks import pair
from .base import MaskMethod

INTERPOLATIONS = ("nearest", "bilinear")


class ResizeMix(MaskMethod):
    """The whole partner, made small, is pasted into a box; the label weight is the area that is left.

    Args:
        alpha: the box has ``tau`` of the image's sides, tau ~ Beta(alpha, alpha), drawn again from U(scope) where it
            leaves ``scope``. With the default 1 that is U(scope), as in the paper.
        scope: least and largest ``tau``.
        interpolation: ``"nearest"`` (CIFAR tables; integer images stay integer) or ``"bilinear"`` (ViT recipes).
    """

    blends = False  # the partner's pixels have moved

    def __init__(self, alpha: float = 1.0, *, scope: tuple[float, float] = (0.1, 0.8), interpolation: str = "nearest",
                 **kwargs):
        super().__init__(alpha, **kwargs)
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {INTERPOLATIONS}, got {interpolation!r}")
        self.scope, self.interpolation = pair("scope", scope, 0, 1), interpolation

    def draw(self, n, size, generator=None, steps=(), device=None):
        rows = (*steps, n if self.per_sample else 1)
        low, high = self.scope
        tau = sampling.beta(self.alpha, rows, generator, device)
        again = sampling.uniform(low, high, rows, generator, device)
        tau = torch.where((tau >= low) & (tau <= high), tau, again)
        centre = sampling.centres(size, rows, generator, device)
        box = functional.boxes_around(tau, centre, size, least=1)
        return dict(box=box, **self.draw_common(n, generator, steps, device))

    def box(self, images, draws):
        if self.interpolation != "nearest" and not images.is_floating_point():
            raise ValueError(f"ResizeMix(interpolation={self.interpolation!r}) blends pixels and needs float images, "
                             f"got {images.dtype}; convert them first or use interpolation='nearest'")
        return draws["box"]

    def blend(self, images, mask, draws):
        partner = functional.resize_into(self.partner(images, draws), draws["box"], self.interpolation)
        return functional.blend(images, partner, mask, reuse=True)

    def patch(self, images, box):
        top, bottom, left, right = box
        return functional.resize(images, (bottom - top, right - left), self.interpolation)
