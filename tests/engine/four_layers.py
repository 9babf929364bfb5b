"""A network for tests over all methods; the fixture ``four_layers`` puts it into configs."""
from torch import nn

from openmix.registry import BACKBONES

__all__ = ["FourLayers"]


@BACKBONES.register_module()
class FourLayers(nn.Module):
    """The least that all methods can train: stages named as of a ResNet, with batch norm."""

    out_channels = 64

    def __init__(self, widths=(3, 16, 16, 32, 64)):
        super().__init__()
        for i, (before, width) in enumerate(zip(widths, widths[1:], strict=False)):
            stride = 1 if before == width else 2
            self.add_module(f"layer{i}", nn.Sequential(
                nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()))

    def forward(self, images):
        return self.layer3(self.layer2(self.layer1(self.layer0(images))))
