"""Data that fits the memory: read once, kept as uint8, augmented in batches on the device."""
from .arrays import ArrayData, ArrayFile, Arrays
from .cifar import CIFAR10, CIFAR100
from .folder import ImageFolderData
from .loader import ResidentLoader as ResidentLoader
from .shapes import Shapes

__all__ = ["ArrayData", "ArrayFile", "Arrays", "CIFAR10", "CIFAR100", "ImageFolderData", "Shapes"]
