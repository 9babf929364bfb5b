"""TransMix: Chen et al., "TransMix: Attend to Mix for Vision Transformers", CVPR 2022, arXiv 2111.09833."""
import torch
from torch import Tensor

from .. import attention, functional, probes, sampling
from ..checks import number
from .base import MixMethod
from .mask import MaskMethod


class TransMix(MaskMethod):
    """CutMix whose label weights follow the attention of the class token to the mixed image.

    ``lam`` of an image is half the area kept and half the share of attention that falls on it. The attention is that
    of the last layer in the forward pass that trains, averaged over heads and without gradient: no pass is added.

    The paper's recipe for DeiT mixes 20 % of the batches by MixUp instead::

        dict(type="RandomChoice", methods=[dict(type="TransMix"), dict(type="MixUp", alpha=0.8)], p=[0.8, 0.2])

    Args:
        alpha: Beta parameter of the area kept, before the box is clipped at the border.
        attention_share: share of the attention in ``lam``; the area has the rest.

    Raises:
        ValueError: a parameter out of its range; in :meth:`attach`, a network without class token or plain attention.
    """

    weight_from = "model"
    needs = "attention"
    paper = 'Chen et al., "TransMix: Attend to Mix for Vision Transformers", arXiv 2111.09833'
    year = 2022
    venue = "CVPR"
    passes = "none"
    defaults = {"CIFAR": dict(alpha=1.0), "ImageNet": dict(alpha=1.0)}

    def __init__(self, alpha: float = 1.0, *, attention_share: float = 0.5, **kwargs):
        super().__init__(alpha, **kwargs)
        self.attention_share = number("attention_share", attention_share, 0, 1)
        self.watched = ""  # the last attention layer

    def draw(self, n, size, generator=None, steps=(), device=None):
        functional.check_sides(size, type(self).__name__)
        draws = super().draw(n, size, generator, steps, device)
        centre = sampling.centres(size, draws["lam"].shape, generator, device)
        return {**draws, "box": functional.boxes(draws["lam"], centre, size)}

    def box(self, images, draws):
        return draws["box"]

    def attach(self, net):
        self.watched = attention.last_attention(net)

    def forward(self, images, labels, draws=None):
        return MixMethod.forward(self, images, labels, draws)  # the labels need a network

    def labelled(self, net, images: Tensor, draws: dict) -> tuple[Tensor, Tensor]:
        """Logits of the mixed batch, and ``lam`` (N,)."""
        box, _, _ = self.box_mask_lam(images, draws)
        mixed = functional.paste_box(images, lambda values: self.partner(values, draws), box)
        logits = []
        attended = attention.class_attention(net, self.watched, lambda: logits.append(net(mixed)), images.shape[2:])
        share = attention.attended_share(attended, functional.box_mask(box, images.shape[2:]))
        area = functional.share_outside(box, images.shape[2:])
        return logits[0], area + self.attention_share * (share - area)

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        self.check_batch(images, labels)
        self.check_some(images)
        draws = self.prepare(images, draws)
        logits, lam = self.labelled(net, images, draws)
        return dict(loss=criterion(logits, self.target(labels, lam, draws)))

    def details(self, images, draws, net=None, labels=None):
        """Without ``net``, ``lam`` is the area kept."""
        details = super().details(images, draws)
        if net is None:
            return {**details, "lam": details["mask"].flatten(1).mean(1)}
        with torch.no_grad(), probes.evaluating(net):
            return {**details, "lam": self.labelled(net, images, self.prepare(images, draws))[1]}
