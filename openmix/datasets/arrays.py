"""A data set as two tensors, and the sets that are read from arrays."""
import hashlib
import json
import zipfile
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .splits import SPLITS, held_out, source_split

INFO = "info.json"  # what prepare_data writes beside the arrays


def as_images(images, where: str = "images") -> Tensor:
    """uint8 images (N, H, W, 3) or (N, 3, H, W), array or tensor, as a contiguous tensor (N, 3, H, W).

    Raises:
        TypeError: another dtype. ValueError: another shape, or no image at all.
    """
    found = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    if found.dtype != torch.uint8:
        raise TypeError(f"{where} must be uint8 (0 to 255), got {found.dtype}; for floats in [0, 1] store "
                        "(images * 255).round().astype('uint8')")
    if found.ndim == 4 and found.shape[1] != 3 and found.shape[3] == 3:
        found = found.permute(0, 3, 1, 2)
    if found.ndim != 4 or found.shape[1] != 3:
        raise ValueError(f"{where} must have shape (N, H, W, 3) or (N, 3, H, W), got {tuple(found.shape)}; "
                         "repeat a grey channel three times")
    if not len(found):
        raise ValueError(f"{where} holds no image")
    return found.contiguous()


def as_labels(labels, n: int, num_classes: int | None, where: str = "labels") -> Tensor:
    """Class indices (n,) as int64, checked to lie in [0, num_classes).

    Raises:
        TypeError: not whole numbers. ValueError: wrong count, or a label out of range.
    """
    found = labels if isinstance(labels, Tensor) else torch.from_numpy(np.array(labels))
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise TypeError(f"{where} must be whole numbers (class indices), got {found.dtype}")
    if tuple(found.shape) != (n,):
        raise ValueError(f"{where} must have shape ({n},), one for each image, got {tuple(found.shape)}")
    found = found.to(torch.int64)
    low, high = int(found.min()), int(found.max())
    if low < 0 or num_classes is not None and high >= num_classes:
        bad = low if low < 0 else high
        at = int((found == bad).nonzero()[0, 0])
        top = "" if num_classes is None else f" to {num_classes - 1}"
        raise ValueError(f"{where}: label {bad} of image {at} is out of range, classes are 0{top}")
    return found


class ArrayData:
    """A whole data set in memory.

    Args:
        images: uint8 (N, 3, H, W) or (N, H, W, 3). labels: (N,) class indices.
        classes: names of the classes; numbers by default.
        split: ``"train"``, ``"val"`` or ``"test"``. With ``val_size`` > 0, ``images`` are those of the training set
            and "val" is a stratified part of them, "train" the rest.
        official: whether this is known to be the published data.

    Attributes:
        images, labels: tensors (N, 3, H, W) uint8 and (N,) int64. skipped: paths left out because unreadable.
        mean, std: per channel, of pixels in [0, 1]; what a loader normalises with unless told otherwise.

    Raises:
        TypeError, ValueError: wrong dtype, shape, count or label; the message says which.
    """

    name = "arrays"
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    def __init__(self, images, labels, classes=None, *, name=None, split="train", val_size=0, official=False):
        source = source_split(split, val_size, has_val=True)
        self.name, self.split, self.official = name or self.name, split, bool(official)
        self.skipped: list[str] = []
        images = as_images(images, f"{self.name}: images")
        known = None if classes is None else len(classes)
        labels = as_labels(labels, len(images), known, f"{self.name}: labels")
        self.classes = [str(c) for c in (range(int(labels.max()) + 1) if classes is None else classes)]
        if val_size and source == "train":
            inside = held_out(labels, val_size)
            keep = (inside if split == "val" else ~inside).nonzero()[:, 0]
            images, labels = images[keep], labels[keep]
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sha256(self) -> str:
        """Hash of the content: the bytes of images (N, 3, H, W), then of the labels (int64)."""
        digest = hashlib.sha256(self.images.numpy())
        digest.update(self.labels.numpy())
        return digest.hexdigest()

    def describe(self) -> dict:
        """What a result records of its data; JSON-ready."""
        return dict(name=self.name, split=self.split, images=len(self), size=list(self.images.shape[1:]),
                    num_classes=len(self.classes), sha256=self.sha256, official=self.official,
                    skipped=len(self.skipped))


class Arrays(ArrayData):
    """Data from arrays given in Python: ``Arrays(images, labels)``; see :class:`ArrayData`."""

    def __init__(self, images, labels, classes=None, *, name="arrays", split="train", val_size=0, mean=None, std=None):
        super().__init__(images, labels, classes, name=name, split=split, val_size=val_size)
        self.mean, self.std = tuple(mean or self.mean), tuple(std or self.std)


class ArrayFile(ArrayData):
    """Array files: a folder written by ``tools/prepare_data.py``, or ``.npz`` with keys images, labels (classes).

    Args:
        data_root: the folder, holding ``{split}_images.npy`` and so on or one ``*{split}.npz``; or one ``.npz``.

    Raises:
        FileNotFoundError: nothing there. ValueError: unreadable, or not what ``info.json`` says it should be.
    """

    def __init__(self, data_root="data", split="train", val_size=0, *, mean=None, std=None):
        root = Path(data_root)
        info = read_info(root)
        source = source_split(split, val_size, has_val="val" in info.get("splits", {}))
        images, labels, classes = read_arrays(root, source, info)
        super().__init__(images, labels, info.get("classes", classes), name=info.get("name", root.stem), split=split,
                         val_size=val_size, official=info.get("official", False))
        expected = info.get("splits", {}).get(source, {}).get("sha256")
        if expected and not val_size and self.sha256 != expected:
            raise ValueError(f"{root}: the {source} arrays are damaged or were changed, their SHA-256 is not that of "
                             f"{INFO}; run tools/prepare_data.py again with --force")
        self.mean = tuple(mean or info.get("mean", self.mean))
        self.std = tuple(std or info.get("std", self.std))


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
    return info


def read_arrays(root: Path, split: str, info: dict):
    """(images, labels, classes or None) of a prepared folder or an npz file."""
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
                return found["images"], found["labels"], found["classes"] if "classes" in found else None
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
