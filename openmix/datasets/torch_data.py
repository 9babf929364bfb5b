"""Data sets in the manner of PyTorch: anything with ``__len__`` and ``__getitem__``."""
import numpy as np
import torch
from torch import Tensor

from .arrays import ArrayData
from .options import statistics


class TorchData(ArrayData):
    """The pairs (image, label) of a map-style data set, read once into memory.

    In configs ``dict(type="TorchData", data=dict(type="MySet", ...))``, where ``MySet`` is registered by
    ``DATASETS.register_module()``; in Python ``TorchData(my_set)``. Images are PIL images, arrays (H, W) or (H, W, C)
    or tensors (C, H, W), of one size; uint8 or float. Vectors (D,) do, too. As each is read once, random transforms
    belong to the loader (``train_dataloader.augment``), not into the set.

    Args:
        data: the set. classes: names of the classes; ``data.classes`` or numbers by default.
        split, val_size: as of :class:`~openmix.datasets.arrays.ArrayData`.
        name: by default that of the class of ``data``. mean, std: per channel.

    Raises:
        TypeError: no such set, or items that are no pairs of an image and a whole number.
        ValueError: images of different sizes, a label out of range.
    """

    def __init__(self, data, classes=None, *, split="train", val_size=0, name=None, mean=None, std=None):
        if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
            raise TypeError(f"TorchData takes a data set with __len__ and __getitem__, got {type(data).__name__}")
        name = name or type(data).__name__
        images, labels = read_pairs(data, name)
        classes = getattr(data, "classes", None) if classes is None else classes
        super().__init__(images, labels, classes, name=name, split=split, val_size=val_size,
                         channels_last=False if images.ndim == 4 else None)
        self.mean = statistics("mean", mean, self.mean, self.shape[0], self.is_bytes)
        self.std = statistics("std", std, self.std, self.shape[0], self.is_bytes)


def read_pairs(data, name: str) -> tuple[Tensor, list[int]]:
    """All images, (N, C, H, W) or (N, D), and labels of a set."""
    images, labels = [], []
    for i in range(len(data)):
        item = data[i]
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise TypeError(f"{name}[{i}] must be a pair (image, label), got {type(item).__name__}")
        images.append(as_image(item[0], f"{name}[{i}]"))
        labels.append(as_label(item[1], f"{name}[{i}]"))
        if images[i].shape != images[0].shape or images[i].dtype != images[0].dtype:
            raise ValueError(f"{name}[{i}] is an image {tuple(images[i].shape)} of {images[i].dtype}, {name}[0] is "
                             f"{tuple(images[0].shape)} of {images[0].dtype}; give the set a transform that resizes")
    if not images:
        raise ValueError(f"{name} holds no image")
    return torch.stack(images), labels


def as_image(image, where: str) -> Tensor:
    """A PIL image, array or tensor as (C, H, W), or as (D,)."""
    channels_first = isinstance(image, Tensor)
    if hasattr(image, "convert") and image.mode not in ("L", "RGB"):  # palettes, transparency
        image = image.convert("RGB")
    try:
        values = image if channels_first else torch.from_numpy(np.array(image))
    except TypeError as error:
        raise TypeError(f"{where}: an image must be a PIL image, an array or a tensor, got "
                        f"{type(image).__name__}") from error
    if values.ndim == 2:
        return values[None]
    return values if channels_first or values.ndim != 3 else values.permute(2, 0, 1)


def as_label(label, where: str) -> int:
    """A whole number, an array or tensor of one, as Python's."""
    value = label.item() if hasattr(label, "item") and np.asarray(label).size == 1 else label
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{where}: a label must be a whole number (class index), got {label!r}")
    return value
