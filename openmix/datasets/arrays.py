"""A data set as two tensors."""
import copy
import hashlib
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .options import class_names, listed, printable, statistics
from .splits import held_out, source_split

MOST_CLASSES = 2**24  # of a set without names: a label beyond is no class
PROBES = 64  # images that tell a source from another
FLOATS = ("float16", "bfloat16", "float32", "float64")
CHANNELS = (1, 3, 4)  # counts that tell which axis the channels are


def as_images(images, where: str = "images", channels_last: bool | None = None) -> Tensor:
    """Images, maps or vectors, array or tensor, as a contiguous tensor with the channels first, uint8 or float32.

    Args:
        images: (N, C, H, W), (N, H, W, C), (N, H, W) of one channel, or vectors (N, D); uint8 or floating point.
        channels_last: which of the first two it is; by default the one whose C is 1, 3 or 4.

    Returns:
        (N, C, H, W), or (N, D) for vectors.

    Raises:
        TypeError: another dtype. ValueError: another shape, no image at all, or values that are not finite.
    """
    values = images if isinstance(images, Tensor) else np.ascontiguousarray(images)
    kind = str(values.dtype).removeprefix("torch.")
    if kind != "uint8" and kind not in FLOATS:
        raise TypeError(f"{where} must be uint8 (0 to 255) or float, got {values.dtype}; for 16 bit store "
                        "(images // 257).astype('uint8')")
    values = values if isinstance(values, Tensor) else torch.from_numpy(values)
    if kind != "uint8":
        values = values.float()
    shape = tuple(values.shape)
    if len(shape) not in (2, 3, 4):
        raise ValueError(f"{where} must have shape (N, C, H, W), (N, H, W, C), (N, H, W) or (N, D), got {shape}")
    if len(shape) == 3:
        values = values[:, None]
    elif len(shape) == 4 and (last_axis(shape, where) if channels_last is None else channels_last):
        values = values.permute(0, 3, 1, 2)
    if not values.numel():
        raise ValueError(f"{where} holds no image, its shape is {shape}")
    if kind != "uint8" and not values.isfinite().all():
        bad = int((~values.flatten(1).isfinite().all(1)).nonzero()[0])
        raise ValueError(f"{where}: image {bad} has values that are not finite")
    return values.contiguous()


def last_axis(shape, where: str) -> bool:
    """Whether images of ``shape`` have their channels last. Raises ValueError where the shape does not tell."""
    first, last = shape[1], shape[3]
    if first in (1, 3) or first == 4 != last and last not in CHANNELS:
        return False
    if last not in CHANNELS:
        raise ValueError(f"{where} have shape {shape}, which does not tell where the channels are: set "
                         "channels_last=True for (N, H, W, C) or False for (N, C, H, W)")
    return True


def as_labels(labels, n: int, num_classes: int | None, where: str = "labels") -> Tensor:
    """Class indices (n,) as int64, checked to lie in [0, num_classes).

    Raises:
        TypeError: not whole numbers. ValueError: wrong count, or a label out of range.
    """
    array = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{where} must be whole numbers (class indices), got {array.dtype}")
    if array.shape != (n,):
        hint = "; of one-hot labels take argmax(1)" if array.ndim == 2 and array.shape[1] > 1 else ""
        raise ValueError(f"{where} must have shape ({n},), one for each image, got {array.shape}{hint}")
    low, high = int(array.min()), int(array.max())
    most = MOST_CLASSES if num_classes is None else num_classes
    if low < 0 or high >= most:
        bad = low if low < 0 else high
        raise ValueError(f"{where}: label {bad} of image {int((array == bad).argmax())} is out of range, classes are 0 "
                         f"to {most - 1}")
    return torch.from_numpy(array.astype(np.int64))


