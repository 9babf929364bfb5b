"""Pre-activation ResNet: He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016, arXiv 1603.05027."""
from torch import Tensor, nn

from .init import init_weights

COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class PreActBlock(nn.Module):
    """BN, activation, 3x3 convolution, twice, and dropout before the second convolution.

    Where the shape changes, the shortcut is a 1x1 convolution of the activated input, or of the raw one with
    ``raw_shortcut``. A block ends in a convolution: it has no last BN whose gamma could start at zero.
    """

    def __init__(self, in_channels, width, stride=1, dropout=0.0, conv_bias=False, leaky_slope=0.0, norm=None,
                 raw_shortcut=False):
        super().__init__()
        norm = norm or {}
        self.bn1 = nn.BatchNorm2d(in_channels, **norm)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=conv_bias)
        self.bn2 = nn.BatchNorm2d(width, **norm)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=conv_bias)
        self.act = nn.LeakyReLU(leaky_slope, inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.shortcut, self.raw_shortcut = None, raw_shortcut
        if stride != 1 or in_channels != width:
            self.shortcut = nn.Conv2d(in_channels, width, 1, stride, bias=conv_bias)

    def forward(self, x: Tensor) -> Tensor:
        active = self.act(self.bn1(x))
        out = self.dropout(self.act(self.bn2(self.conv1(active))))
        if self.shortcut is None:
            return self.conv2(out) + x
        return self.conv2(out) + self.shortcut(x if self.raw_shortcut else active)


def stage(in_channels: int, width: int, count: int, stride: int, **options) -> nn.Sequential:
    """``count`` blocks, the first of which may change the shape."""
    first = PreActBlock(in_channels, width, stride, **options)
    return nn.Sequential(first, *(PreActBlock(width, width, **options) for _ in range(count - 1)))


class PreActResNet(nn.Module):
    """PreAct-ResNet-18 or 34 for 32x32 images, stages ``layer1`` to ``layer4``, 4x4 features.

    As in the network that the mixup paper names: no BN after the stem and none at the end (11,171,146 parameters with
    10 classes). The input of the first stage is the output of ``stem``, with and without ``stem_norm``.

    Args:
        depth: 18 or 34.
        dropout: rate before the second convolution of a block (the corrupted-label experiments of mixup).
        final_norm: end with the BN and ReLU of the paper (1,024 parameters more).
        in_channels: of the images.
        stem_norm: BN and ReLU after the first convolution, as in the codes of mixup-cifar10 and AlignMix (128
            parameters more: 11,171,274).
        init: ``"kaiming"`` (normal, fan_out) or ``"torch"`` (PyTorch's default, what the mixup experiments start from;
            for the classifier: ``head=dict(type="LinearHead", init_std=None)``).

    Raises:
        ValueError: unknown depth or init.
    """

    def __init__(self, depth=18, dropout=0.0, final_norm=False, in_channels=3, stem_norm=False, init="kaiming"):
        super().__init__()
        if depth not in COUNTS:
            raise ValueError(f"depth must be one of {tuple(COUNTS)}, got {depth!r}")
        counts = COUNTS[depth]
        self.conv1 = nn.Conv2d(in_channels, 64, 3, 1, 1, bias=False)
        self.stem = nn.Sequential(nn.BatchNorm2d(64), nn.ReLU(inplace=True)) if stem_norm else nn.Identity()
        self.layer1 = stage(64, 64, counts[0], 1, dropout=dropout)
        self.layer2 = stage(64, 128, counts[1], 2, dropout=dropout)
        self.layer3 = stage(128, 256, counts[2], 2, dropout=dropout)
        self.layer4 = stage(256, 512, counts[3], 2, dropout=dropout)
        self.final = nn.Sequential(nn.BatchNorm2d(512), nn.ReLU(inplace=True)) if final_norm else nn.Identity()
        self.out_channels = 512
        init_weights(self, init)

    def forward(self, images: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.stem(self.conv1(images))))
        return self.final(self.layer4(self.layer3(x)))
