"""Data sets in array files: a prepared folder, or ``.npz``."""
import json
import zipfile
from pathlib import Path

import numpy as np

from .arrays import ArrayData, as_labels, renumbered
from .options import class_names, local_path, printable, statistics
from .splits import SPLITS, source_split

INFO = "info.json"  # beside the arrays that `openmix data` writes


class ArrayFile(ArrayData):
    """Array files: a folder written by ``openmix data``, or ``.npz`` with keys images, labels (classes).

    Args:
        data_root: the folder, holding ``{split}_images.npy`` and so on or one ``*{split}.npz``; or one ``.npz``.
        channels_last: see :func:`as_images`.

    In a folder, classes are numbered by name as in its training file.

    Raises:
        FileNotFoundError: nothing there. ValueError: unreadable, or different from ``info.json``.
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
                             f"{INFO}; run openmix data again with --force")
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
        raise ValueError(f"{path} is damaged ({error}); run openmix data again with --force") from error
    if not isinstance(info, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(info).__name__}")
    kinds = dict(splits=dict, classes=list, name=str)
    for key, kind in kinds.items():
        if not isinstance(info.get(key, kind()), kind):
            raise ValueError(f"{path} is damaged: {key!r} must be a {kind.__name__}, got "
                             f"{type(info[key]).__name__}; run openmix data again with --force")
    if not all(isinstance(entry, dict) for entry in info.get("splits", {}).values()):
        raise ValueError(f"{path} is damaged: each of 'splits' must be a dict; run openmix data again with --force")
    return info


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
            with np.load(files[0], allow_pickle=False) as archive:
                missing = {"images", "labels"} - set(archive)
                if missing:
                    raise ValueError(f"it lacks {', '.join(sorted(missing))}; its keys are {', '.join(archive)}")
                classes = archive["classes"] if "classes" in archive else None
                return (archive["images"], archive["labels"], classes) if parts else classes
    except FileNotFoundError as error:
        has = ", ".join(s for s in SPLITS if (root / f"{s}_images.npy").is_file()) or "none"
        raise FileNotFoundError(f"{error.filename} not found; splits there: {has}") from error
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot read the {split} arrays of {root}: {error}") from error
    if len(files) > 1:
        raise ValueError(f"{root} holds several {split} files: {', '.join(f.name for f in files)}; name one of them "
                         "as data_root")
    raise FileNotFoundError(f"no arrays in {root}: expected {INFO} and {split}_images.npy (written by "
                            f"openmix data), or a file named *{split}.npz with keys images and labels")
