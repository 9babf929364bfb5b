"""SAMix: Li et al., "Boosting Discriminative Visual Representation Learning with Scenario-Agnostic Mixup".

arXiv 2111.15454.
"""
import pickle
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import probes
from ..checks import number
from ..workdir.files import last_checkpoint
from .learned import LearnedMix
from .mixblock import attention_logits, start_small

FROZEN = ("block", "teacher", "head_mix_k")  # the parts that SAMix-P takes from a finished run


def stretched(lam: Tensor, k: float | None) -> Tensor:
    """(4/3 lam^3 - 2 lam^2 + (1 + k) lam) / (1/3 + k): a curve through (0, 0), (1/2, 1/2) and (1, 1); None: ``lam``.

    It is steepest at the ends for a small ``k``, and nears the straight line for a large one.
    """
    return lam if k is None else ((lam * (4 / 3) - 2) * lam + 1 + k) * lam / (1 / 3 + k)


class SAMixBlock(nn.Module):
    """Attention over both images' features makes a mask.

    With lam' from :func:`stretched` the first features count (1 + lam') times and the second (2 - lam') times. Queries
    and keys are two 1x1 convolutions of both together, values a small network with batch norm of the second.
    ``sigmoid(upsample(softmax(Q K^T / sqrt(C / 2)) V))`` is the share of the second image.

    Args:
        channels: C of the features. lam_mul_k, upsample: as of :class:`SAMix`.
    """

    def __init__(self, channels: int, lam_mul_k: float | None = 0.25, upsample: str = "bilinear"):
        super().__init__()
        self.lam_mul_k, self.upsample, half = lam_mul_k, upsample, max(channels // 2, 1)
        self.query, self.key = (nn.Conv2d(2 * channels, half, 1) for _ in range(2))
        self.value = nn.Sequential(nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ELU(),
                                   nn.Conv2d(half, 1, 1, bias=False))
        start_small(self)

    def forward(self, first: Tensor, second: Tensor, lam: Tensor, size) -> Tensor:
        """The share of the first image, (N, 1, H, W) float32.

        Args:
            first, second: (N, C, h, w). lam: wanted share of the first, (N,). size: (H, W) of the images.
        """
        with torch.autocast(first.device.type, enabled=False):  # scores, statistics and masks need float32
            weight = stretched(lam, self.lam_mul_k)[:, None, None, None].to(self.query.weight.dtype)
            first, second = (values.to(weight.dtype) for values in (first, second))
            first, second = first * (1 + weight), second * (2 - weight)
            pair = torch.cat([first, second], 1)
            logits = attention_logits(self.query(pair), self.key(pair), self.value(second))
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            return torch.sigmoid(-F.interpolate(logits, size=tuple(size), mode=self.upsample))


class SAMix(LearnedMix):
    """AutoMix with a block that sees both images in queries and keys, and a reward for masks that vary.

    A step is that of :class:`~openmix.mixups.learned.LearnedMix`. The mask loss is ``mask_loss`` times
    ``max(|mean mask - lam| - margin, 0) - 2 * variance of the masks``, over the pixels of a batch; it may be negative.

    SAMix-P: with ``pretrained`` the block and the teacher come from a finished run of the same network and stay as they
    are, in eval mode. The losses are one_q and mix_q alone, and so are the networks: set ``val_cfg.network="mix_q"``.

    Args:
        alpha, layer, ...: as of :class:`~openmix.mixups.learned.LearnedMix`.
        lam_mul_k: how far the weight of the features bends from ``lam``, see :func:`stretched`. CIFAR and
            Tiny-ImageNet: 0.25; None, for larger images: not at all.
        pretrained: the work dir of a run with SAMix, whose last checkpoint counts, or a checkpoint (``epoch_<n>.pth``).
            It is read as plain data and never as code.

    Raises:
        ValueError: a parameter out of its range; at :meth:`attach`, a layer that the network does not have, or a
            checkpoint of something else. FileNotFoundError: at :meth:`attach`, no such checkpoint.
    """

    paper = ('Li et al., "Boosting Discriminative Visual Representation Learning with Scenario-Agnostic Mixup", '
             "arXiv 2111.15454")
    year = 2021
    venue = "arXiv"
    passes = "one forward and backward pass on clean images; two forward passes and one backward pass of a teacher"
    defaults = {"CIFAR": dict(alpha=2.0, lam_mul_k=0.25), "ImageNet": dict(alpha=2.0, lam_mul_k=None)}

    def __init__(self, alpha: float = 2.0, layer: str = "layer3", *, lam_mul_k: float | None = 0.25,
                 upsample: str = "bilinear", pretrained: str | None = None, **kwargs):
        super().__init__(alpha, layer, upsample=upsample, **kwargs)
        self.lam_mul_k = None if lam_mul_k is None else number("lam_mul_k", lam_mul_k)
        self.pretrained = pretrained

    def make_block(self, channels):
        return SAMixBlock(channels, self.lam_mul_k, self.upsample)

    def mask_error(self, mask, lam):
        mean = mask.mean((1, 2, 3), keepdim=True) if self.mask_loss_per == "sample" else mask.mean()
        return super().mask_error(mask, lam) - 2 * (mask - mean).square().mean()

    # -- SAMix-P -----------------------------------------------------------------------------------------------

    def attach(self, net):
        if self.pretrained is None:
            return super().attach(net)
        if self.teacher is None:  # what is frozen follows nothing
            super().attach(net)
            for name in FROZEN:
                getattr(self, name).requires_grad_(False)
            if torch.get_default_device().type != "meta":  # a dry run: shapes, and no weights
                self.load_frozen(self.pretrained)
            self.train(self.training)

    def load_frozen(self, path) -> None:
        """Take the parts in ``FROZEN`` from a run's checkpoint. Errors as of the class."""
        path = Path(path).expanduser()
        path = (last_checkpoint(path) or path) if path.is_dir() else path
        if not path.is_file():
            raise FileNotFoundError(f"SAMix(pretrained={str(path)!r}): no such checkpoint; train with SAMix first, and "
                                    "give the work dir of that run")
        path = str(path)
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ValueError(f"SAMix(pretrained={path!r}): no checkpoint that can be read as plain data "
                             f"({type(error).__name__})") from error
        weights = content.get("state_dict") if isinstance(content, dict) else None
        for name in FROZEN:
            part, start = getattr(self, name), f"mixup.{name}."
            own = {k.removeprefix(start): v for k, v in (weights or {}).items() if k.startswith(start)}
            try:
                part.load_state_dict(own)
            except RuntimeError as error:
                raise ValueError(f"SAMix(pretrained={path!r}) needs a checkpoint of a run with SAMix, the same network "
                                 f"and as many classes; its mixup.{name} does not fit: {error}") from error

    def train(self, mode: bool = True):
        super().train(mode)
        if self.pretrained is not None and self.teacher is not None:
            for name in FROZEN:
                getattr(self, name).eval()
        return self

    def after_step(self, net, progress):
        if self.pretrained is None:
            super().after_step(net, progress)

    def networks(self, net):
        networks = super().networks(net)
        return networks if self.pretrained is None else {name: networks[name] for name in ("mix_q", "one_q")}

    def predict(self, net, images):
        if self.pretrained is None:
            return super().predict(net, images)
        one_q, mix_q = probes.both_heads(net, self.head_mix, self.classifier, images)
        return dict(mix_q=mix_q, one_q=one_q)

    def losses(self, net, images, labels, criterion, draws, progress):
        if self.pretrained is None:
            return super().losses(net, images, labels, criterion, draws, progress)
        return self.classifier_losses(net, images, labels, criterion, self.features(images), draws)
