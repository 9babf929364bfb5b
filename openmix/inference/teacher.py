"""A trained network by config, as a part of a mixing method."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import number
from ..frozen import Frozen
from ..models import build_net
from ..models.net import Net
from ..registry import BACKBONES, HEADS
from .output_cache import OutputCache
from .weights import load_weights

__all__ = ["Teacher"]

PRETRAINED = ("weights", "pretrained")  # options of torchvision's and timm's networks


class Teacher(Frozen):
    """A frozen network: in eval mode, without gradients, and not in checkpoints (its config makes it again).

    It is built and its weights are read at the first use: when a method is attached to the network that it trains.

    Args:
        backbone: config or module, e.g. ``dict(type="ResNet", depth=18)``; that of torchvision or timm may have their
            pretrained weights (``weights="IMAGENET1K_V1"``, ``pretrained=True``).
        head, num_classes: as of the classifier. Without both the teacher has :meth:`features` and no logits.
        checkpoint: work dir or checkpoint of a run, a published file, or a state dict of others (``.pth``,
            ``.safetensors``). Read as plain data, never as code.
        mean, std: of the images that the teacher was trained on, in units of pixel / 255; by default those that the
            file names.
        seen_mean, seen_std: how the images that come in are normalised (``data_preprocessor`` of the config). Without
            them the images are taken as they are.
        size: side in pixels to which images are resized (bilinear); by default they are not.
        layer: where :meth:`features` looks; by default the last layer with more than one position.
        cache: folder in which the logits of each batch are stored, for runs that see the same batch again: those of
            the same seed and augmentation, on this machine's CPU. By default they are not.

    Raises:
        ValueError: unknown names or keys; a mean without its std, or without those of the images; at the first use,
            weights of another network or of another number of classes, logits of a teacher without weights or head.
        FileNotFoundError: at the first use, no such file.
    """

    def __init__(self, backbone, head=None, num_classes=None, checkpoint=None, mean=None, std=None, seen_mean=None,
                 seen_std=None, size=None, layer=None, cache=None):
        super().__init__(None, layer)
        for part, value, registry in (("backbone", backbone, BACKBONES), ("head", head, HEADS)):
            if isinstance(value, dict):
                registry.check(value, f"teacher.{part}")
            elif not isinstance(value, nn.Module) and (part == "backbone" or value is not None):
                raise TypeError(f"teacher.{part} must be dict(type=...) or a module, got {value!r}")
        if (mean is None) != (std is None) or (seen_mean is None) != (seen_std is None):
            raise ValueError("mean and std go together, and so do seen_mean and seen_std")
        if mean is not None and seen_mean is None:
            raise ValueError("a teacher with mean and std needs seen_mean and seen_std, the normalisation of the "
                             "images that come in: those of the config's data_preprocessor")
        self.parts = dict(backbone=backbone, head=head, num_classes=num_classes)
        self.checkpoint, self.own, self.seen = checkpoint, (mean, std), (seen_mean, seen_std)
        self.size = None if size is None else number("size", size, 1, whole=True)
        self.cache = None if cache is None else OutputCache(cache)
        self.register_buffer("scale", None, persistent=False)
        self.register_buffer("shift", None, persistent=False)
        self.renormalise(*self.own)

    @property
    def is_trained(self) -> bool:
        """Whether weights come from anywhere."""
        backbone = self.parts["backbone"]
        return self.checkpoint is not None or isinstance(backbone, nn.Module) or any(
            backbone.get(key) for key in PRETRAINED)

    @property
    def has_logits(self) -> bool:
        return self.parts["head"] is not None or self.parts["num_classes"] is not None

    def load(self):
        if self._hidden:
            return
        parts, dry = dict(self.parts), torch.get_default_device().type == "meta"  # a dry run: shapes, and no weights
        if dry and isinstance(parts["backbone"], dict):
            parts["backbone"] = {k: v for k, v in parts["backbone"].items() if k not in PRETRAINED}
        with torch.random.fork_rng(devices=[]):  # the run's random numbers do not depend on the teacher
            net = build_net(**parts) if self.has_logits else Net(BACKBONES.build(parts["backbone"]), nn.Identity())
        if self.checkpoint is not None and not dry:
            try:
                load_weights(net, self.checkpoint, new_head=False)
            except FileNotFoundError as error:
                raise FileNotFoundError(f"weights of the teacher: {error}. Put them there, or name other weights: "
                                        "teacher.checkpoint takes a work dir or a file") from error
            file = getattr(net, "trained_on", {})
            if None in self.own and None not in (file.get("mean"), file.get("std")):
                self.renormalise(file["mean"], file["std"])
        self.hide(net)

    def renormalise(self, mean, std) -> None:
        """From here on images come in as ``seen`` and reach the network with this mean and std."""
        if mean is None or self.seen[0] is None:
            return
        every = tuple(tuple(values) for values in (mean, std, *self.seen))
        if len({len(values) for values in every}) > 1 or min(every[1]) <= 0:
            raise ValueError("mean, std, seen_mean and seen_std are one number a channel, and std is positive, got "
                             f"{', '.join(map(str, every))}")
        if every[:2] != every[2:]:
            mean, std, seen_mean, seen_std = (torch.tensor(values).view(1, -1, 1, 1) for values in every)
            self.scale, self.shift = seen_std / std, (seen_mean - mean) / std

    def view(self, images: Tensor) -> Tensor:
        """``images`` (N, C, H, W) in the teacher's size and normalisation."""
        if self.scale is not None:
            images = torch.addcmul(self.shift.to(images), images, self.scale.to(images))
        if self.size is None or images.shape[-2:] == (self.size, self.size):
            return images
        return F.interpolate(images, size=(self.size, self.size), mode="bilinear")

    def check_trained(self) -> None:
        """Raise ValueError where the weights are random: a pass would be of no use."""
        if not self.is_trained:
            raise ValueError("this teacher has random weights; give checkpoint=FILE or a work dir, or a backbone of "
                             "torchvision or timm with their weights")

    def features(self, images, batch_statistics=False):
        self.check_trained()
        return super().features(images, batch_statistics)

    def forward(self, images):
        self.check_trained()
        if not self.has_logits:
            raise ValueError("this teacher has no classifier; give num_classes, and a checkpoint with its weights")
        return super().forward(images)

    def outputs(self, images):
        if self.cache is None or images.is_meta or torch.compiler.is_compiling():
            return super().outputs(images)
        return self.cache.read(images, self)
