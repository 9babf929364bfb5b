"""Multilayer perceptron: the network of the mixup paper for tables (and for its GAN)."""
from torch import Tensor, nn


class MLP(nn.Module):
    """Hidden layers ``layer1``, ``layer2`` ...: each a linear layer with ReLU. Starts as PyTorch makes it.

    Inputs (N, in_features) become features (N, widths[-1]); the linear head on top is not counted among the widths.
    Inputs of more dimensions are flattened.

    Args:
        in_features: numbers an input has (of an image: C * H * W).
        widths: of the hidden layers; two of 128 are the mixup paper's for tables. ``()`` leaves the inputs as they
            are, so that the network is linear.

    Raises:
        ValueError: a number of features or a width that is not positive; inputs of another size.
    """

    def __init__(self, in_features, widths=(128, 128)):
        super().__init__()
        sizes = [in_features, *(widths if isinstance(widths, (list, tuple)) else [None])]
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ValueError("MLP needs a positive integer in_features and a list of positive integers widths, got "
                             f"in_features={in_features!r} and widths={widths!r}")
        self.layers = [f"layer{i}" for i in range(1, len(sizes))]
        for name, size, width in zip(self.layers, sizes, sizes[1:], strict=False):
            self.add_module(name, nn.Sequential(nn.Linear(size, width), nn.ReLU(inplace=True)))
        self.in_features, self.out_channels = in_features, sizes[-1]

    def forward(self, inputs: Tensor) -> Tensor:
        if inputs.ndim < 2 or inputs.shape[1:].numel() != self.in_features:
            raise ValueError(f"this MLP takes inputs (N, {self.in_features}), or of more dimensions with as many "
                             f"numbers each, got {tuple(inputs.shape)}; set in_features")
        x = inputs.flatten(1)
        for name in self.layers:
            x = getattr(self, name)(x)
        return x
