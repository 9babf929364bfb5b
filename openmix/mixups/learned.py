"""Masks that are learned beside the classifier: what AutoMix, SAMix and AdAutoMix share, whatever their block is."""
import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import functional, probes
from ..checks import image_shape, number, switch
from ..momentum import cosine_down, follow, follow_rate
from ..sampling import beta
from ..target import as_target
from .base import MixMethod
from .mixblock import UPSAMPLE, start_small

CLASSIFIER, BLOCK = 1, 2  # the two pairings of a step: the classifier learns from one, the block from the other
MASK_LOSS_PER = ("batch", "sample")


class LearnedMix(MixMethod):
    """A block makes the masks. It learns together with the classifier, and never touches the classifier's gradient.

    A momentum teacher (names in k; the network itself is q) computes the features for the block. There are four losses:
    the network on clean images (one_q) and, with a second head, on mixed ones (mix_q); the teacher with its second head
    on images of another pairing (mix_k), whose gradient passes only through the images and trains the block; and
    ``mask_loss`` times :meth:`mask_error`. Labels are weighted by the drawn ``lam``.

    The teacher's parameters are a moving average of the network's. Its BN statistics come from its own forward passes.
    :meth:`attach` makes it as a copy and needs ``layer`` to run once a pass. Call ``attach`` again after loading
    weights. A subclass defines :meth:`make_block`.

    Args:
        alpha: Beta parameter of ``lam``.
        layer: its output is the block's input: maps (N, C, h, w) or tokens (N, L, C). ResNets for CIFAR: ``layer3``,
            Wide-ResNets: ``layer2``.
        momentum, momentum_end, momentum_warmup: the teacher's momentum during the first ``momentum_warmup`` share of
            the run and at its end, a cosine between.
        mask_loss: weight of the mask loss. anneal_mask_loss: let it fall to 0 along a cosine (ImageNet).
        margin: distance of the masks' mean from ``lam`` without loss.
        mask_loss_per: ``"batch"``: the mean of all masks of a batch counts (paper); ``"sample"``: that of each.
        lam_margin: the classifier sees plain MixUp if ``lam`` is within this distance of 0 or 1.
        upsample: ``"nearest"`` or ``"bilinear"``, from the size of the maps to that of the images.
        channels: C of ``layer``; by default from a forward pass of an image of ``image_size``.
        image_size: side, or (C, H, W), of the network's images.
        classifier: name of the layer that makes the logits; by default the last ``nn.Linear``.
        prob: share of batches (or images) that the classifier sees mixed; the block learns from all.

    Raises:
        ValueError: a parameter out of its range; at :meth:`attach`, a layer the network does not have.
    """

    weight_from = "lam"
    needs = "learned"
    pairs = 2

    def __init__(self, alpha: float = 2.0, layer: str = "layer3", *, momentum: float = 0.999,
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
        for name, value, known in (("mask_loss_per", mask_loss_per, MASK_LOSS_PER), ("upsample", upsample, UPSAMPLE)):
            if value not in known:
                raise ValueError(f"{name} must be one of {known}, got {value!r}")
        self.layer, self.upsample, self.mask_loss_per = layer, upsample, mask_loss_per
        self.mask_loss, self.margin = number("mask_loss", mask_loss), number("margin", margin, 0, 1)
        self.anneal_mask_loss = switch("anneal_mask_loss", anneal_mask_loss)
        self.lam_margin = number("lam_margin", lam_margin, 0, 0.5)
        self.channels = None if channels is None else number("channels", channels, 1, whole=True)
        self.image_shape = image_shape("image_size", image_size)
        self.classifier = classifier
        self.block = self.head_mix = self.teacher = self.head_mix_k = None

    # -- modules -----------------------------------------------------------------------------------------------

    def make_block(self, channels: int) -> nn.Module:
        """What makes the masks: (first (N, C, h, w), second, lam (N,), size) -> the share of the first (N, 1, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} must define make_block()")

    def attach(self, net):
        """Make the block, the second head and the teacher. A second call only copies the network into the teacher."""
        net = probes.unwrap(net)[1]
        if self.teacher is not None:
            self.teacher.load_state_dict(net.state_dict())
            self.head_mix_k.load_state_dict(self.head_mix.state_dict())
            return
        name, head = probes.find_classifier(net, self.classifier)
        channels = self.channels or probes.layer_channels(net, self.layer, self.image_shape)
        device = next(net.parameters()).device
        self.head_mix, self.classifier = start_small(copy.deepcopy(head)), name
        self.block = self.make_block(channels).to(device)
        self.teacher = copy.deepcopy(net).requires_grad_(False)
        self.head_mix_k = copy.deepcopy(self.head_mix).requires_grad_(False)
        probes.plant(self.teacher, self.layer)

    def check_attached(self) -> None:
        """Raise ValueError unless :meth:`attach` was called."""
        if self.teacher is None:
            raise ValueError(f"{type(self).__name__} has no network: call method.attach(net) once, before the "
                             "optimizer is built from the parameters of both")

    @torch.no_grad()
    def after_step(self, net, progress):
        self.check_attached()
        rate = follow_rate(progress, self.momentum, self.momentum_end, self.momentum_warmup)
        teacher = [*self.teacher.parameters(), *self.head_mix_k.parameters()]
        follow(teacher, [*probes.unwrap(net)[1].parameters(), *self.head_mix.parameters()], rate)

    def networks(self, net):
        """``mix_k``, ``one_k`` (teacher) and ``mix_q``, ``one_q`` (network); each has a plain network's state dict."""
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
    def features(self, images: Tensor) -> Tensor:
        """The teacher's features for the block, (N, C, h, w). Updates its BN statistics in training mode."""
        features = probes.watch(self.teacher, self.layer, lambda: self.teacher(images))
        return probes.as_map(features, images.shape[2:])

    @torch.no_grad()  # the classifier's loss does not reach the block: half of it needs no backward pass
    def classifier_mask(self, features: Tensor, draws: dict, size) -> tuple[Tensor, Tensor]:
        """The mask (N, 1, H, W) of what the classifier sees and its lam (N,)."""
        n = len(features)
        mask = self.block(features, self.partner(features, draws, CLASSIFIER), draws["lam"].expand(n), size)
        lam = self.drawn_lam(draws).expand(n)
        plain = (lam <= self.lam_margin) | (lam >= 1 - self.lam_margin)
        return torch.where(plain[:, None, None, None], lam[:, None, None, None], mask), lam

    def block_mask(self, features: Tensor, draws: dict, size) -> tuple[Tensor, Tensor]:
        """The mask (N, 1, H, W) that trains the block and its lam (N,)."""
        lam = draws["lam_block"].expand(len(features))
        return self.block(features, self.partner(features, draws, BLOCK), lam, size), lam

    def mask_error(self, mask: Tensor, lam: Tensor) -> Tensor:
        """The distance of the masks' mean from ``lam`` beyond ``margin``."""
        share = mask.flatten(1).mean(1)
        if self.mask_loss_per == "batch":
            share, lam = share.mean(), lam.mean()
        return F.relu((share - lam).abs() - self.margin).mean()

    def classifier_losses(self, net, images, labels, criterion, features, draws) -> dict[str, Tensor]:
        """The losses that train the network: one_q and mix_q."""
        mask, lam = self.classifier_mask(features, draws, images.shape[2:])
        mixed = functional.blend(images, self.partner(images, draws, CLASSIFIER), mask)
        one_q = net(images)
        mix_q = probes.with_head(net, self.head_mix, self.classifier, mixed)
        return dict(loss_one_q=criterion(one_q, self.maybe_dense(as_target(labels))),
                    loss_mix_q=criterion(mix_q, self.target(labels, lam, draws, CLASSIFIER)))

    def losses(self, net, images, labels, criterion, draws, progress) -> dict[str, Tensor]:
        """The parts of the loss by name; their sum is trained."""
        features = self.features(images)
        parts = self.classifier_losses(net, images, labels, criterion, features, draws)
        mask, lam = self.block_mask(features, draws, images.shape[2:])
        mixed = functional.blend(images, self.partner(images, draws, BLOCK), mask)
        mix_k = probes.with_head(self.teacher, self.head_mix_k, self.classifier, mixed)
        mask_weight = self.mask_loss * cosine_down(progress) if self.anneal_mask_loss else self.mask_loss
        return dict(parts, loss_mix_k=criterion(mix_k, self.target(labels, lam, draws, BLOCK)),
                    loss_mask=mask_weight * self.mask_error(mask, lam))

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        """``loss`` and, for the log, its parts."""
        self.check_attached()
        draws = self.prepare_loss(images, labels, draws)
        parts = self.losses(net, images, labels, criterion, draws, progress)
        return dict(loss=sum(parts.values()), **{name: part.detach() for name, part in parts.items()})

    @torch.no_grad()
    def details(self, images, draws, net=None, labels=None):
        """The classifier's pairing; no statistics change."""
        self.check_attached()
        draws = self.prepare(images, draws)
        with probes.keeping_buffers(self.teacher, self.block):
            mask, lam = self.classifier_mask(self.features(images), draws, images.shape[2:])
        return dict(lam=lam, mask=mask, partner=self.partner_index(len(images), draws, images.device, CLASSIFIER))
