"""Data kept in memory, or streamed from its files where that is too small; augmented on the device."""
from .array_file import ArrayFile
from .arrays import ArrayData, Arrays
from .cifar import CIFAR10, CIFAR100
from .folder import ImageFolderData
from .loader import Loader as Loader
from .loader import ResidentLoader as ResidentLoader
from .noise import LabelNoise
from .shapes import Shapes
from .speech import SpeechCommands
from .streaming import StreamingLoader as StreamingLoader
from .streaming import make_loader as make_loader
from .subset import Subset
from .table import TableData
from .torch_data import TorchData

__all__ = ["ArrayData", "ArrayFile", "Arrays", "CIFAR10", "CIFAR100", "ImageFolderData", "LabelNoise", "Shapes",
           "SpeechCommands", "Subset", "TableData", "TorchData"]
