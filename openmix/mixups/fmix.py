"""FMix: Harris et al., "FMix: Enhancing Mixed Sample Data Augmentation", arXiv 2002.12047."""
import math

import torch
from torch import Tensor

from .. import functional, sampling
from ..checks import number, switch
from .mask import MaskMethod


def low_frequency_field(key: Tensor, size, decay: float) -> Tensor:
    """Isotropic noise whose amplitude falls as 1 / frequency^decay: (K,) keys -> (K, H, W).

    White noise of the pixels, filtered: its spectrum is complex normal (a sum over all pixels), with the symmetry of a
    real image, so that no frequency counts half or double and every device transforms it back alike.
    """
    amplitude = functional.constant(low_frequencies, key, *size, decay)
    spectrum = torch.fft.rfft2(sampling.keyed_uniform(key, size) - 0.5)
    return torch.fft.irfft2(spectrum * amplitude, s=tuple(size))


def low_frequencies(height: int, width: int, decay: float, device) -> Tensor:
    """1 / frequency^decay for each entry of ``rfft2``, the constant part as the lowest frequency."""
    rows, columns = torch.fft.fftfreq(height, device=device), torch.fft.rfftfreq(width, device=device)
    return torch.hypot(rows[:, None], columns).clamp(min=1 / max(height, width)) ** -decay


def banded_field(key: Tensor, size, decay: float) -> Tensor:
    """The field of the authors' code, which reads the row-frequency axis of its noise as real and imaginary part.

    Only the column frequencies 0 and 1 remain: (K,) keys -> (K, H, W), bands rather than blobs.
    """
    height, width = size
    count = width // 2 + 1  # their frequencies along the columns end up along the rows
    along = torch.fft.rfftfreq(width, device=key.device)
    across = torch.arange(2, device=key.device)[:, None] / height
    scale = (across.square() + along.square()).sqrt().clamp(min=1 / max(size)) ** -decay  # (real and imaginary, count)
    real, imaginary = (sampling.keyed_normal(key, (2, 2, count)) * scale[:, None]).unbind(-3)
    constant, wave = torch.fft.ifft(torch.complex(real, imaginary), n=height).unbind(-2)
    turn = torch.arange(width, device=key.device) * (2 * math.pi / width)
    return constant.real[..., None] + 2 * (wave[..., None] * torch.polar(torch.ones_like(turn), turn)).real


class FMix(MaskMethod):
    """A binary mask: low-frequency noise, cut at the quantile that gives ``lam`` of the pixels to the image.

    Labels are weighted by the drawn ``lam``, as in the paper; the mask's mean differs by less than one pixel.

    Args:
        alpha: Beta parameter of ``lam``. CIFAR-100 tables: 0.2; the paper: 1.
        decay: power of the frequency that the amplitude falls with; more makes larger blobs.
        max_soft: blend a share of up to this on each side of the cut linearly; 0 moves whole pixels.
        banded_spectrum: the anisotropic noise of the authors' code and of the table cells.
        per_sample: one ``lam`` and one mask an image instead of one a batch.
    """

    paper = 'Harris et al., "FMix: Enhancing Mixed Sample Data Augmentation", arXiv 2002.12047'
    year = 2020
    venue = "arXiv"
    passes = "none"
    defaults = dict(CIFAR=dict(alpha=1.0, decay=3.0), ImageNet=dict(alpha=1.0, decay=3.0))

    weight_from = "lam"

    def __init__(self, alpha: float = 1.0, *, decay: float = 3.0, max_soft: float = 0.0, banded_spectrum: bool = False,
                 **kwargs):
        super().__init__(alpha, **kwargs)
        self.decay, self.max_soft = number("decay", decay), number("max_soft", max_soft, 0, 0.5)
        self.banded_spectrum = switch("banded_spectrum", banded_spectrum)

    def draw(self, n, size, generator=None, steps=(), device=None):
        rows = (*steps, n if self.per_sample else 1)
        draws = super().draw(n, size, generator, steps, device)
        draws["key"] = sampling.keys(rows, generator, device)
        draws["up"] = sampling.integers(2, rows, generator, device) == 1  # round lam * pixels up or down
        return draws

    def mask(self, images, draws):
        size = images.shape[2:]
        pixels = math.prod(size)
        field = (banded_field if self.banded_spectrum else low_frequency_field)(draws["key"], size, self.decay)
        share = draws["lam"] * pixels
        count = torch.where(draws["up"], share.ceil(), share).long()
        soft = None
        if self.max_soft > 0:
            soft = (torch.minimum(draws["lam"], 1 - draws["lam"]).clamp(max=self.max_soft) * pixels).long()
        return functional.ranks_to_mask(field.flatten(1), count, soft).view(-1, 1, *size)
