"""Hints of a teacher: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, arXiv 1412.6550."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import probes
from ..checks import image_shape, number


def channels(net: nn.Module, layer: str, shape) -> int:
    """Channels of what leaves ``layer``: of maps (N, C, h, w), tokens (N, L, C) or vectors (N, C)."""
    return as_map(torch.empty(1, *probes.layer_shape(net, layer, shape), device="meta"), shape[1:]).shape[1]


def as_map(features: Tensor, size) -> Tensor:
    """As :func:`openmix.probes.as_map`; vectors (N, C) as maps of one position."""
    return features[:, :, None, None] if features.ndim == 2 else probes.as_map(features, size)


class Hints(nn.Module):
    """Features of the network that shall be those of the teacher, and the regressors between them.

    Args:
        pairs: (layer of the network, layer of the teacher).
        weight: factor of the loss.
        stage: share of the run, at its start, that trains the hints alone; 0: they are a term of the loss all along.
        image_size: side, or (C, H, W), of the network's images.

    Raises:
        ValueError: no pairs of names, or a number out of its range; at :meth:`attach`, a layer that is not there.
    """

    def __init__(self, pairs, weight: float, stage: float, image_size):
        super().__init__()
        self.pairs = [tuple(pair) for pair in pairs]
        if not all(len(pair) == 2 and all(isinstance(name, str) and name for name in pair) for pair in self.pairs):
            raise ValueError("hints must be pairs of names, [(layer of the network, layer of the teacher), ...], got "
                             f"{pairs!r}")
        self.weight, self.stage = number("hint_weight", weight), number("hint_stage", stage, 0, 1)
        self.image_shape, self.regressors = image_shape("image_size", image_size), nn.ModuleList()
        self.sizes = self.image_shape[1:], self.image_shape[1:]  # (H, W) of the network's and the teacher's images

    def attach(self, net: nn.Module, teacher: nn.Module, side: int | None) -> None:
        """Plant listeners, and make a 1x1 convolution for each pair. ``side``: of the teacher's images, if another."""
        new = not self.regressors
        if side is not None:
            self.sizes = self.image_shape[1:], (side, side)
        for own, its in self.pairs:
            probes.listener(probes.find_layer(net, own))
            probes.listener(probes.find_layer(teacher, its))
            if new:
                shape = self.image_shape if side is None else (self.image_shape[0], side, side)
                layer = nn.Conv2d(channels(net, own, self.image_shape), channels(teacher, its, shape), 1)
                self.regressors.append(layer.to(next(net.parameters()).device))

    def loss(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """The sum over all pairs of the mean squared difference, after regressor and bilinear resizing."""
        total = 0.0
        for regressor, own, its in zip(self.regressors, student, teacher, strict=True):
            own, its = regressor(as_map(own, self.sizes[0])).float(), as_map(its, self.sizes[1])
            if own.shape[2:] != its.shape[2:]:
                own = F.interpolate(own, size=its.shape[2:], mode="bilinear")
            total = total + F.mse_loss(own, its.float())
        return total

    def add(self, loss: Tensor, hint: Tensor, progress) -> Tensor:
        """The loss with that of the hints, for the stage at ``progress`` (a number, or a tensor in captured steps)."""
        if self.stage == 0:
            return loss + self.weight * hint
        first = progress < self.stage
        first = first.to(loss.dtype) if isinstance(first, Tensor) else float(first)
        return first * self.weight * hint + (1 - first) * loss
