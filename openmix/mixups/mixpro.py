"""MixPro: Zhao et al., "MixPro: Data Augmentation with MaskMix and Progressive Attention Labeling for Vision
Transformer", ICLR 2023, arXiv 2304.12043."""
import torch
import torch.nn.functional as F

from .. import attention, functional, sampling
from ..checks import number, switch
from ..target import pair_target, smooth
from .attended import AttendedMask, area, class_share


class MixPro(AttendedMask):
    """Random cells of a coarse grid are kept, and labels follow the attention the more the network is right.

    Of ``grid`` x ``grid`` cells of an image, ceil(lam * grid^2) random ones stay (MaskMix). The label weight is
    ``c * attended + (1 - c) * area`` (progressive attention labelling): ``attended`` is the share of the class token's
    attention on what stays, ``c`` the cosine of the area-mixed label, smoothed, and the network's probabilities.

    The paper's recipe mixes every second batch so, the others by CutMix or MixUp; the official code takes attention
    labels without smoothing, the criterion of a config smooths all alike.

    Args:
        alpha: Beta parameter of ``lam``.
        grid: cells along each side; 4 with 224 pixels are the paper's cells of 56.
        smoothing: label smoothing of the label in ``c``.
        cosine_gradient: let gradients pass through ``c``, as the official code does.

    Raises:
        ValueError: a parameter out of its range; in :meth:`draw`, images smaller than the grid; in :meth:`attach`, a
            network without class token or plain attention.
    """

    paper = ('Zhao et al., "MixPro: Data Augmentation with MaskMix and Progressive Attention Labeling for Vision '
             'Transformer", arXiv 2304.12043')
    year = 2023
    venue = "ICLR"
    passes = "none"
    defaults = {"ImageNet": dict(alpha=1.0, grid=4)}

    def __init__(self, alpha: float = 1.0, *, grid: int = 4, smoothing: float = 0.1, cosine_gradient: bool = False,
                 **kwargs):
        super().__init__(alpha, **kwargs)
        self.grid, self.smoothing = number("grid", grid, 1, whole=True), number("smoothing", smoothing, 0, 1)
        self.cosine_gradient, self.watched = switch("cosine_gradient", cosine_gradient), ""

    def attach(self, net):
        self.watched = attention.last_attention(net)

    def draw(self, n, size, generator=None, steps=(), device=None):
        if min(size) < self.grid:
            raise ValueError(f"grid={self.grid} does not fit images of {size[0]}x{size[1]} pixels; take fewer cells")
        draws = super().draw(n, size, generator, steps, device)
        return {**draws, "key": sampling.keys((*steps, n), generator, device)}

    def cells(self, draws: dict) -> torch.Tensor:
        """Which cells stay, (N, grid^2) bool."""
        noise = sampling.keyed_uniform(draws["key"], (self.grid**2,))
        count = (draws["lam"] * self.grid**2).ceil().long()
        return functional.ranks_to_mask(noise, count.expand(len(noise)))

    def mask(self, images, draws):
        rows, columns = (torch.arange(side, device=images.device) * self.grid // side for side in images.shape[2:])
        return self.cells(draws)[:, rows[:, None] * self.grid + columns][:, None]

    def weigh(self, net, mixed, mask, labels, draws):
        logits, share = class_share(net, self.watched, mixed, mask)
        kept = area(mask).expand(len(mixed))
        label = smooth(pair_target(labels, self.partner(labels, draws), kept), self.smoothing, logits.shape[1])
        trust = F.cosine_similarity(label, logits.float().softmax(1))
        trust = trust if self.cosine_gradient else trust.detach()
        return logits, kept + trust * (share - kept)
