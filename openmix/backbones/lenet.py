"""LeNet-5 for colour images: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998."""
from torch import Tensor, nn

from .init import init_weights


class LeNet(nn.Module):
    """Two 5x5 convolutions (6 and 16 channels) with ReLU and max-pool, then layers of 120 and 84 units.

    The hidden linear layers are part of the backbone, which gives features (N, 84); with a head for 10 classes the
    network has 62,006 parameters.

    Args:
        in_channels, image_size: of the images (square, at least 16).

    Raises:
        ValueError: images of another size come in.
    """

    def __init__(self, in_channels=3, image_size=32):
        super().__init__()
        side = ((image_size - 4) // 2 - 4) // 2
        if side < 1:
            raise ValueError(f"LeNet needs images of at least 16x16, got image_size={image_size}")
        self.image_shape = (in_channels, image_size, image_size)
        self.layer1 = nn.Sequential(nn.Conv2d(in_channels, 6, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.layer2 = nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.fc1 = nn.Sequential(nn.Linear(16 * side * side, 120), nn.ReLU(inplace=True))
        self.fc2 = nn.Sequential(nn.Linear(120, 84), nn.ReLU(inplace=True))
        self.out_channels = 84
        init_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[1:] != self.image_shape:
            raise ValueError(f"this LeNet takes images (N, {', '.join(map(str, self.image_shape))}), got "
                             f"{tuple(images.shape)}; set in_channels and image_size")
        return self.fc2(self.fc1(self.layer2(self.layer1(images)).flatten(1)))
