"""AdAutoMix: Qin et al., "Adversarial AutoMixup", ICLR 2024, arXiv 2312.11954."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import probes
from ..checks import number, switch
from ..sampling import beta, uniform
from ..target import as_target, mix_target
from .learned import LearnedMix
from .mixblock import attention_logits, start_small

SLOTS = 3  # images of a mixture
CLASSIFIER, BLOCK = (1, 2), (3, 4)  # pairings that the other slots of either mixture come from; the first is the image


def mix(shown: Tensor, masks: Tensor) -> Tensor:
    """The sum of images ``shown`` (N, M, C, H, W), each by its share ``masks`` (N, M, H, W or 1, 1)."""
    return (shown * masks[:, :, None].to(shown.dtype)).sum(1)


class AdaptiveMask(nn.Module):
    """Each image attends to all others of the mixture; a softmax over the images makes the masks.

    ``softmax(Q_i (sum_{j != i} K_j)^T / sqrt(C / 2)) V_i`` is the logit of image i, position by position. Queries and
    keys are two 1x1 convolutions with ReLU, values a third one. They start near 0, so masks start near 1 / M.

    Args:
        channels: C of the features. upsample: ``"nearest"`` or ``"bilinear"``, to the size of the images.
    """

    def __init__(self, channels: int, upsample: str = "bilinear"):
        super().__init__()
        self.upsample, half = upsample, max(channels // 2, 1)
        self.query, self.key = (nn.Sequential(nn.Conv2d(channels, half, 1), nn.ReLU()) for _ in range(2))
        self.value = nn.Conv2d(channels, 1, 1)
        start_small(self)

    def forward(self, features: Tensor, size) -> Tensor:
        """The share of each image, (N, M, H, W) float32, from ``features`` (N, M, C, h, w); ``size`` is (H, W)."""
        with torch.autocast(features.device.type, enabled=False):  # scores and masks lose too much in half precision
            n, slots = features.shape[:2]
            features = features.flatten(0, 1).to(self.value.weight.dtype)
            key = self.key(features).unflatten(0, (n, slots))
            others = (key.sum(1, keepdim=True) - key).flatten(0, 1)
            logits = attention_logits(self.query(features), others, self.value(features))
            logits = logits.reshape(n, slots, *logits.shape[2:]).to(torch.promote_types(logits.dtype, torch.float32))
            return F.interpolate(logits, size=tuple(size), mode=self.upsample).softmax(1)


class AdAutoMix(LearnedMix):
    """Three images are mixed, and in every second step the block makes mixtures that are hard for the teacher.

    Teacher, heads and networks are those of :class:`~openmix.mixups.learned.LearnedMix`. The classifier learns from
    half of CE on clean images (one_q) and half on their plain mixture with weights ``lam`` (mixup_q), and from the
    mixture by masks (mix_q). In a plain step the block learns from the teacher's CE on a mixture of another pairing
    (mix_k). In an adversarial step its loss is ``-beta * CE + (1 - beta) * cosine``, with the mean cosine between the
    teacher's logits of the mixture and of its images, weighted by ``lam``. The first step of an epoch is adversarial,
    then every second; of batches drawn one by one, as in a loop of one's own, half are. Labels are weighted by the
    drawn ``lam``.

    The teacher sees the clean batch once a step, for features and logits. The authors' code runs it four times, which
    moves its BN statistics nearer to those of clean images.

    Args:
        alpha: the three weights are drawn from Beta(alpha, alpha) and divided by their sum.
        beta: weight of CE in an adversarial step.
        maximise_cosine: let an adversarial step keep the mixture close to its images. The authors' code minimises the
            cosine.
        lam_margin: the classifier sees the plain mixture if the first weight is within this distance of 0 or 1.
        layer, momentum, momentum_end, momentum_warmup, upsample, channels, image_size, classifier: as of
            :class:`~openmix.mixups.learned.LearnedMix`.

    Raises:
        ValueError: a parameter out of its range; at :meth:`attach`, a layer the network does not have.
    """

    pairs = 4

    paper = 'Qin et al., "Adversarial AutoMixup", arXiv 2312.11954'
    year = 2024
    venue = "ICLR"
    passes = ("two forward and backward passes, on clean images and on their plain mixture; two forward passes and one "
              "backward pass of a teacher")
    defaults = {"CIFAR": dict(alpha=1.0, beta=0.3, lam_margin=0.03)}

    def __init__(self, alpha: float = 1.0, layer: str = "layer3", *, beta: float = 0.3, maximise_cosine: bool = False,
                 momentum: float = 0.999, momentum_end: float = 0.999999, momentum_warmup: float = 0.1,
                 lam_margin: float = 0.03, upsample: str = "bilinear", channels: int | None = None, image_size=32,
                 classifier: str | None = None, prob: float = 1.0, per_sample: bool = False, pairing: str = "roll",
                 num_classes: int | None = None, mix_rate: float = 1.0):
        super().__init__(alpha, layer, momentum=momentum, momentum_end=momentum_end, momentum_warmup=momentum_warmup,
                         lam_margin=lam_margin, upsample=upsample, channels=channels, image_size=image_size,
                         classifier=classifier, prob=prob, per_sample=per_sample, pairing=pairing,
                         num_classes=num_classes, mix_rate=mix_rate)
        self.beta = number("beta", beta, 0, 1)
        self.maximise_cosine = switch("maximise_cosine", maximise_cosine)

    def make_block(self, channels):
        return AdaptiveMask(channels, self.upsample)

    def draw(self, n, size, generator=None, steps=(), device=None):
        rows = (*steps, n if self.per_sample else 1)
        lam = beta(self.alpha, (*rows, SLOTS), generator, device)
        draws = dict(lam=lam / lam.sum(-1, keepdim=True), **self.draw_common(n, generator, steps, device))
        if steps:
            draws["adversarial"] = (torch.arange(math.prod(steps), device=lam.device) % 2 == 0).reshape(*steps, 1)
        else:  # a loop of one's own, which draws batch by batch
            draws["adversarial"] = uniform(0, 1, (1,), generator, device) < 0.5
        return draws

    # -- a step ------------------------------------------------------------------------------------------------

    def sources(self, n: int, draws: dict, pairings, device) -> Tensor:
        """Which images each mixture is made of, (N, 3) int64: itself and its partners of ``pairings``."""
        partners = [self.partner_index(n, draws, device, k) for k in pairings]
        return torch.stack([torch.arange(n, device=device), *partners], 1)

    def weights(self, n: int, draws: dict) -> Tensor:
        """The weights of the classifier's mixtures, (N, 3): the first alone where an image stays unmixed."""
        first = (torch.arange(SLOTS, device=draws["lam"].device) == 0).to(draws["lam"].dtype)
        return self.keep_unmixed(draws["lam"], draws, first).expand(n, SLOTS)

    @torch.no_grad()
    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The teacher's features for the block, (N, C, h, w), and its mix_k logits, from one pass."""
        logits = []
        features = probes.watch(self.teacher, self.layer, lambda: logits.append(
            probes.with_head(self.teacher, self.head_mix_k, self.classifier, images)))
        return probes.as_map(features, images.shape[2:]), logits[0]

    @torch.no_grad()
    def classifier_masks(self, features: Tensor, sources: Tensor, lam: Tensor, size) -> Tensor:
        """The masks (N, 3, H, W) of what the classifier sees."""
        plain = (lam[:, 0] <= self.lam_margin) | (lam[:, 0] >= 1 - self.lam_margin)
        return torch.where(plain[:, None, None, None], lam[:, :, None, None], self.block(features[sources], size))

    def losses(self, net, images, labels, criterion, draws, progress):
        n, size = len(images), images.shape[2:]
        features, logits = self.features_and_logits(images)
        lam, sources = self.weights(n, draws), self.sources(n, draws, CLASSIFIER, images.device)
        target, shown = self.maybe_dense(mix_target(labels, sources, lam)), images[sources]
        mixed = mix(shown, self.classifier_masks(features, sources, lam, size))
        one_q = net(images)
        mixup_q, mix_q = (probes.with_head(net, self.head_mix, self.classifier, x)
                          for x in (mix(shown, lam[:, :, None, None]), mixed))
        parts = dict(loss_one_q=criterion(one_q, self.maybe_dense(as_target(labels))) / 2,
                     loss_mixup_q=criterion(mixup_q, target) / 2, loss_mix_q=criterion(mix_q, target))

        lam, sources = draws["lam"].expand(n, SLOTS), self.sources(n, draws, BLOCK, images.device)
        mixed = mix(images[sources], self.block(features[sources], size))
        mix_k = probes.with_head(self.teacher, self.head_mix_k, self.classifier, mixed)
        cosine = (lam * F.cosine_similarity(mix_k[:, None].float(), logits[sources].float(), dim=2)).sum(1).mean()
        hard = draws["adversarial"].squeeze()  # a number on the device: one program for both kinds of steps
        sign = -1.0 if self.maximise_cosine else 1.0
        error = criterion(mix_k, self.maybe_dense(mix_target(labels, sources, lam)))
        return dict(parts, loss_mix_k=torch.where(hard, -self.beta, 1.0) * error,
                    loss_cosine=torch.where(hard, sign * (1 - self.beta), 0.0) * cosine)

    @torch.no_grad()
    def details(self, images, draws, net=None, labels=None):
        """The classifier's pairing; no statistics change."""
        self.check_attached()
        draws, n = self.prepare(images, draws), len(images)
        lam, sources = self.weights(n, draws), self.sources(n, draws, CLASSIFIER, images.device)
        with probes.keeping_buffers(self.teacher):
            features = self.features(images)
        return dict(sources=sources, weights=lam,
                    masks=self.classifier_masks(features, sources, lam, images.shape[2:]))
