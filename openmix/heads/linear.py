"""The classifier on top of a backbone."""
import contextlib

import torch
from torch import Tensor, nn

from ..checks import is_whole

POOLS = {"avg": lambda x: x.mean((2, 3)), "max": lambda x: x.amax((2, 3))}


def float32(device: str):
    """A context without autocast; a null context where autocast is off, which is cheaper."""
    on = device != "meta" and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if on else contextlib.nullcontext()


class LinearHead(nn.Module):
    """Global pooling, then a linear layer ``fc``.

    Features (N, C, H, W) are pooled to (N, C); features (N, C) are not. The output is logits (N, num_classes).

    Args:
        in_channels: C; configs omit it, as the backbone has ``out_channels``.
        num_classes: number of classes.
        init_std: weights start as N(0, init_std^2) and biases as 0; ``None``: PyTorch's default of linear layers.
        pool: ``"avg"`` or ``"max"``.

    Raises:
        ValueError: a number of channels or classes that is not positive, an unknown pool.
    """

    def __init__(self, in_channels, num_classes, init_std=0.01, pool="avg"):
        super().__init__()
        if pool not in POOLS:
            raise ValueError(f"pool must be one of {tuple(POOLS)}, got {pool!r}")
        for name, value in dict(in_channels=in_channels, num_classes=num_classes).items():
            if not is_whole(value, 1):
                raise ValueError(f"LinearHead needs a positive integer {name}, got {value!r}")
        in_channels, num_classes = int(in_channels), int(num_classes)
        self.pool, self.in_channels = pool, in_channels
        self.fc = nn.Linear(in_channels, num_classes)
        if init_std is not None:
            nn.init.normal_(self.fc.weight, 0, init_std)
            nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        if features.ndim not in (2, 4) or features.shape[1] != self.in_channels:
            raise ValueError(f"LinearHead takes features (N, {self.in_channels}) or (N, {self.in_channels}, H, W), "
                             f"got {tuple(features.shape)}")
        features = POOLS[self.pool](features) if features.ndim == 4 else features
        fc = self.fc
        with float32(features.device.type):  # logits in bf16 would tie, and ties count as wrong
            return fc(features.to(fc.weight.dtype))
