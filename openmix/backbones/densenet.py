"""DenseNet-BC for small images: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, 1608.06993."""
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .init import init_weights


class AsBefore:
    """A context for recomputing what ``layer`` computes now: its present modes and parameters, copies of its buffers.

    Running statistics so count a batch once, and parameters that ``functional_call`` has put in are there again. The
    context can be entered again, for a second backward pass.
    """

    def __init__(self, layer: nn.Module):
        self.before = [(m, m.training, dict(m._parameters), {k: v.clone() for k, v in m._buffers.items()})
                       for m in layer.modules()]

    def __enter__(self):
        self.after = [(m, m.training, dict(m._parameters), dict(m._buffers)) for m, *_ in self.before]
        self.put(self.before)

    def __exit__(self, *error):
        self.put(self.after)

    @staticmethod
    def put(states) -> None:
        """Modes are set one by one: ``train()`` would change those of the children, too."""
        for module, training, parameters, buffers in states:
            module.training = training
            module._parameters.update(parameters)
            module._buffers.update(buffers)


class DenseLayer(nn.Module):
    """BN, ReLU, 1x1 convolution to 4 ``growth_rate`` channels; BN, ReLU, 3x3 convolution to ``growth_rate``.

    Takes the list of all maps before it in its block and gives the new ones alone.
    """

    def __init__(self, in_channels, growth_rate, recompute=False):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth_rate, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth_rate)
        self.conv2 = nn.Conv2d(4 * growth_rate, growth_rate, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.recompute = recompute

    def new_maps(self, *maps: Tensor) -> Tensor:
        x = self.conv1(self.relu(self.bn1(torch.cat(maps, 1))))
        return self.conv2(self.relu(self.bn2(x)))

    def forward(self, maps: list[Tensor]) -> Tensor:
        if not self.recompute or not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self.new_maps(*maps)
        return checkpoint(self.new_maps, *maps, use_reentrant=False, preserve_rng_state=False,  # it draws nothing
                          context_fn=lambda: (nullcontext(), AsBefore(self)))


class DenseBlock(nn.Sequential):
    """Layers whose outputs are appended to the block's input, channel by channel."""

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self:
            maps.append(layer(maps))
        return torch.cat(maps, 1)


class DenseNet(nn.Module):
    """DenseNet-BC-``depth`` for 32x32 images: dense blocks ``layer1`` to ``layer3``, 8x8 features after BN and ReLU.

    Between the blocks, ``transition1`` and ``transition2``: BN, ReLU, 1x1 convolution and 2x2 average pooling. The
    default is the mixup paper's network (25,624,430 parameters with 10 classes); ``depth=100, growth_rate=12`` is the
    small one (769,162).

    Args:
        depth: 6n + 4 layers (22, 40, 100, 190 ...), n in each block.
        growth_rate: channels that each layer adds; the stem has twice as many.
        compression: share of the channels after a transition.
        in_channels: of the images.
        recompute: store only the outputs of layers and recompute the rest in the backward pass. This needs a fraction
            of the memory and the time of one more forward pass, with the same numbers. Compiled networks ignore it.

    Raises:
        ValueError: depth is not 6n + 4, a growth rate or compression out of range, or images below 4x4.
    """

    def __init__(self, depth=190, growth_rate=40, compression=0.5, in_channels=3, recompute=False):
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth must be 6n + 4 (22, 40, 100, 190 ...), got {depth!r}")
        if not isinstance(growth_rate, int) or growth_rate < 1:
            raise ValueError(f"growth_rate must be a positive integer, got {growth_rate!r}")
        if not 0 < compression <= 1:
            raise ValueError(f"compression must lie in (0, 1], got {compression!r}")
        count, channels = (depth - 4) // 6, 2 * growth_rate
        self.conv1 = nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False)
        for i in (1, 2, 3):
            layers = [DenseLayer(channels + k * growth_rate, growth_rate, recompute) for k in range(count)]
            self.add_module(f"layer{i}", DenseBlock(*layers))
            channels += count * growth_rate
            if i < 3:
                width = int(channels * compression)
                self.add_module(f"transition{i}", nn.Sequential(
                    nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, width, 1, bias=False),
                    nn.AvgPool2d(2)))
                channels = width
        self.final = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.out_channels = channels
        init_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or min(images.shape[2:]) < 4:
            raise ValueError(f"DenseNet takes images (N, C, H, W) of at least 4x4 pixels, got {tuple(images.shape)}")
        x = self.transition1(self.layer1(self.conv1(images)))
        return self.final(self.layer3(self.transition2(self.layer2(x))))
