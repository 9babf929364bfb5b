"""Methods that are made of a mask or a box."""
import torch
from torch import Tensor

from .. import functional
from .base import MixMethod


class MaskMethod(MixMethod):
    """``mask * images + (1 - mask) * partner``; a subclass defines the mask, or the box in which it is 0."""

    any_shape = False  # True where images need not be (N, C, H, W): tables, spectrograms, video
    shrink = None  # in a box the partner shows what it has there; or its whole image, resized "nearest" or "bilinear"

    def check_images(self, images):
        if self.any_shape:
            super().check_images(images)
        else:
            self.check_maps(images)

    def box(self, images: Tensor, draws: dict) -> Tensor | None:
        """Where the partner shows, (N or 1, 4) as of :func:`functional.boxes`; None for masks that are no boxes."""

    def mask(self, images: Tensor, draws: dict) -> Tensor:
        """Share kept of each image, (N or 1, 1, H, W): bool where pixels are moved, float where they are blended."""
        raise NotImplementedError(f"{type(self).__name__} must define mask() or box()")

    def blend(self, images: Tensor, mask: Tensor, draws: dict) -> Tensor:
        """``mask * images + (1 - mask) * partners``."""
        return functional.blend(images, self.partner(images, draws), mask, reuse=True)

    def weight(self, mask: Tensor, draws: dict) -> Tensor:
        """Label weight of the first image, (N or 1,), under a mask that is no box."""
        return mask.float().flatten(1).mean(1) if self.weight_from == "mask" else draws["lam"]

    def box_mask_lam(self, images: Tensor, draws: dict) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """The box or, where there is none, the mask; and the weight ``lam`` (N or 1,)."""
        box = self.box(images, draws)
        if box is not None:
            lam = functional.share_outside(box, images.shape[2:]) if self.weight_from == "mask" else draws["lam"]
            return self.keep_unmixed(box, draws, False), None, self.keep_unmixed(lam, draws)
        mask = self.mask(images, draws)
        if mask.dtype != torch.bool and not images.is_floating_point():
            raise ValueError(f"{type(self).__name__} blends pixels and needs float images, got {images.dtype}; "
                             "convert them first, e.g. images.float() / 255")
        return None, self.keep_unmixed(mask, draws), self.keep_unmixed(self.weight(mask, draws), draws)

    def forward(self, images, labels, draws=None):
        self.check_batch(images, labels)
        draws = self.prepare(images, draws)
        if len(images) == 0:  # Fourier transforms and maxima of nothing are errors
            return images.clone(), self.target(labels, torch.ones(1, device=images.device), draws)
        box, mask, lam = self.box_mask_lam(images, draws)
        if box is None:
            mixed = self.blend(images, mask, draws)
        else:
            mixed = functional.paste_box(images, lambda values: self.partner(values, draws), box, self.shrink)
        return mixed, self.target(labels, lam, draws)

    def details(self, images, draws, net=None, labels=None):
        self.check_images(images)
        draws = self.prepare(images, draws)
        box, mask, lam = self.box_mask_lam(images, draws)
        mask, n = functional.box_mask(box, images.shape[2:]) if mask is None else mask, len(images)
        return dict(lam=lam.expand(n), mask=mask.float().expand(n, *[-1] * (mask.ndim - 1)),
                    partner=self.partner_index(n, draws, images.device))
