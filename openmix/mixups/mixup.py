"""MixUp: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv 1710.09412."""
from .base import MaskMethod


class MixUp(MaskMethod):
    """Images and labels are interpolated with one ``lam`` ~ Beta(alpha, alpha).

    Works for any trailing dimensions (tables, spectrograms). CIFAR: alpha 1; ImageNet: 0.2 to 0.4.
    """

    weight_from = "lam"
    any_shape = True

    def mask(self, images, draws):
        return draws["lam"].reshape(-1, *[1] * (images.ndim - 1))

    def details(self, images, draws, net=None, labels=None):
        found = super().details(images, draws)
        found["mask"] = found["mask"].expand(len(images), 1, *images.shape[2:])
        return found
