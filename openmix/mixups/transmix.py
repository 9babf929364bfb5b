"""TransMix: Chen et al., "TransMix: Attend to Mix for Vision Transformers", CVPR 2022, arXiv 2111.09833."""
from .. import attention, functional
from ..checks import number
from .attended import AttendedMask, area, box_draws, class_share


class TransMix(AttendedMask):
    """CutMix whose label weights follow the attention of the class token to the mixed image.

    ``lam`` of an image is half the area kept and half the share of attention that falls on it. The attention is that
    of the last layer in the forward pass that trains, averaged over heads and without gradient.

    The paper's recipe for DeiT mixes 20 % of the batches by MixUp instead::

        dict(type="RandomChoice", methods=[dict(type="TransMix"), dict(type="MixUp", alpha=0.8)], p=[0.8, 0.2])

    Args:
        alpha: Beta parameter of the area kept, before the box is clipped at the border.
        attention_share: share of the attention in ``lam``; the area has the rest.

    Raises:
        ValueError: a parameter out of its range; in :meth:`attach`, a network without class token or plain attention.
    """

    paper = 'Chen et al., "TransMix: Attend to Mix for Vision Transformers", arXiv 2111.09833'
    year = 2022
    venue = "CVPR"
    passes = "none"
    defaults = {"CIFAR": dict(alpha=1.0), "ImageNet": dict(alpha=1.0)}

    def __init__(self, alpha: float = 1.0, *, attention_share: float = 0.5, **kwargs):
        super().__init__(alpha, **kwargs)
        self.attention_share = number("attention_share", attention_share, 0, 1)
        self.watched = ""  # the last attention layer

    def attach(self, net):
        self.watched = attention.last_attention(net)

    def draw(self, n, size, generator=None, steps=(), device=None):
        functional.check_sides(size, "TransMix")
        draws = super().draw(n, size, generator, steps, device)
        return box_draws(draws, size, 1, generator, device)

    def mask(self, images, draws):
        return functional.box_mask(draws["box"], images.shape[2:])

    def weigh(self, net, mixed, mask, labels, draws):
        logits, share = class_share(net, self.watched, mixed, mask)
        return logits, area(mask) + self.attention_share * (share - area(mask))
