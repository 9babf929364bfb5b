"""AutoMix: Liu et al., "AutoMix: Unveiling the Power of Mixup for Stronger Classifiers", ECCV 2022.

arXiv 2103.13027.
"""
import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from .. import functional, probes
from ..checks import image_shape, number, switch
from ..momentum import cosine_down, follow, follow_rate
from ..sampling import beta
from ..target import as_target
from .base import MixMethod
from .mixblock import MixBlock, start_small

STUDENT, BLOCK = 1, 2  # the two pairings of a step: the one the classifier learns from, the one the block learns from
MASK_LOSS_PER = ("batch", "sample")


class AutoMix(MixMethod):
    """A block learns the masks together with the classifier, and never touches the classifier's gradient.

    A momentum teacher (names in k; the network itself is q) computes the features for the :class:`MixBlock`. There are
    four losses: the network on clean images (one_q) and, with a second head, on mixed ones (mix_q); the teacher with
    its second head on images of another pairing (mix_k), whose gradient passes only through the images and trains the
    block; and ``mask_loss * max(|mean mask - lam| - margin, 0)``. Labels are weighted by the drawn ``lam``, as in the
    paper.

    The teacher's parameters are a moving average of the network's. Its BN statistics come from its own forward passes.
    :meth:`attach` makes it as a copy and needs ``layer`` to run once a pass. Call ``attach`` again after loading
    weights.

    Args:
        alpha: Beta parameter of ``lam``.
        layer: its output is the block's input: maps (N, C, h, w) or tokens (N, L, C). ResNets for CIFAR: ``layer3``,
            Wide-ResNets: ``layer2``.
        lam_concat: ``lam`` is an input of the block. It is not in the cells of the CIFAR-100 and Tiny-ImageNet tables,
            whose masks do not depend on ``lam``.
        momentum, momentum_end, momentum_warmup: the teacher's momentum during the first ``momentum_warmup`` share of
            the run and at its end, a cosine between.
        mask_loss: weight of the mask loss. anneal_mask_loss: let it fall to 0 along a cosine (ImageNet).
        margin: distance of the masks' mean from ``lam`` without loss.
        mask_loss_per: ``"batch"``: the mean of all masks of a batch counts (paper); ``"sample"``: that of each.
        lam_margin: the classifier sees plain MixUp if ``lam`` is within this distance of 0 or 1.
        upsample: ``"nearest"`` or ``"bilinear"``.
        channels: C of ``layer``; by default from a forward pass of an image of ``image_size``.
        image_size: side, or (C, H, W), of the network's images.
        classifier: name of the layer that makes the logits; by default the last ``nn.Linear``.
        prob: share of batches (or images) that the classifier sees mixed; the block learns from all.

    Raises:
        ValueError: a parameter out of its range; at :meth:`attach`, a layer the network does not have.
    """

    paper = 'Liu et al., "AutoMix: Unveiling the Power of Mixup for Stronger Classifiers", arXiv 2103.13027'
    year = 2022
    venue = "ECCV"
    passes = ("a forward and backward pass of the clean batch; by the teacher a forward pass of it, and a forward and "
              "backward pass of another mixture")
    defaults = dict(CIFAR=dict(alpha=2.0), ImageNet=dict(alpha=2.0))

    weight_from = "lam"
    needs = "learned"
    pairs = 2

    def __init__(self, alpha: float = 2.0, layer: str = "layer3", *, lam_concat: bool = True, momentum: float = 0.999,
                 momentum_end: float = 0.999999, momentum_warmup: float = 0.1, mask_loss: float = 0.1,
                 anneal_mask_loss: bool = False, margin: float = 0.1, mask_loss_per: str = "batch",
                 lam_margin: float = 0.08, upsample: str = "nearest", channels: int | None = None, image_size=32,
                 classifier: str | None = None, **kwargs):
        super().__init__(alpha, **kwargs)
        self.momentum = number("momentum", momentum, 0, 1)
        self.momentum_end = number("momentum_end", momentum_end, 0, 1)
        self.momentum_warmup = number("momentum_warmup", momentum_warmup, 0, 1)
        if self.momentum > self.momentum_end:
            raise ValueError("0 <= momentum <= momentum_end <= 1 must hold, got "
                             f"momentum={momentum!r} and momentum_end={momentum_end!r}")
        if mask_loss_per not in MASK_LOSS_PER:
            raise ValueError(f"mask_loss_per must be one of {MASK_LOSS_PER}, got {mask_loss_per!r}")
        lam_concat = switch("lam_concat", lam_concat)
        MixBlock(1, lam_concat, upsample)  # fail early on invalid options
        self.layer, self.lam_concat, self.upsample = layer, lam_concat, upsample
        self.mask_loss, self.margin = number("mask_loss", mask_loss), number("margin", margin, 0, 1)
        self.anneal_mask_loss = switch("anneal_mask_loss", anneal_mask_loss)
        self.mask_loss_per, self.lam_margin = mask_loss_per, number("lam_margin", lam_margin, 0, 0.5)
        self.channels = None if channels is None else number("channels", channels, 1, whole=True)
        self.image_shape = image_shape("image_size", image_size)
        self.classifier = classifier
        self.block = self.head_mix = self.teacher = self.head_mix_k = None

    # -- modules -----------------------------------------------------------------------------------------------

    def attach(self, net):
        """Make the block, the second head and the teacher. A second call only copies the network into the teacher."""
        net = probes.unwrap(net)[1]
        if self.teacher is not None:
            self.teacher.load_state_dict(net.state_dict())
            self.head_mix_k.load_state_dict(self.head_mix.state_dict())
            return
        name, head = probes.find_classifier(net, self.classifier)
        channels = self.channels or self.find_channels(net)
        device = next(net.parameters()).device
        self.head_mix, self.classifier = start_small(copy.deepcopy(head)), name
        self.block = MixBlock(channels, self.lam_concat, self.upsample).to(device)
        self.teacher = copy.deepcopy(net).requires_grad_(False)
        self.head_mix_k = copy.deepcopy(self.head_mix).requires_grad_(False)
        probes.plant(self.teacher, self.layer)

    def find_channels(self, net: nn.Module) -> int:
        """Channels of the layer's output. Raises ValueError where the network cannot take the image."""
        try:
            shape = probes.layer_shape(net, self.layer, self.image_shape)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"{type(net).__name__} cannot take an image of shape {self.image_shape} (C, H, W) to show "
                             f"the channels of layer {self.layer!r} ({error}); give image_size or channels") from error
        return probes.as_map(torch.empty(1, *shape, device="meta")).shape[1]

    def check_attached(self) -> None:
        """Raise ValueError unless :meth:`attach` was called."""
        if self.teacher is None:
            raise ValueError("AutoMix has no network: call method.attach(net) once, before the optimizer is "
                             "built from the parameters of both")

    @torch.no_grad()
    def after_step(self, net, progress):
        self.check_attached()
        rate = follow_rate(progress, self.momentum, self.momentum_end, self.momentum_warmup)
        teacher = [*self.teacher.parameters(), *self.head_mix_k.parameters()]
        follow(teacher, [*probes.unwrap(net)[1].parameters(), *self.head_mix.parameters()], rate)

    def networks(self, net):
        """``mix_k``, ``one_k`` (teacher) and ``mix_q``, ``one_q`` (network), images to logits.

        All share their parts with this method and ``net``; each ``state_dict()`` is that of a plain network.
        """
        self.check_attached()
        return dict(mix_k=probes.WithHead(self.teacher, self.head_mix_k, self.classifier), one_k=self.teacher,
                    mix_q=probes.WithHead(net, self.head_mix, self.classifier), one_q=net)

    def predict(self, net, images):
        self.check_attached()
        one_k, mix_k = probes.both_heads(self.teacher, self.head_mix_k, self.classifier, images)
        one_q, mix_q = probes.both_heads(net, self.head_mix, self.classifier, images)
        return dict(mix_k=mix_k, one_k=one_k, mix_q=mix_q, one_q=one_q)

    def check_images(self, images):
        self.check_maps(images)

    # -- a step ------------------------------------------------------------------------------------------------

    def draw(self, n, size, generator=None, steps=(), device=None):
        draws = super().draw(n, size, generator, steps, device)
        draws["lam_block"] = beta(self.alpha, draws["lam"].shape, generator, device)
        return draws

    @torch.no_grad()
    def features(self, images: Tensor, keep_statistics: bool = False) -> Tensor:
        """The teacher's features for the block, (N, C, h, w). Updates its BN statistics unless they are kept."""
        copies = {k: v.clone() for k, v in self.teacher.named_buffers()} if keep_statistics else {}
        return probes.as_map(probes.watch(self.teacher, self.layer,
                                          lambda: functional_call(self.teacher, copies, (images,))))

    def masks(self, features: Tensor, draws: dict, size) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """For the classifier and for the block: the mask (N, 1, H, W) and its lam (N,)."""
        n = len(features)
        lam, lam_block = draws["lam"].expand(n), draws["lam_block"].expand(n)
        with torch.no_grad():  # the classifier's loss does not reach the block: half of it needs no backward pass
            mask = self.block(features, self.partner(features, draws, STUDENT), lam, size)
        mask_block = self.block(features, self.partner(features, draws, BLOCK), lam_block, size)
        lam = self.drawn_lam(draws).expand(n)
        plain = (lam <= self.lam_margin) | (lam >= 1 - self.lam_margin)
        mask = torch.where(plain[:, None, None, None], lam[:, None, None, None], mask)
        return (mask, lam), (mask_block, lam_block)

    def mask_error(self, mask: Tensor, lam: Tensor) -> Tensor:
        """The distance of the masks' mean from ``lam`` beyond ``margin``."""
        share = mask.flatten(1).mean(1)
        if self.mask_loss_per == "batch":
            share, lam = share.mean(), lam.mean()
        return F.relu((share - lam).abs() - self.margin).mean()

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        """``loss`` and, for the log, its parts ``loss_one_q``, ``loss_mix_q``, ``loss_mix_k`` and ``loss_mask``."""
        self.check_attached()
        self.check_batch(images, labels)
        self.check_some(images)
        draws = self.prepare(images, draws)
        (mask_q, lam_q), (mask_k, lam_k) = self.masks(self.features(images), draws, images.shape[2:])
        mixed_q = functional.blend(images, self.partner(images, draws, STUDENT), mask_q)
        mixed_k = functional.blend(images, self.partner(images, draws, BLOCK), mask_k)
        one_q = net(images)
        mix_q = probes.with_head(net, self.head_mix, self.classifier, mixed_q)
        mix_k = probes.with_head(self.teacher, self.head_mix_k, self.classifier, mixed_k)
        parts = dict(
            loss_one_q=criterion(one_q, self.maybe_dense(as_target(labels))),
            loss_mix_q=criterion(mix_q, self.target(labels, lam_q, draws, STUDENT)),
            loss_mix_k=criterion(mix_k, self.target(labels, lam_k, draws, BLOCK)),
            loss_mask=self.mask_loss * self.mask_error(mask_k, lam_k),
        )
        if self.anneal_mask_loss:
            parts["loss_mask"] = parts["loss_mask"] * cosine_down(progress)
        return dict(loss=sum(parts.values()), **{name: part.detach() for name, part in parts.items()})

    @torch.no_grad()
    def details(self, images, draws, net=None, labels=None):
        """The classifier's pairing; no statistics change."""
        self.check_attached()
        draws = self.prepare(images, draws)
        (mask, lam), _ = self.masks(self.features(images, keep_statistics=True), draws, images.shape[2:])
        return dict(lam=lam, mask=mask, partner=self.partner_index(len(images), draws, images.device, STUDENT))
