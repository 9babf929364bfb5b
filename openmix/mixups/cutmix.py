"""CutMix: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers", ICCV 2019, arXiv 1905.04899."""
from .. import functional, sampling
from ..checks import pair, switch
from .mask import MaskMethod


class CutMix(MaskMethod):
    """A box of the partner is pasted at the same position; the label weight is the remaining area.

    Args:
        alpha: Beta parameter of the image's share before clipping. CIFAR-100 tables: 0.2; the paper: 1 with prob 0.5.
        minmax: draw box sides uniformly in these shares of the image's sides, whole boxes inside the image.
        correct_lam: weight labels by the clipped area; False uses the drawn ``lam``.
    """

    paper = 'Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers", arXiv 1905.04899'
    year = 2019
    venue = "ICCV"
    passes = "none"
    defaults = dict(CIFAR=dict(alpha=1.0, prob=0.5), ImageNet=dict(alpha=1.0))

    def __init__(self, alpha: float = 1.0, *, minmax: tuple[float, float] | None = None, correct_lam: bool = True,
                 **kwargs):
        super().__init__(alpha, **kwargs)
        self.minmax = None if minmax is None else pair("minmax", minmax, 0, 1)
        self.weight_from = "mask" if switch("correct_lam", correct_lam) else "lam"
        if minmax is not None and not correct_lam:
            raise ValueError("minmax draws the box itself, so there is no lam to keep: leave correct_lam=True")

    def draw(self, n, size, generator=None, steps=(), device=None):
        rows = (*steps, n if self.per_sample else 1)
        draws = super().draw(n, size, generator, steps, device)
        self.check_size(size)
        if self.minmax is None:
            draws["box"] = functional.boxes(draws["lam"], sampling.centres(size, rows, generator, device), size)
        else:
            draws["box"] = sampling.inner_boxes(self.minmax, size, rows, generator, device)
        return draws

    def check_size(self, size) -> None:
        """Raise ValueError for images so small that a box never holds a pixel."""
        if self.minmax is None:
            functional.check_sides(size, type(self).__name__)
            return
        low, high = (share * min(size) for share in self.minmax)
        if low < 1 and high <= 1:  # sides are rounded down, and the upper end is not drawn
            raise ValueError(f"minmax={self.minmax} makes no box of a pixel in images of {size[0]}x{size[1]} pixels; "
                             "take larger shares, or MixUp")

    def box(self, images, draws):
        return draws["box"]
