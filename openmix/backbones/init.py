"""Starting weights of the backbones."""
from torch import nn

INITS = ("kaiming", "torch")


def init_weights(net: nn.Module, init: str = "kaiming") -> nn.Module:
    """Set the starting weights of ``net`` in place.

    Args:
        init: ``"kaiming"``: normal (fan_out, ReLU) for convolutions, ones for norms, zeros for biases, other layers
            stay. ``"torch"``: all layers stay as PyTorch's constructors made them.

    Raises:
        ValueError: unknown ``init``.
    """
    if init not in INITS:
        raise ValueError(f"init must be one of {INITS}, got {init!r}")
    if init == "torch":
        return net
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    return net
