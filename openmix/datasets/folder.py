"""Folders of images, one folder a class."""
import copy
import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
import torch

from ..checks import check_count
from ..errors import InputError
from .arrays import ArrayData, as_labels
from .decode import INTERPOLATIONS, centre
from .imagenet import is_imagenet
from .listing import list_images
from .options import local_path, printable, statistics
from .splits import held_out, source_split

SHARE = 0.5  # of the free memory: what ``resident="auto"`` takes at most


class ImageFolderData(ArrayData):
    """``data_root/<split>/<class>/*.jpg``: held in memory at one size, or streamed from its files.

    Both give the same pixels. What is held in memory has ``images`` (N, 3, size, size) and is read now; what is
    streamed has ``paths``, and :class:`openmix.datasets.StreamingLoader` decodes them in worker processes. Hidden files
    and what systems leave behind are no images; linked folders are read once; what else is left out is warned of.

    Args:
        data_root: holds ``train/``, ``test/`` ... with a folder for each class; ``~`` is the home folder.
        split: the folder to read. With ``val_size`` > 0, "val" and "train" are parts of ``train/``.
        size: side of the square images. resize: length that the shorter side gets before the centre crop of ``size``
            (e.g. 256 for 224); ``size`` by default.
        interpolation: ``"bilinear"`` or ``"bicubic"``, antialiased.
        draft: decode large JPEG files at 1/2, 1/4 or 1/8 of their size where that is enough: faster, a little softer.
        resident: True: in memory; False: streamed; ``"auto"``: streamed if the images would take more than half of
            the free memory of this computer, shared by the processes on it, or of the GPU.
        name: of the data set in tables; by default that of the folder ``data_root``, or ``imagenet`` if the images
            are recognised by their names (``official``), see :func:`openmix.datasets.imagenet.is_imagenet`.
        on_error: what an unreadable image does: ``"raise"``, or, in memory, ``"skip"`` (``skipped`` lists the paths).

    Raises:
        FileNotFoundError: no such folder, no class, no image. ValueError: an unreadable image (names its path), a
            class of the test set that training lacks. MemoryError: ``resident=True`` and the set would not fit, before
            anything is read.
    """

    floats = False
    name = "folder"
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

    def __init__(self, data_root="data", split="train", val_size=0, *, size=224, resize=None, interpolation="bilinear",
                 draft=False, resident="auto", on_error="raise", mean=None, std=None, name=None):
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        if resident not in (True, False, "auto"):
            raise ValueError(f"resident must be True, False or 'auto', got {resident!r}")
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {INTERPOLATIONS}, got {interpolation!r}")
        size = check_count("size", size, 1, " pixel")
        resize = size if resize is None else check_count("resize", resize, size, " pixels, the size,")
        self.mean, self.std = statistics("mean", mean, self.mean), statistics("std", std, self.std)
        self.root = local_path(data_root)
        folder = self.root / source_split(split, val_size, has_val=(self.root / "val").is_dir())
        paths, labels, classes = list_images(folder, self.root / "train")
        labels = as_labels(labels, len(paths), len(classes), printable(folder))
        official = is_imagenet(paths, classes, folder.name)
        if val_size and folder.name == "train":
            inside = held_out(labels, val_size)
            keep = (inside if split == "val" else ~inside).nonzero()[:, 0]
            paths, labels = [paths[i] for i in keep.tolist()], labels[keep]
        need = len(paths) * 3 * size * size
        self.resident = need <= SHARE * room() if resident == "auto" else resident
        self.size, self.resize, self.interpolation, self.draft = size, resize, interpolation, draft
        name = name or "imagenet" * official or printable(self.root.name) or self.name
        if self.resident:
            check_memory(need, f"{len(paths)} images of {printable(folder)} at {size} x {size}")
            view = dict(size=size, resize=self.resize, interpolation=interpolation, draft=draft)
            images, read, failed = decode(paths, view, on_error)
            if not read.any():
                raise ValueError(f"none of the {len(paths)} images of {printable(folder)} can be read")
            if not read.all():
                images, labels = images[read], labels[read]
                paths = [path for path, good in zip(paths, read.tolist(), strict=True) if good]
            super().__init__(images, labels, classes, name=name, split=split, official=official and not failed)
            self.skipped = failed
        elif on_error == "skip":
            raise ValueError(f"on_error='skip' needs the images of {printable(folder)} in memory (resident=True); "
                             "streamed, an unreadable one is met in the middle of a training")
        else:
            self.paths, self.labels, self.classes, self.skipped = paths, labels, classes, []
            self.name, self.split, self.official = name, split, official
        self.files = paths

    @property
    def shape(self) -> tuple:
        return 3, self.size, self.size

    @property
    def is_bytes(self) -> bool:
        return True

    def take(self, indices, **changes):
        files = [self.files[i] for i in indices.tolist()]
        if self.resident:
            part = super().take(indices, files=files, **changes)
        else:
            part = copy.copy(self)
            extra = {name: values[indices] for name, values in self.extra.items()}
            vars(part).update(files=files, paths=files, labels=self.labels[indices], extra=extra, **changes)
        for hashed in ("sha256", "stats"):
            vars(part).pop(hashed, None)
        return part

    def __getattr__(self, name):
        if name == "images":
            raise AttributeError(f"{self.name} is streamed from its files (resident=False) and has paths, no images: "
                                 "use StreamingLoader, or resident=True")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @cached_property
    def sha256(self) -> str:
        """In memory: hash of the content. Streamed: of names below ``data_root``, sizes in bytes, and labels."""
        return super().sha256 if self.resident else self.files_sha256

    @cached_property
    def stats(self) -> np.ndarray:
        """Device, inode and size in bytes of each file, (N, 3) uint64. Raises ValueError for a file that is gone."""
        sums = np.empty((len(self.files), 3), np.uint64)
        for i, path in enumerate(self.files):
            try:
                stat = os.stat(path)
            except OSError as error:
                raise InputError(unreadable(path, error)) from error
            sums[i] = stat.st_dev, stat.st_ino, stat.st_size
        return sums

    @property
    def files_sha256(self) -> str:
        """Hash of the files' names below ``data_root``, sizes in bytes, and labels; equal in memory and streamed."""
        digest = hashlib.sha256()
        for path, size, label in zip(self.files, self.stats[:, 2].tolist(), self.labels.tolist(), strict=True):
            digest.update(os.fsencode(os.path.relpath(path, self.root)) + f"\0{size}\0{label}\n".encode())
        return digest.hexdigest()

    def describe(self) -> dict:
        """What a result records of its data; ``sha256_of`` names what the hash of a streamed set covers."""
        if self.resident:
            return super().describe()
        return dict(super().describe(), sha256_of="names, sizes in bytes and labels of the files")


