"""What tests of the engine share."""
import pytest
from torch import nn

from openmix.registry import BACKBONES
from tests.engine import tiny


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


@pytest.fixture
def four_layers(monkeypatch):
    """Configs of a test over all methods get this network, half as long to train and to trace as a ResNet-8."""
    BACKBONES.register_module(module=FourLayers)
    monkeypatch.setitem(tiny.BACKBONE, "type", "FourLayers")
    monkeypatch.delitem(tiny.BACKBONE, "depth")
    yield
    BACKBONES.module_dict.pop("FourLayers")
