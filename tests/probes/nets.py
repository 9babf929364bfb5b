"""A network of two parts."""
from torch import nn


class Wrapped(nn.Module):
    """A backbone with stages and a head with a pooling and ``fc``, as the project's own networks."""

    def __init__(self, net):
        super().__init__()
        self.backbone = nn.Sequential()
        for name, child in net.named_children():
            if name != "fc":
                self.backbone.add_module(name, child)
        self.head = nn.Sequential()
        self.head.add_module("pool", nn.AdaptiveAvgPool2d(1))
        self.head.add_module("flatten", nn.Flatten())
        self.head.add_module("fc", net.fc)

    def forward(self, images):
        return self.head(self.backbone(images))
