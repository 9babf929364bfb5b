"""The two networks of the mixup paper for spoken commands, as in its source, adiyoss/GCommandsPytorch.

Inputs are spectrograms (N, 1, frequencies, frames), 161 x 101 or 160 x 101 by default. Weights start as PyTorch makes
them. The hidden linear layer is part of the backbone.
"""
from collections.abc import Callable

from torch import Tensor, nn


def map_size(network: str, shrink: Callable[[int], int], image_size) -> tuple[int, int]:
    """Height and width of the last feature maps; ``shrink`` maps one side of the input to one side of them.

    Raises:
        ValueError: ``image_size`` is no side or pair of sides, or too small.
    """
    sides = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(sides) != 2 or not all(isinstance(side, int) and shrink(side) > 0 for side in sides):
        least = next(side for side in range(1, 100) if shrink(side) > 0)
        raise ValueError(f"{network} needs image_size=(height, width) of at least {least}x{least}, got {image_size!r}")
    return shrink(sides[0]), shrink(sides[1])


class SpeechNet(nn.Module):
    """Base of both networks: the check of the inputs, stages ``layer1`` ..., then ``fc1``."""

    def __init__(self, in_channels, image_size):
        super().__init__()
        self.in_channels, self.image_size = in_channels, image_size
        self.map_size = map_size(type(self).__name__, self.shrink, image_size)

    def forward(self, images: Tensor) -> Tensor:
        sides = images.shape[2:]
        fits = images.ndim == 4 and images.shape[1] == self.in_channels
        if not fits or tuple(map(self.shrink, sides)) != self.map_size:
            raise ValueError(f"this {type(self).__name__} is for inputs (N, {self.in_channels}, height, width) with "
                             f"image_size={self.image_size!r}, got {tuple(images.shape)}; set in_channels and "
                             "image_size, or transpose the inputs")
        for name in self.stages:
            images = getattr(self, name)(images)
        return self.fc1(images.flatten(1))


class SpeechLeNet(SpeechNet):
    """Two 5x5 convolutions of 20 channels with max-pool and ReLU, then a layer of 1,000 units: features (N, 1000).

    16,321,570 parameters with a head for 30 classes.

    Args:
        in_channels, image_size: of the inputs; ``image_size`` is (height, width).
        dropout: rate after the second convolution (whole channels) and after the hidden linear layer.

    Raises:
        ValueError: ``image_size`` below 16x16; inputs have another size.
    """

    def __init__(self, in_channels=1, image_size=(161, 101), dropout=0.5):
        super().__init__(in_channels, image_size)
        height, width = self.map_size
        self.stages, self.out_channels = ("layer1", "layer2"), 1000
        self.layer1 = nn.Sequential(nn.Conv2d(in_channels, 20, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True))
        self.layer2 = nn.Sequential(nn.Conv2d(20, 20, 5), nn.Dropout2d(dropout), nn.MaxPool2d(2),
                                    nn.ReLU(inplace=True))
        self.fc1 = nn.Sequential(nn.Linear(20 * height * width, 1000), nn.ReLU(inplace=True), nn.Dropout(dropout))

    @staticmethod
    def shrink(side: int) -> int:
        """A side of the last maps."""
        return ((side - 4) // 2 - 4) // 2


class SpeechVGG11(SpeechNet):
    """VGG-11 with BN in five stages ``layer1`` to ``layer5``, then a linear layer of 512 units: features (N, 512).

    13,172,894 parameters with a head for 30 classes. As in the source, no ReLU is between ``fc1`` and the head.

    Args:
        in_channels, image_size: of the inputs; ``image_size`` is (height, width).

    Raises:
        ValueError: ``image_size`` below 32x32; inputs have another size.
    """

    def __init__(self, in_channels=1, image_size=(161, 101)):
        super().__init__(in_channels, image_size)
        height, width = self.map_size
        self.stages, channels = [], in_channels
        for i, widths in enumerate(((64,), (128,), (256, 256), (512, 512), (512, 512)), 1):
            layers = []
            for out in widths:
                layers += [nn.Conv2d(channels, out, 3, 1, 1), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
                channels = out
            self.stages.append(f"layer{i}")
            self.add_module(self.stages[-1], nn.Sequential(*layers, nn.MaxPool2d(2)))
        self.fc1, self.out_channels = nn.Linear(512 * height * width, 512), 512

    @staticmethod
    def shrink(side: int) -> int:
        """A side of the last maps."""
        return side // 32
