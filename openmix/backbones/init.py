"""Starting weights, the same for every backbone of this room."""
from torch import nn


def init_weights(net: nn.Module) -> nn.Module:
    """Kaiming normal (fan_out, ReLU) for convolutions, ones for norms, zeros for biases; other layers stay."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    return net
