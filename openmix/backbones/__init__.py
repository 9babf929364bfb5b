"""Networks from images to features, without a classifier; ``out_channels`` is the number of features."""
from .densenet import DenseNet
from .external import TorchvisionModel
from .lenet import LeNet
from .mlp import MLP
from .preact import PreActResNet
from .resnet import CifarResNet, ResNet, ResNeXt
from .speech import SpeechLeNet, SpeechVGG11
from .timm_models import TimmModel
from .wideresnet import WideResNet

__all__ = [
    "CifarResNet", "DenseNet", "LeNet", "MLP", "PreActResNet", "ResNet", "ResNeXt", "SpeechLeNet", "SpeechVGG11",
    "TimmModel", "TorchvisionModel", "WideResNet",
]
