"""Networks from images to features, without a classifier; ``out_channels`` says how many."""
from .external import TimmModel, TorchvisionModel
from .lenet import LeNet
from .preact import PreActResNet
from .resnet import CifarResNet, ResNet, ResNeXt
from .wideresnet import WideResNet

__all__ = [
    "CifarResNet", "LeNet", "PreActResNet", "ResNet", "ResNeXt", "TimmModel", "TorchvisionModel", "WideResNet",
]
