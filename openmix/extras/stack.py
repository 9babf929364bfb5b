"""Small networks that are trained side by side, such as one for each seed."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def network(outputs: int, width: int = 512) -> nn.Sequential:
    """2 -> three hidden layers of ReLU -> ``outputs``: the generator (2) and the discriminator (1)."""
    sizes = [2, width, width, width]
    layers = [layer for a, b in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class Stack(nn.Module):
    """Networks of the same layers as one: points (S, n, 2) -> (S, n, outputs), network s for ``points[s]``."""

    def __init__(self, nets: Sequence[nn.Sequential]):
        super().__init__()
        layers = [[layer for layer in net if isinstance(layer, nn.Linear)] for net in nets]
        same = list(zip(*layers, strict=True))  # the k-th layer of each network
        self.weights = nn.ParameterList(torch.stack([layer.weight.T for layer in k]).detach() for k in same)
        self.biases = nn.ParameterList(torch.stack([layer.bias[None] for layer in k]).detach() for k in same)

    def forward(self, points: Tensor) -> Tensor:
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            points = torch.baddbmm(bias, points.relu() if k else points, weight)
        return points
