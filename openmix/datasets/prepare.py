"""Turning any data set into array files that load in about a second."""
import json
import os
from functools import partial
from pathlib import Path

import numpy as np

from .array_file import INFO, ArrayFile
from .arrays import ArrayData, renumbered
from .cifar import CIFAR10, CIFAR100
from .folder import ImageFolderData
from .options import local_path
from .splits import SPLITS

KINDS = """a folder with cifar-100-python/ or cifar-10-batches-py/ (or that folder, or the official .tar.gz);
a folder with train/ and test/, each with one folder of images a class;
a .npz file with keys images and labels, or a folder with *train.npz and *test.npz"""


def open_source(source, size: int | None = None, resize: int | None = None, on_error: str = "raise"):
    """What ``source`` is: a list of the data sets in it, one for each split.

    Args:
        size, resize, on_error: for image folders, see :class:`ImageFolderData`; ``size`` defaults to 224.

    Raises:
        FileNotFoundError: nothing there. ValueError: nothing of a known kind, or ``size`` where it has no meaning.
    """
    path = local_path(source)
    if not path.exists():
        raise FileNotFoundError(f"{path.absolute()} does not exist; a source is one of:\n{KINDS}")
    make, splits = _kind(path, dict(size=size or 224, resize=resize, on_error=on_error,
                                     resident=True))
    if (size or resize) and make.func is not ImageFolderData:
        raise ValueError("size and resize concern folders of images only; the images of this source have their size")
    return [make(split=split) for split in splits]


def _kind(path: Path, folder_options: dict):
    for cls in (CIFAR10, CIFAR100):
        published = cls.published()
        folder, archive = published.base_folder, published.filename
        if path.name in (folder, archive):
            return partial(cls, path.parent), ("train", "test")
        if (path / folder).is_dir() or (path / archive).is_file():
            return partial(cls, path), ("train", "test")
    if path.suffix == ".npz":
        return partial(ArrayFile, path), ("test" if path.stem.endswith("test") else "train",)
    if arrays := tuple(s for s in SPLITS if any(path.glob(f"*{s}.npz")) or (path / f"{s}_images.npy").exists()):
        return partial(ArrayFile, path), arrays
    if folders := tuple(s for s in SPLITS if (path / s).is_dir()):
        return partial(ImageFolderData, path, **folder_options), folders
    raise ValueError(f"{path.absolute()} holds no data set of a known kind; a source is one of:\n{KINDS}")


def prepare(source, out, *, size=None, resize=None, on_error="raise", force=False) -> dict:
    """Write ``{split}_images.npy`` (N, 3, H, W), ``{split}_labels.npy`` and ``info.json`` into ``out``.

    The images can be memory-mapped; ``dict(type="ArrayFile", data_root=out)`` reads them. Each file appears whole or
    not at all, ``info.json`` last.

    Returns:
        what ``info.json`` holds: name, classes, mean, std, and for each split images, size, sha256.

    Raises:
        FileExistsError: ``out`` holds arrays already and ``force`` is not set; ValueError: classes that the first split
            lacks, and others of the readers.
    """
    out = local_path(out)
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; OUT must be a folder")
    ours = [p.name for p in (out / INFO, *out.glob("*_images.npy"), *out.glob("*_labels.npy")) if p.exists()]
    if ours and not force:
        raise FileExistsError(f"{out} holds {', '.join(sorted(ours))} already; choose another folder, or --force")
    sets = open_source(source, size, resize, on_error)
    sets = [renumbered(data, sets[0].classes, f"{sets[0].name} ({sets[0].split})") for data in sets]
    out.mkdir(parents=True, exist_ok=True)
    first = sets[0]
    info = dict(name=first.name, classes=first.classes, mean=first.mean, std=first.std,
                official=all(s.official for s in sets), splits={})
    (out / INFO).unlink(missing_ok=True)
    has_test = any(s.split == "test" for s in sets)
    for data in sets:
        split = "test" if data.split == "val" and not has_test else data.split  # train/ and val/: val is the test set
        info["splits"][split] = write_split(out, split, data)
    _write(out / INFO, lambda file: file.write(json.dumps(info, indent=1).encode()))
    return info


def write_split(out: Path, split: str, data: ArrayData) -> dict:
    """The two arrays of a split; returns its entry of ``info.json``."""
    _write(out / f"{split}_images.npy", lambda file: np.save(file, data.images.numpy()))
    _write(out / f"{split}_labels.npy", lambda file: np.save(file, data.labels.numpy()))
    return dict(images=len(data), size=list(data.images.shape[1:]), sha256=data.sha256, skipped=data.skipped)


def _write(path: Path, fill) -> None:
    """Write a file that appears under its name only when it is whole."""
    part = path.with_name(f".{path.name}.tmp")
    try:
        with open(part, "wb") as file:
            fill(file)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
