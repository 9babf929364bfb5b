"""Wide-ResNet: Zagoruyko & Komodakis, "Wide Residual Networks", BMVC 2016, arXiv 1605.07146."""
from torch import Tensor, nn

from .init import init_weights
from .preact import stage


class WideResNet(nn.Module):
    """WRN-``depth``-``widen_factor`` for 32x32 images: stages ``layer1`` to ``layer3``, 8x8 features.

    The defaults are those of the benchmark tables (OpenMixup's network): biases in the convolutions (23,409,092
    parameters with 100 classes, 23,401,012 without), LeakyReLU, a slow BN, and 1x1 shortcuts that take the activated
    input in stage 1 and the raw input in stages 2 and 3. Those of the paper: ``conv_bias=False, leaky_slope=0.0,
    bn_momentum=0.1, bn_eps=1e-5, raw_shortcut=()``.

    Earlier versions of openmix had ``raw_shortcut=()`` alone, and their checkpoints need it. Names and shapes of the
    weights do not show the difference.

    Args:
        depth: 6n + 4 layers (16, 28, 40 ...).
        widen_factor: the stages have 16, 32 and 64 times as many channels.
        dropout: rate before the second convolution of a block.
        conv_bias: of every convolution.
        leaky_slope: of the activations below 0.
        bn_momentum, bn_eps: of every BN, in torch's meaning (the share of the new batch).
        in_channels: of the images.
        raw_shortcut: the stages (of 1, 2, 3) whose 1x1 shortcut takes the raw input of the block instead of the input
            after BN and activation.

    Raises:
        ValueError: depth is not 6n + 4; a stage that does not exist.
    """

    def __init__(self, depth=28, widen_factor=8, dropout=0.0, conv_bias=True, leaky_slope=0.1, bn_momentum=0.001,
                 bn_eps=0.001, in_channels=3, raw_shortcut=(2, 3)):
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth must be 6n + 4 (16, 22, 28, 40 ...), got {depth!r}")
        if not isinstance(raw_shortcut, (list, tuple)) or not set(raw_shortcut) <= {1, 2, 3}:
            raise ValueError(f"raw_shortcut must list stages among 1, 2 and 3, e.g. (2, 3) or (), got {raw_shortcut!r}")
        count, width, norm = (depth - 4) // 6, 16 * widen_factor, dict(momentum=bn_momentum, eps=bn_eps)
        options = dict(dropout=dropout, conv_bias=conv_bias, leaky_slope=leaky_slope, norm=norm)
        self.conv1 = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=conv_bias)
        self.layer1 = stage(16, width, count, 1, raw_shortcut=1 in raw_shortcut, **options)
        self.layer2 = stage(width, 2 * width, count, 2, raw_shortcut=2 in raw_shortcut, **options)
        self.layer3 = stage(2 * width, 4 * width, count, 2, raw_shortcut=3 in raw_shortcut, **options)
        self.bn1 = nn.BatchNorm2d(4 * width, **norm)
        self.act = nn.LeakyReLU(leaky_slope, inplace=True)
        self.out_channels = 4 * width
        init_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(images))))
        return self.act(self.bn1(x))
