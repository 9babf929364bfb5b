"""What the tests of methods that learn their masks share, and a small transformer."""
import torch
import torch.nn.functional as F
from torch import nn

from openmix.mixups import AutoMix
from openmix.target import Target

SIZE = (32, 32)


def attached(net, kind=AutoMix, **options):
    """A method, its block with weights that make masks differ from pixel to pixel, and the net; always the same."""
    method = kind(**options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method.attach(net)
        for layer in method.block.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.5)
    return method, net


def cross_entropy(logits, target):
    dense = target.dense(logits.shape[1]) if isinstance(target, Target) else target
    return F.cross_entropy(logits.float(), dense)


def draws_for(method, n=6, seed=0, **fixed):
    """Draws of which some are set: ``lam=0.3``."""
    draws = method.draw(n, SIZE, torch.Generator().manual_seed(seed))
    return {**draws, **{name: torch.full_like(draws[name], value) for name, value in fixed.items()}}


def trainable(method, net):
    return [p for p in [*net.parameters(), *method.parameters()] if p.requires_grad]


def state(module):
    """Parameters and buffers as they are now."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Tokens(nn.Module):
    """A small vision transformer for 32 x 32: patches of 8 x 8, a class token, encoder blocks with the batch first."""

    def __init__(self, width=12):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(width, 2, 16, dropout=0.0, batch_first=True)
                                    for _ in range(2))
        self.fc = nn.Linear(width, 10)

    def forward(self, images):
        assert images.shape[2:] == SIZE
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.fc(x[:, 0])
