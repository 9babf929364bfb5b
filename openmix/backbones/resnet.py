"""ResNet: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv 1512.03385.

And ResNeXt: Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017, arXiv 1611.05431.
Parameter names are torchvision's, so its weights load; the stride of a bottleneck sits on its 3x3 convolution.
"""
import torch.nn.functional as F
from torch import Tensor, nn

from .init import init_weights

STEMS = dict(cifar=(3, 1, 1), half=(3, 2, 1), imagenet=(7, 2, 3))  # size, stride and padding of the first convolution
SHORTCUTS = ("A", "B")  # the names of section 4.1 of the paper


class PaddedShortcut(nn.Module):
    """Every ``stride``-th pixel of (N, C, H, W), and zero channels: half of them in front, half behind."""

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.stride, more = stride, out_channels - in_channels
        self.padding = (0, 0, 0, 0, more // 2, more - more // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::self.stride, ::self.stride], self.padding)


def shortcut(in_channels: int, out_channels: int, stride: int, kind: str = "B") -> nn.Module | None:
    """What brings a block's input to another shape: 1x1 convolution and BN (B), or no parameters (A); or nothing."""
    if stride == 1 and in_channels == out_channels:
        return None
    if kind == "A":
        return PaddedShortcut(in_channels, out_channels, stride)
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


def stage(block, in_channels: int, width: int, count: int, stride: int, **options) -> nn.Sequential:
    """``count`` blocks, the first of which may change the shape."""
    first = block(in_channels, width, stride, **options)
    return nn.Sequential(first, *(block(width * block.expansion, width, **options) for _ in range(count - 1)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BN; a shortcut of the given kind where the shape changes."""

    expansion = 1

    def __init__(self, in_channels, width, stride=1, groups=1, width_per_group=64, kind="B"):
        super().__init__()
        if (groups, width_per_group) != (1, 64):
            raise ValueError("groups and width_per_group belong to bottleneck blocks: use depth 50 or 101")
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, width, stride, kind)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 (grouped, with the stride) and 1x1 convolution with BN; the output has 4 * ``width`` channels."""

    expansion = 4

    def __init__(self, in_channels, width, stride=1, groups=1, width_per_group=64):
        super().__init__()
        inner, out = width * width_per_group // 64 * groups, width * self.expansion
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class StagedResNet(nn.Module):
    """Stem, then stages ``layer1``, ``layer2`` ...: one per width, each but the first halving the resolution.

    Images (N, in_channels, H, W) become features (N, out_channels, h, w).
    """

    def __init__(self, block, counts, widths, stem="cifar", in_channels=3, zero_init_residual=True, **options):
        super().__init__()
        if stem not in STEMS:
            raise ValueError(f"stem must be one of {tuple(STEMS)}, got {stem!r}")
        size, stride, padding = STEMS[stem]
        self.conv1 = nn.Conv2d(in_channels, widths[0], size, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem == "imagenet" else nn.Identity()
        channels, self.stages = widths[0], [f"layer{i + 1}" for i in range(len(widths))]
        for i, name in enumerate(self.stages):
            self.add_module(name, stage(block, channels, widths[i], counts[i], 1 if i == 0 else 2, **options))
            channels = widths[i] * block.expansion
        self.out_channels = channels
        init_weights(self)
        if zero_init_residual:  # every block starts as the identity (up to its shortcut and ReLU)
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    nn.init.zeros_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight)

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for name in self.stages:
            x = getattr(self, name)(x)
        return x


DEPTHS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}


def plan(depth: int):
    """Block and number of blocks a stage."""
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {tuple(DEPTHS)}, got {depth!r}")
    return DEPTHS[depth]


class ResNet(StagedResNet):
    """ResNet-18, 34, 50 or 101 with stages ``layer1`` to ``layer4``.

    Args:
        depth: 18, 34, 50 or 101.
        stem: ``"cifar"`` (3x3 convolution, stride 1, no pooling: 32x32 images give 4x4 features), ``"half"`` (the same
            with stride 2: 2x2 features, a quarter of the cost) or ``"imagenet"`` (7x7, stride 2, max-pool: 224x224
            give 7x7).
        in_channels: of the images.
        zero_init_residual: gamma of each block's last BN starts at 0.

    Raises:
        ValueError: unknown depth or stem.
    """

    def __init__(self, depth=18, stem="cifar", in_channels=3, zero_init_residual=True):
        super().__init__(*plan(depth), (64, 128, 256, 512), stem, in_channels, zero_init_residual)


class ResNeXt(StagedResNet):
    """ResNeXt-50 or 101 (``groups`` x ``width_per_group`` d, 32x4d by default); other arguments as in ResNet."""

    def __init__(self, depth=50, groups=32, width_per_group=4, stem="cifar", in_channels=3, zero_init_residual=True):
        super().__init__(*plan(depth), (64, 128, 256, 512), stem, in_channels, zero_init_residual,
                         groups=groups, width_per_group=width_per_group)


class CifarResNet(StagedResNet):
    """The small networks of section 4.2 of the paper: 6n + 2 layers, 16, 32 and 64 channels, ``layer1`` to ``layer3``.

    ResNet-20 (``depth=20``) is the one to train on a CPU.

    Args:
        depth: 6n + 2.
        in_channels: of the images.
        zero_init_residual: gamma of each block's last BN starts at 0.
        shortcut: where the shape changes: ``"B"``, a 1x1 convolution with BN (272,474 parameters with 10 classes), or
            ``"A"``, the paper's choice on CIFAR: every second pixel and zero channels (269,722). Half of the
            zeros are in front and half behind, as in akamaster/pytorch_resnet_cifar10, whose weights load.
        stem: as in ResNet; ``"half"`` makes a quarter of the cost.

    Raises:
        ValueError: depth is not 6n + 2; unknown shortcut or stem.
    """

    def __init__(self, depth=20, in_channels=3, zero_init_residual=True, shortcut="B", stem="cifar"):
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth must be 6n + 2 (20, 32, 44, 56, 110 ...), got {depth!r}")
        if shortcut not in SHORTCUTS:
            raise ValueError(f"shortcut must be one of {SHORTCUTS}, got {shortcut!r}")
        super().__init__(BasicBlock, [(depth - 2) // 6] * 3, (16, 32, 64), stem, in_channels, zero_init_residual,
                         kind=shortcut)
