"""TL-Align: Xiao et al., "Token-Label Alignment for Vision Transformers", ICCV 2023, arXiv 2210.06455."""
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import attention, functional
from ..checks import number
from .attended import AttendedMask, area, box_draws


def align(share: Tensor, layers: list[Tensor]) -> Tensor:
    """Shares of tokens after attention layers: in each, half of what a token attends to and half its own.

    Args:
        share: of the first label in each token, (N, L). layers: attention (N, L, L) whose rows sum to 1, in order.

    Returns:
        (N, L), the share after all layers.
    """
    for weights in layers:
        share = (torch.bmm(weights, share[..., None])[..., 0] + share) / 2
    return share


class TLAlign(AttendedMask):
    """CutMix whose labels travel through the network as the tokens do.

    Every token starts with the label of the image that it shows, the class token with both by area. Each attention
    layer gives a token half of the labels that it attends to and half its own. What the class token ends with is the
    target. There are two labels an image, so one share a token is enough.

    Args:
        alpha: Beta parameter of the area kept, before the box is clipped at the border.
        patch: boxes have borders on a grid of so many pixels, in the official code the patches of the network (16). A
            patch that a finer box cuts starts with both labels by area.

    Raises:
        ValueError: a parameter out of its range; in :meth:`attach`, a network without class token or plain attention.
    """

    paper = 'Xiao et al., "Token-Label Alignment for Vision Transformers", arXiv 2210.06455'
    year = 2023
    venue = "ICCV"
    passes = "none"
    defaults = {"ImageNet": dict(alpha=1.0, patch=16)}

    def __init__(self, alpha: float = 1.0, *, patch: int = 1, **kwargs):
        super().__init__(alpha, **kwargs)
        self.patch, self.watched = number("patch", patch, 1, whole=True), ()

    def attach(self, net):
        self.watched = tuple(attention.attention_layers(net))
        attention.plant_attention(net, self.watched)

    def draw(self, n, size, generator=None, steps=(), device=None):
        if size[0] % self.patch or size[1] % self.patch:
            raise ValueError(f"patch={self.patch} does not divide images of {size[0]}x{size[1]} pixels")
        functional.check_sides([side // self.patch for side in size], f"TLAlign(patch={self.patch})")
        draws = super().draw(n, size, generator, steps, device)
        return box_draws(draws, size, self.patch, generator, device)

    def mask(self, images, draws):
        return functional.box_mask(draws["box"], images.shape[2:])

    def weigh(self, net, mixed, mask, labels, draws):
        if not self.watched:
            raise ValueError("no attention layer is known: call method.attach(net) once, before the optimizer is built")
        logits = []
        layers = attention.attention(net, self.watched, lambda: logits.append(net(mixed)))
        n, tokens = layers[0].shape[:2]
        grid = attention.token_grid(tokens, mixed.shape[2:])
        patches = F.adaptive_avg_pool2d(mask.float(), grid).flatten(1).expand(n, -1)
        others = area(mask)[:, None].expand(n, tokens - patches.shape[1])  # the class token comes first
        return logits[0], align(torch.cat([others, patches], 1), layers)[:, 0].clamp(max=1)  # sums round
