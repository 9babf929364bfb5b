"""The mix block of AutoMix: two images' features and lam in, a mask out. Liu et al., ECCV 2022, arXiv 2103.13027."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

UPSAMPLE = ("nearest", "bilinear")


def start_small(module: nn.Module) -> nn.Module:
    """Draw the weights of all linear and convolution layers anew from N(0, 0.01^2), biases 0; returns ``module``."""
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


def attention_logits(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``softmax(Q K^T / sqrt(d)) V``, (N, 1, h, w), of queries and keys (N, d, h, w) and values (N, 1, h, w)."""
    scores = query.flatten(2).transpose(1, 2) @ key.flatten(2) / query.shape[1] ** 0.5
    return (scores.softmax(2) @ value.flatten(2).transpose(1, 2)).reshape(-1, 1, *query.shape[2:])


class MixBlock(nn.Module):
    """Cross attention between two feature maps makes a mask.

    ``sigmoid(softmax(Q K^T / sqrt(C / 2)) V)`` is the share of the second image, position by position: queries from
    the first map, keys (by the same convolution) and values from the second. The convolutions start near 0, so masks
    start near 1/2.

    Args:
        channels: C of the features.
        lam_concat: append a plane of ``lam`` to the first map and of ``1 - lam`` to the second. Without it the mask is
            a function of the two images alone.
        upsample: ``"nearest"`` or ``"bilinear"``, from the size of the maps to that of the images.
    """

    def __init__(self, channels: int, lam_concat: bool = True, upsample: str = "nearest"):
        super().__init__()
        if upsample not in UPSAMPLE:
            raise ValueError(f"upsample must be one of {UPSAMPLE}, got {upsample!r}")
        self.lam_concat, self.upsample = lam_concat, upsample
        self.query = nn.Conv2d(channels + lam_concat, max(channels // 2, 1), 1)
        self.value = nn.Conv2d(channels + lam_concat, 1, 1)
        start_small(self)

    def forward(self, first: Tensor, second: Tensor, lam: Tensor, size) -> Tensor:
        """The share of the first image, (N, 1, H, W) float32.

        Args:
            first, second: (N, C, h, w). lam: wanted share of the first, (N,). size: (H, W) of the images.
        """
        with torch.autocast(first.device.type, enabled=False):  # scores and masks lose too much in half precision
            first, second = (values.to(self.query.weight.dtype) for values in (first, second))
            if self.lam_concat:
                plane = lam.to(first.dtype)[:, None, None, None].expand(-1, 1, *first.shape[2:])
                first, second = torch.cat([first, plane], 1), torch.cat([second, 1 - plane], 1)
            logits = attention_logits(self.query(first), self.query(second), self.value(second))
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            return torch.sigmoid(-F.interpolate(logits, size=tuple(size), mode=self.upsample))
