"""Folders of images, one folder a class."""
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .arrays import ArrayData
from .splits import source_split

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff")


class ImageFolderData(ArrayData):
    """``data_root/<split>/<class>/*.jpg``, decoded, resized and cropped with mmcv into one array in memory.

    Args:
        data_root: holds ``train/``, ``test/`` ... with a folder for each class.
        split: the folder to read. With ``val_size`` > 0, "val" and "train" are parts of ``train/``.
        size: side of the square images. resize: length that the shorter side gets before the centre crop of ``size``
            (e.g. 256 for 224); ``size`` by default.
        interpolation: of mmcv: "nearest", "bilinear", "bicubic", "area" or "lanczos".
        on_error: what an unreadable image does: ``"raise"``, or ``"skip"`` (``skipped`` lists the paths).

    Raises:
        FileNotFoundError: no such folder, no class, no image. ValueError: an unreadable image (names its path), a
            class of the test set that training lacks. MemoryError: the set would not fit, before anything is read.
    """

    name = "folder"
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

    def __init__(self, data_root="data", split="train", val_size=0, *, size=224, resize=None, interpolation="bilinear",
                 on_error="raise", mean=None, std=None, name=None):
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        if not isinstance(size, int) or size < 1 or (resize is not None and resize < size):
            raise ValueError(f"size must be a positive number of pixels and resize at least size, got {size!r} and "
                             f"{resize!r}")
        root = Path(data_root)
        folder = root / source_split(split, val_size, has_val=(root / "val").is_dir())
        paths, labels, classes = list_images(folder, root / "train")
        check_memory(len(paths) * 3 * size * size, f"{len(paths)} images of {folder} at {size} x {size}")
        images, read, failed = decode(paths, size, resize or size, interpolation, on_error)
        if not read.any():
            raise ValueError(f"none of the {len(paths)} images of {folder} can be read")
        super().__init__(images[read], np.array(labels)[read], classes, name=name or root.name or self.name,
                         split=split, val_size=val_size)
        self.skipped = failed
        self.mean, self.std = tuple(mean or self.mean), tuple(std or self.std)


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
        inside = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not inside:
            raise FileNotFoundError(f"{folder / name} holds no images ({' '.join(SUFFIXES)})")
        paths += inside
        labels += [classes.index(name)] * len(inside)
    return paths, labels, classes


def free_memory() -> int | None:
    """Bytes of memory that are free for use, or None where the system does not tell."""
    try:
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def check_memory(need: int, what: str) -> None:
    """Raise MemoryError if ``need`` bytes do not fit into the free memory."""
    free = free_memory()
    if free is not None and need > 0.8 * free:
        raise MemoryError(f"{what} need {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; sets of this kind are held "
                          "in memory: lower size, or use fewer images")


def read_image(path, size: int, resize: int, interpolation: str) -> np.ndarray:
    """One image as uint8 (3, size, size) RGB: the shorter side becomes ``resize``, then a centre crop.

    Decoded with Pillow behind mmcv, because OpenCV fills what a truncated file lacks with grey and says nothing.
    """
    import mmcv

    image = mmcv.imfrombytes(Path(path).read_bytes(), channel_order="rgb", backend="pillow")
    height, width = image.shape[:2]
    if min(height, width) != resize:
        scale = resize / min(height, width)
        wide = max(resize, round(width * scale)), max(resize, round(height * scale))
        image = mmcv.imresize(image, wide, interpolation=interpolation, backend="cv2")
        height, width = image.shape[:2]
    top, left = (height - size) // 2, (width - size) // 2
    return image[top:top + size, left:left + size].transpose(2, 0, 1)


def decode(paths, size, resize, interpolation, on_error):
    """(images (N, 3, size, size), which were read (N,), paths that were not)."""
    images, read, failed = np.zeros((len(paths), 3, size, size), np.uint8), np.zeros(len(paths), bool), []

    def one(i):
        try:
            images[i] = read_image(paths[i], size, resize, interpolation)
            read[i] = True
        except Exception as error:  # decoders raise all sorts of things on damaged files
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for path, reason in zip(paths, pool.map(one, range(len(paths))), strict=True):
            if reason and on_error == "raise":
                pool.shutdown(cancel_futures=True)
                raise ValueError(f"cannot read the image {path} ({reason}); repair or remove it, or set "
                                 "on_error='skip' to leave out and count what cannot be read")
            if reason:
                failed.append(str(path))
    if failed:
        warnings.warn(f"left out {len(failed)} unreadable images of {len(paths)}, the first is {failed[0]}",
                      stacklevel=3)
    return images, read, failed
