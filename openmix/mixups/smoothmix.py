"""SmoothMix: Lee et al., "SmoothMix: A Simple Yet Effective Data Augmentation to Train Robust Classifiers".

CVPR Workshops 2020.
"""
import torch

from .. import sampling
from ..checks import pair, switch
from .mask import MaskMethod


class SmoothMix(MaskMethod):
    """The image under a Gaussian bump fades into its partner; the label weight is the mean of the bump.

    There is no Beta and so no ``alpha``: centre and width of the bump determine the image's share (0.429 on average).

    Args:
        sigma: the bump's standard deviation is uniform in these shares of the image's sides.
        swapped_labels: give each label the other image's weight. Only to reproduce the published table cells, whose
            labels were crossed (a mean weight near one half hides it).
    """

    paper = 'Lee et al., "SmoothMix: A Simple Yet Effective Data Augmentation to Train Robust Classifiers"'
    year = 2020
    venue = "CVPR Workshops"
    passes = "none"
    defaults = dict(CIFAR=dict(sigma=(0.25, 0.5)))

    def __init__(self, sigma: tuple[float, float] = (0.25, 0.5), *, swapped_labels: bool = False, prob: float = 1.0,
                 per_sample: bool = False, pairing: str = "roll", num_classes: int | None = None,
                 mix_rate: float = 1.0):
        super().__init__(prob=prob, per_sample=per_sample, pairing=pairing, num_classes=num_classes, mix_rate=mix_rate)
        self.sigma, self.swapped_labels = pair("sigma", sigma, above=True), switch("swapped_labels", swapped_labels)
        self.weight_from = "lam" if swapped_labels else "mask"  # crossed, it is not the mean of the mask

    def draw(self, n, size, generator=None, steps=(), device=None):
        if max(size) < 2:
            raise ValueError("SmoothMix keeps the pixel at the centre and cannot mix images of 1x1 pixels: use MixUp")
        rows = (*steps, n if self.per_sample else 1)
        draws = dict(sigma=sampling.uniform(*self.sigma, rows, generator, device),
                     centre=sampling.centres(size, rows, generator, device))
        return {**draws, **self.draw_common(n, generator, steps, device)}

    def mask(self, images, draws):
        bumps = []  # a Gaussian is the product of one along the rows and one along the columns
        for side, centre in zip(images.shape[2:], draws["centre"].unbind(-1), strict=True):
            distance = torch.arange(side, device=images.device) - centre[:, None]
            bumps.append(torch.exp(-0.5 * (distance / (draws["sigma"][:, None] * side)).square()))
        return bumps[0][:, None, :, None] * bumps[1][:, None, None, :]

    def weight(self, mask, draws):
        lam = mask.flatten(1).mean(1)
        return 1 - lam if self.swapped_labels else lam

    def extra_repr(self):
        return (f"sigma={self.sigma}, swapped_labels={self.swapped_labels}, prob={self.prob}, "
                f"per_sample={self.per_sample}, pairing={self.pairing!r}")