def free_memory() -> int | None:
    """Bytes of memory that are free for use, or None where the system does not tell."""
    try:
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def room() -> float:
    """Free bytes for one process: its share of the memory, and those of its GPU."""
    free = free_memory()
    limits = [float("inf") if free is None else free / int(os.environ.get("LOCAL_WORLD_SIZE", 1))]
    if torch.cuda.is_available():
        limits.append(torch.cuda.mem_get_info()[0])
    return min(limits)


def check_memory(need: int, subject: str) -> None:
    """Raise MemoryError if ``need`` bytes do not fit into the free memory."""
    free = free_memory()
    if free is not None and need > 0.8 * free:
        raise MemoryError(f"{subject} need {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; set resident=False to "
                          "stream them from their files, lower size, or use fewer images")


def unreadable(path, error: Exception) -> str:
    """The message about a file that cannot be decoded."""
    return f"cannot read the image {printable(path)} ({type(error).__name__}: {printable(error)}); repair or remove it"


def decode(paths, view: dict, on_error: str):
    """(images (N, 3, size, size), which were read (N,), paths that were not); ``view`` holds options of ``centre``."""
    images = torch.zeros(len(paths), 3, view["size"], view["size"], dtype=torch.uint8)
    read, failed = torch.zeros(len(paths), dtype=torch.bool), []

    def one(i):
        try:
            images[i] = centre(paths[i], **view)
            read[i] = True
        except Exception as error:  # decoders raise all sorts of things on damaged files
            return unreadable(paths[i], error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for path, reason in zip(paths, pool.map(one, range(len(paths))), strict=True):
            if reason and on_error == "raise":
                pool.shutdown(cancel_futures=True)
                raise ValueError(f"{reason}, or set on_error='skip' to leave out and count what cannot be read")
            if reason:
                failed.append(path)
    if failed:
        warnings.warn(f"left out {len(failed)} unreadable images of {len(paths)}, the first is {printable(failed[0])}",
                      stacklevel=3)
    return images, read, failed