class ArrayData:
    """A whole data set in memory.

    Args:
        images: uint8 or float; (N, C, H, W), (N, H, W, C), maps (N, H, W) or vectors (N, D). labels: (N,) class
            indices. channels_last: see :func:`as_images`.
        classes: names of the classes; numbers by default.
        split: ``"train"``, ``"val"`` or ``"test"``. With ``val_size`` > 0, ``images`` are those of the training set
            and "val" is a stratified part of them, "train" the rest.
        official: whether this is known to be the published data.
        where: what errors call it, e.g. its file; ``name`` by default.

    Attributes:
        images, labels: tensors (N, C, H, W) or (N, D), uint8 or float32, and (N,) int64.
        skipped: paths left out because unreadable.
        source: hash of the arrays given here. indices: which of them this split holds, None: all.
        mean, std: per channel; what a loader normalises with by default. For uint8 of pixels in [0, 1], for floats
            None: they are taken as they are.
        selection: how a wrapper such as ``Subset`` chose these images; None for all.
        extra: more tensors with one row an image, by name; wrappers such as ``LabelNoise`` add them.

    Raises:
        TypeError, ValueError: wrong dtype, shape, count or label, named in the message.
    """

    name = "arrays"
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    selection: dict | None = None
    extra: dict[str, Tensor] = {}
    standardise = False  # whether a loader gives each image mean 0 and standard deviation 1
    floats = True  # whether images of this class may be floats; if not, mean and std are of pixels in [0, 1]

    def __init__(self, images, labels, classes=None, *, name=None, split="train", val_size=0, official=False,
                 where=None, channels_last=None):
        source = source_split(split, val_size, has_val=True)
        self.name, self.split, self.official = name or self.name, split, bool(official)
        self.skipped: list[str] = []
        where = printable(where or self.name)
        classes = None if classes is None else class_names(classes, f"{where}: classes")
        images = as_images(images, f"{where}: images", channels_last)
        labels = as_labels(labels, len(images), classes and len(classes), f"{where}: labels")
        self.classes = classes or class_names(range(int(labels.max()) + 1))
        self.source, self.indices = fingerprint(images, labels), None
        if val_size and source == "train":
            inside = held_out(labels, val_size)
            self.indices = (inside if split == "val" else ~inside).nonzero()[:, 0]
            images, labels = images[self.indices], labels[self.indices]
        self.images, self.labels = images, labels
        if not self.is_bytes:
            self.mean = self.std = None
        elif len(self.mean) != self.shape[0]:
            self.mean, self.std = (0.5,) * self.shape[0], (0.25,) * self.shape[0]

    @property
    def shape(self) -> tuple:
        """Shape of one image, (C, H, W), or of one vector, (D,)."""
        return tuple(self.images.shape[1:])

    @property
    def is_bytes(self) -> bool:
        """Whether images are uint8, pixels from 0 to 255."""
        return self.images.dtype == torch.uint8

    def take(self, indices: Tensor, **changes):
        """A copy that holds the images ``indices`` (M,) int64 alone, with attributes ``changes``."""
        part = copy.copy(self)
        vars(part).pop("sha256", None)
        part.labels, part.images = self.labels[indices], self.images[indices]
        part.indices = indices if self.indices is None else self.indices[indices]
        part.extra = {name: values[indices] for name, values in self.extra.items()}
        vars(part).update(changes)
        return part

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sha256(self) -> str:
        """Hash of the content: the bytes of images (N, C, H, W) or (N, D), then of the labels (int64)."""
        digest = hashlib.sha256(self.images.numpy())
        digest.update(self.labels.numpy())
        return digest.hexdigest()

    def describe(self) -> dict:
        """What a result records of its data; JSON-ready."""
        facts = dict(name=self.name, split=self.split, images=len(self), size=list(self.shape),
                     num_classes=len(self.classes), sha256=self.sha256, official=self.official,
                     skipped=len(self.skipped))
        return {**facts, **({} if self.selection is None else dict(selection=self.selection))}


class Arrays(ArrayData):
    """Data from arrays given in Python: ``Arrays(images, labels)``; see :class:`ArrayData`."""

    def __init__(self, images, labels, classes=None, *, name="arrays", split="train", val_size=0, mean=None, std=None,
                 channels_last=None):
        super().__init__(images, labels, classes, name=name, split=split, val_size=val_size,
                         channels_last=channels_last)
        self.mean = statistics("mean", mean, self.mean, self.shape[0], self.is_bytes)
        self.std = statistics("std", std, self.std, self.shape[0], self.is_bytes)


def fingerprint(images: Tensor, labels: Tensor) -> str:
    """A hash of all labels and of some images: equal arrays have equal ones, and others differ in practice."""
    some = torch.linspace(0, len(images) - 1, min(PROBES, len(images)), dtype=torch.float64).long()
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    digest.update(labels.numpy())
    digest.update(images[some].numpy())
    return digest.hexdigest()


def renumbered(data, classes: list[str], of: str):
    """``data`` with its labels numbered by name as in ``classes``: a shallow copy, or ``data`` where they agree.

    Args:
        of: whose classes these are, for the error.

    Raises:
        ValueError: images of a class that is not among ``classes``; names those.
    """
    if list(data.classes) == list(classes):
        return data
    number = {name: k for k, name in enumerate(classes)}
    used = data.labels.bincount(minlength=len(data.classes)).tolist()
    strange = [name for name, count in zip(data.classes, used, strict=True) if count and name not in number]
    if strange:
        raise ValueError(f"{data.name} ({data.split}) has classes that {of} lacks: {listed(strange)}; {of} has "
                         f"{listed(classes)}")
    table = torch.tensor([number.get(name, -1) for name in data.classes])
    copied = copy.copy(data)
    copied.labels, copied.classes = table[data.labels], list(classes)
    copied.__dict__.pop("sha256", None)  # of the labels before
    return copied
