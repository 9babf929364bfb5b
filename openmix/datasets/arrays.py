"""A data set as two tensors, and the sets that are read from arrays."""
import copy
import hashlib
import json
import zipfile
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .options import class_names, listed, local_path, printable, statistics
from .splits import SPLITS, held_out, source_split

INFO = "info.json"  # what prepare_data writes beside the arrays
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
    found = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{where} must be whole numbers (class indices), got {found.dtype}")
    if found.shape != (n,):
        hint = "; of one-hot labels take argmax(1)" if found.ndim == 2 and found.shape[1] > 1 else ""
        raise ValueError(f"{where} must have shape ({n},), one for each image, got {found.shape}{hint}")
    low, high = int(found.min()), int(found.max())
    most = MOST_CLASSES if num_classes is None else num_classes
    if low < 0 or high >= most:
        bad = low if low < 0 else high
        raise ValueError(f"{where}: label {bad} of image {int((found == bad).argmax())} is out of range, classes are 0 "
                         f"to {most - 1}")
    return torch.from_numpy(found.astype(np.int64))


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
        source: hash that tells the arrays given here from others. indices: which of them this split holds, None: all.
        mean, std: per channel; what a loader normalises with by default. For uint8 of pixels in [0, 1], for floats
            None: they are taken as they are.
        selection: how a wrapper such as ``Subset`` chose these images; None for all.
        extra: more tensors with one row an image, by name; wrappers such as ``LabelNoise`` add them.

    Raises:
        TypeError, ValueError: wrong dtype, shape, count or label; the message says which.
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


class ArrayFile(ArrayData):
    """Array files: a folder written by ``tools/prepare_data.py``, or ``.npz`` with keys images, labels (classes).

    Args:
        data_root: the folder, holding ``{split}_images.npy`` and so on or one ``*{split}.npz``; or one ``.npz``.
        channels_last: see :func:`as_images`.

    In a folder, classes are numbered by name as in its training file.

    Raises:
        FileNotFoundError: nothing there. ValueError: unreadable, or not what ``info.json`` says it should be.
    """

    def __init__(self, data_root="data", split="train", val_size=0, *, mean=None, std=None, channels_last=None):
        root = local_path(data_root)
        info = read_info(root)
        has_val = "val" in info.get("splits", {}) or any(root.glob("*val.npz"))
        source = source_split(split, val_size, has_val=has_val)
        images, labels, classes = read_arrays(root, source, info)
        name = info.get("name", printable(root.stem))
        super().__init__(images, labels, info.get("classes", classes), name=name, split=split, val_size=val_size,
                         official=info.get("official", False), where=f"{root} ({source})", channels_last=channels_last)
        expected = info.get("splits", {}).get(source, {}).get("sha256")
        if expected and not val_size and self.sha256 != expected:
            raise ValueError(f"{root}: the {source} arrays are damaged or were changed, their SHA-256 is not that of "
                             f"{INFO}; run tools/prepare_data.py again with --force")
        self.mean = statistics("mean", mean, info.get("mean", self.mean), self.shape[0], self.is_bytes)
        self.std = statistics("std", std, info.get("std", self.std), self.shape[0], self.is_bytes)
        if source != "train" and not info:
            self.number_as_training(root, named=classes is not None)

    def number_as_training(self, root: Path, named: bool) -> None:
        """Take the classes of the training file in the folder ``root``, if there is one that names them."""
        files = [] if root.suffix == ".npz" else sorted(root.glob("*train.npz"))
        classes = read_arrays(root, "train", {}, parts=False) if len(files) == 1 else None
        if classes is None:
            return
        classes = class_names(classes, f"{files[0]}: classes")
        if named:
            self.labels = renumbered(self, classes, str(files[0])).labels
        else:
            as_labels(self.labels, len(self), len(classes), f"{root} ({self.split}): labels")
        self.classes = classes


def read_info(root: Path) -> dict:
    """``info.json`` of a prepared folder; empty where there is none."""
    path = root / INFO
    if not path.is_file():
        return {}
    try:
        info = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); run tools/prepare_data.py again with --force") from error
    if not isinstance(info, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(info).__name__}")
    kinds = dict(splits=dict, classes=list, name=str)
    for key, kind in kinds.items():
        if not isinstance(info.get(key, kind()), kind):
            raise ValueError(f"{path} is damaged: {key!r} must be a {kind.__name__}, got "
                             f"{type(info[key]).__name__}; run tools/prepare_data.py again with --force")
    if not all(isinstance(entry, dict) for entry in info.get("splits", {}).values()):
        raise ValueError(f"{path} is damaged: each of 'splits' must be a dict; run tools/prepare_data.py again with "
                         "--force")
    return info


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
    found = copy.copy(data)
    found.labels, found.classes = table[data.labels], list(classes)
    found.__dict__.pop("sha256", None)  # of the labels before
    return found


def read_arrays(root: Path, split: str, info: dict, parts: bool = True):
    """(images, labels, classes or None) of a prepared folder or an npz file; the classes alone without ``parts``."""
    if root.suffix == ".npz" and split == "test" and "train" in root.stem:
        raise ValueError(f"{root} is named like a training set but was given for split 'test'; name the file of the "
                         "test images, or the folder of both")
    files = [root] if root.suffix == ".npz" else sorted(root.glob(f"*{split}.npz"))
    try:
        if info:
            return (*(np.load(root / f"{split}_{part}.npy", allow_pickle=False) for part in ("images", "labels")), None)
        if len(files) == 1:
            with np.load(files[0], allow_pickle=False) as found:
                missing = {"images", "labels"} - set(found)
                if missing:
                    raise ValueError(f"it lacks {', '.join(sorted(missing))}; its keys are {', '.join(found)}")
                classes = found["classes"] if "classes" in found else None
                return (found["images"], found["labels"], classes) if parts else classes
    except FileNotFoundError as error:
        has = ", ".join(s for s in SPLITS if (root / f"{s}_images.npy").is_file()) or "none"
        raise FileNotFoundError(f"{error.filename} not found; splits there: {has}") from error
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot read the {split} arrays of {root}: {error}") from error
    if len(files) > 1:
        raise ValueError(f"{root} holds several {split} files: {', '.join(f.name for f in files)}; name one of them "
                         "as data_root")
    raise FileNotFoundError(f"no arrays in {root}: expected {INFO} and {split}_images.npy (written by "
                            f"tools/prepare_data.py), or a file named *{split}.npz with keys images and labels")
