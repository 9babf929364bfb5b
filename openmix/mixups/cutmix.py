"""CutMix: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers", ICCV 2019, arXiv 1905.04899."""
from .. import functional, sampling
from .base import MaskMethod


class CutMix(MaskMethod):
    """A box of the partner is pasted at the same place; the label weight is the area that is left.

    Args:
        alpha: Beta parameter of the kept share before clipping. CIFAR-100 tables: 0.2; the paper: 1 with prob 0.5.
        minmax: draw box sides uniformly in these shares of the image's sides, whole boxes inside the image.
        correct_lam: weight labels by the clipped area; False keeps the drawn ``lam``.
    """

    def __init__(self, alpha: float = 1.0, *, minmax: tuple[float, float] | None = None, correct_lam: bool = True,
                 **kwargs):
        super().__init__(alpha, **kwargs)
        if minmax is not None and not (len(minmax) == 2 and 0 <= minmax[0] <= minmax[1] <= 1):
            raise ValueError(f"minmax must be two shares 0 <= low <= high <= 1, got {minmax!r}")
        if minmax is not None and not correct_lam:
            raise ValueError("minmax draws the box itself, so there is no lam to keep: leave correct_lam=True")
        self.minmax, self.weight_from = minmax, "mask" if correct_lam else "lam"

    def draw(self, n, size, generator=None, steps=(), device=None):
        rows = (*steps, n if self.per_sample else 1)
        draws = super().draw(n, size, generator, steps, device)
        if self.minmax is None:
            draws["box"] = functional.boxes(draws["lam"], sampling.centres(size, rows, generator, device), size)
        else:
            draws["box"] = sampling.inner_boxes(self.minmax, size, rows, generator, device)
        return draws

    def box(self, images, draws):
        return draws["box"]
