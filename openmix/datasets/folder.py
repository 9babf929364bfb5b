"""Folders of images, one folder a class."""
import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import torch

from .arrays import ArrayData, as_labels
from .decode import INTERPOLATIONS, centre
from .splits import held_out, source_split

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")
SHARE = 0.5  # of the free memory: what ``resident="auto"`` takes at most


class ImageFolderData(ArrayData):
    """``data_root/<split>/<class>/*.jpg``: held in memory at one size, or streamed from its files.

    Both give the same pixels. What is held in memory has ``images`` (N, 3, size, size) and is read now; what is
    streamed has ``paths``, and :class:`openmix.datasets.StreamingLoader` decodes them in worker processes.

    Args:
        data_root: holds ``train/``, ``test/`` ... with a folder for each class.
        split: the folder to read. With ``val_size`` > 0, "val" and "train" are parts of ``train/``.
        size: side of the square images. resize: length that the shorter side gets before the centre crop of ``size``
            (e.g. 256 for 224); ``size`` by default.
        interpolation: ``"bilinear"`` or ``"bicubic"``, antialiased.
        draft: decode large JPEG files at 1/2, 1/4 or 1/8 of their size where that is enough: faster, a little softer.
        resident: True: in memory; False: streamed; ``"auto"``: streamed if the images would take more than half of
            the free memory of this computer, shared by the processes on it, or of the GPU.
        on_error: what an unreadable image does: ``"raise"``, or, in memory, ``"skip"`` (``skipped`` lists the paths).

    Raises:
        FileNotFoundError: no such folder, no class, no image. ValueError: an unreadable image (names its path), a
            class of the test set that training lacks. MemoryError: ``resident=True`` and the set would not fit, before
            anything is read.
    """

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
        if not isinstance(size, int) or size < 1 or (resize is not None and resize < size):
            raise ValueError(f"size must be a positive number of pixels and resize at least size, got {size!r} and "
                             f"{resize!r}")
        self.root = Path(data_root)
        folder = self.root / source_split(split, val_size, has_val=(self.root / "val").is_dir())
        paths, labels, classes = list_images(folder, self.root / "train")
        labels = as_labels(labels, len(paths), len(classes), str(folder))
        if val_size and folder.name == "train":
            inside = held_out(labels, val_size)
            keep = (inside if split == "val" else ~inside).nonzero()[:, 0]
            paths, labels = [paths[i] for i in keep.tolist()], labels[keep]
        need = len(paths) * 3 * size * size
        self.resident = need <= SHARE * room() if resident == "auto" else resident
        self.size, self.resize, self.interpolation, self.draft = size, resize or size, interpolation, draft
        name = name or self.root.name or self.name
        if self.resident:
            check_memory(need, f"{len(paths)} images of {folder} at {size} x {size}")
            view = dict(size=size, resize=self.resize, interpolation=interpolation, draft=draft)
            images, read, failed = decode(paths, view, on_error)
            if not read.any():
                raise ValueError(f"none of the {len(paths)} images of {folder} can be read")
            if not read.all():
                images, labels = images[read], labels[read]
            super().__init__(images, labels, classes, name=name, split=split)
            self.skipped = failed
        elif on_error == "skip":
            raise ValueError(f"on_error='skip' needs the images of {folder} in memory (resident=True); streamed, an "
                             "unreadable one is met in the middle of a training")
        else:
            self.paths, self.labels, self.classes, self.skipped = paths, labels, classes, []
            self.name, self.split, self.official = name, split, False
        self.mean, self.std = tuple(mean or self.mean), tuple(std or self.std)

    def __getattr__(self, name):
        if name == "images":
            raise AttributeError(f"{self.name} is streamed from its files (resident=False) and has paths, no images: "
                                 "use StreamingLoader, or resident=True")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @cached_property
    def sha256(self) -> str:
        """In memory: hash of the content. Streamed: of names below ``data_root``, sizes in bytes, and labels."""
        if self.resident:
            return super().sha256
        digest = hashlib.sha256()
        for path, label in zip(self.paths, self.labels.tolist(), strict=True):
            digest.update(f"{os.path.relpath(path, self.root)}\0{os.stat(path).st_size}\0{label}\n".encode())
        return digest.hexdigest()

    def describe(self) -> dict:
        """What a result records of its data; ``sha256_of`` says what the hash of a streamed set covers."""
        if self.resident:
            return super().describe()
        return dict(name=self.name, split=self.split, images=len(self), size=[3, self.size, self.size],
                    num_classes=len(self.classes), sha256=self.sha256,
                    sha256_of="names, sizes in bytes and labels of the files", official=False, skipped=0)


def list_images(folder: Path, train: Path):
    """(paths, labels, class names) in sorted order; classes are numbered as in the training folder, if there is one."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder.absolute()} not found; expected a folder with one folder of images a class")
    found = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    classes = sorted(p.name for p in train.iterdir() if p.is_dir() and not p.name.startswith(".")) \
        if train.is_dir() else found
    if not found:
        raise FileNotFoundError(f"{folder.absolute()} holds no class folders")
    strange = sorted(set(found) - set(classes))
    if strange:
        raise ValueError(f"{folder} has classes that {train} lacks: {', '.join(strange[:5])}")
    paths, labels = [], []
    for name in found:
        inside = [os.path.join(place, file) for place, _, files in os.walk(folder / name) for file in files
                  if file.lower().endswith(SUFFIXES)]
        if not inside:
            raise FileNotFoundError(f"{folder / name} holds no images ({' '.join(SUFFIXES)})")
        paths += sorted(inside, key=lambda path: path.split(os.sep))
        labels += [classes.index(name)] * len(inside)
    return paths, labels, classes


def free_memory() -> int | None:
    """Bytes of memory that are free for use, or None where the system does not tell."""
    try:
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def room() -> float:
    """Bytes that one process may hope for: of memory, shared by the processes here, and of its GPU."""
    free = free_memory()
    found = [float("inf") if free is None else free / int(os.environ.get("LOCAL_WORLD_SIZE", 1))]
    if torch.cuda.is_available():
        found.append(torch.cuda.mem_get_info()[0])
    return min(found)


def check_memory(need: int, what: str) -> None:
    """Raise MemoryError if ``need`` bytes do not fit into the free memory."""
    free = free_memory()
    if free is not None and need > 0.8 * free:
        raise MemoryError(f"{what} need {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; set resident=False to "
                          "stream them from their files, lower size, or use fewer images")


def unreadable(path, error: Exception) -> str:
    """What to say about a file that cannot be decoded."""
    return f"cannot read the image {path} ({type(error).__name__}: {error}); repair or remove it"


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
        warnings.warn(f"left out {len(failed)} unreadable images of {len(paths)}, the first is {failed[0]}",
                      stacklevel=3)
    return images, read, failed
