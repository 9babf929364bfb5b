"""AttentiveMix: Walawalkar et al., "Attentive CutMix: An Enhanced Data Augmentation Approach for Deep Learning Based
Image Classification", ICASSP 2020, arXiv 2003.13048."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import functional
from ..checks import image_shape, number, switch
from ..frozen import Frozen, frozen
from .mask import MaskMethod


class AttentiveMix(MaskMethod):
    """Of each image the cells are kept that a teacher attends to most; the others show its partner.

    The cells are the positions of the teacher's last feature map (7x7 for images resized to 224), ordered by its mean
    over channels. The label weight is the share of kept pixels: cells differ by a pixel where they do not divide the
    side. The paper keeps 6 of 49 cells. The tables (AttentiveMix+) keep floor(49 * lam), at least one.

    Args:
        teacher: a network, or ``dict(type="Teacher", ...)`` in a config; only its features are used.
        alpha: Beta parameter of ``lam``; without effect where ``top_k`` is given.
        top_k: keep so many cells, whatever ``lam``.
        literal: as the published cells: batch norm of the teacher with the statistics of the batch, and for all
            images the label weight of the first.
        image_size: side, or (C, H, W), of the images, to find the teacher's last map before the first batch.

    Raises:
        TypeError: no network. ValueError: a parameter out of its range; images of fewer pixels than cells.
    """

    paper = ('Walawalkar et al., "Attentive CutMix: An Enhanced Data Augmentation Approach for Deep Learning Based '
             'Image Classification", arXiv 2003.13048')
    year = 2020
    venue = "ICASSP"
    passes = "one forward pass of the teacher"
    defaults = {"CIFAR": dict(alpha=2.0), "paper": dict(top_k=6)}

    def __init__(self, teacher, alpha: float = 2.0, *, top_k: int | None = None, literal: bool = False,
                 image_size=32, **kwargs):
        super().__init__(alpha, **kwargs)
        self.image_shape = image_shape("image_size", image_size)
        self.teacher, self.literal = frozen(teacher), switch("literal", literal)
        self.top_k = None if top_k is None else number("top_k", top_k, 1, whole=True)

    @classmethod
    def example(cls):
        return cls(Frozen(nn.Sequential(nn.AdaptiveAvgPool2d(7)), layer="0"))  # attends to what is bright

    def attach(self, net):
        self.teacher.attach(self.image_shape)

    def mask(self, images, draws):
        if not images.is_floating_point():
            raise ValueError(f"the teacher of AttentiveMix needs float images, got {images.dtype}; convert and "
                             "normalise them first")
        attention = self.teacher.features(images, batch_statistics=self.literal).mean(1)
        cells = attention[0].numel()
        if images.shape[2] < attention.shape[1] or images.shape[3] < attention.shape[2]:
            raise ValueError(f"AttentiveMix needs images of at least {attention.shape[1]}x{attention.shape[2]} pixels, "
                             f"the cells of its teacher, got {images.shape[2]}x{images.shape[3]}")
        if self.top_k is None:
            count = (draws["lam"] * cells).long().clamp(1, cells)
        else:
            count = torch.full_like(draws["lam"], min(self.top_k, cells)).long()
        keep = functional.ranks_to_mask(attention.flatten(1), count.expand(len(images)))
        return F.interpolate(keep.view_as(attention)[:, None].float(), size=images.shape[2:]).bool()

    def weight(self, mask: Tensor, draws):
        share = super().weight(mask, draws)
        return share[:1].expand_as(share) if self.literal else share

    def extra_repr(self):
        return f"{super().extra_repr()}, top_k={self.top_k}, literal={self.literal}"
