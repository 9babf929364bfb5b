"""CIFAR-10 and CIFAR-100: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009."""
import hashlib
from pathlib import Path

import numpy as np

from . import fetch, unpickle
from .arrays import ArrayData, as_labels
from .splits import source_split


class CIFAR(ArrayData):
    """What the two sets share: pickled batches of flat images in a folder or an archive under ``data_root``.

    Args:
        data_root: holds the unpacked folder or the official archive.
        split: ``"train"``, ``"test"``, or ``"val"`` (``val_size`` training images, stratified; "train" is the rest).
        download: fetch the archive if it is not there; without network this fails within 10 s.

    The official files are recognised by their md5 (``official``); other files are accepted if the number of images,
    their size and the class counts are right, and known by ``sha256`` then.

    Raises:
        FileNotFoundError: no data. ConnectionError: no network. ValueError: damaged files or wrong content.
    """

    floats = False
    # of CIFAR-10 images, averaged over the std of each; the published tables use them for both sets
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    label_key = "labels"
    num_classes = 10
    per_class = dict(train=5000, test=1000)  # images of each class

    def __init__(self, data_root="data", split="train", val_size=0, download=False):
        source, published = source_split(split, val_size), self.published()
        files = dict(train=published.train_list, test=published.test_list)[source]
        members = [name for name, _ in published.train_list + published.test_list] + [published.meta["filename"]]
        home = fetch.find(data_root, published.base_folder, members, published.filename, published.url,
                          published.tgz_md5, download)
        meta, official = read(home / published.meta["filename"], published.meta["md5"])
        classes = field(meta, published.meta["key"], home)
        images, labels = [], []
        for name, md5 in files:
            batch, known = read(home / name, md5)
            images.append(self.check_images(field(batch, "data", home / name), home / name))
            labels.append(np.asarray(field(batch, self.label_key, home / name)))
            official = official and known
        images = np.concatenate(images)
        labels = as_labels(np.concatenate(labels), len(images), self.num_classes, f"{home}: {self.label_key}")
        self.check_counts(labels, classes, source, home)
        super().__init__(images, labels, classes, split=split, val_size=val_size, official=official)

    @classmethod
    def published(cls):
        """torchvision's class of the same name, for its address, file names and md5 sums."""
        from torchvision import datasets

        return getattr(datasets, cls.__name__)

    @staticmethod
    def check_images(rows, where):
        if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 3072:
            got = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
            raise ValueError(f"{where}: images must be uint8 rows of 3072 bytes (3 x 32 x 32), got {got}")
        return rows.reshape(-1, 3, 32, 32)

    @classmethod
    def check_counts(cls, labels, classes, source, home):
        if not isinstance(classes, list) or len(classes) != cls.num_classes:
            got = f"{len(classes)} names" if isinstance(classes, list) else type(classes).__name__
            raise ValueError(f"{home}: {cls.name} has {cls.num_classes} classes, its list of names holds {got}")
        expected, count = cls.per_class[source], labels.bincount(minlength=cls.num_classes)
        if (count != expected).any():
            worst = int((count - expected).abs().argmax())
            raise ValueError(f"{home}: {cls.name} has {expected} {source} images of each class, this has "
                             f"{int(count[worst])} of class {worst} ({classes[worst]}) and {len(labels)} in all; if "
                             "that is meant, use dict(type='ArrayFile') or dict(type='ImageFolderData')")


class CIFAR10(CIFAR):
    __doc__ = f"CIFAR-10: 10 classes, 50,000 training and 10,000 test images of 32 x 32. {CIFAR.__doc__}"
    name = "CIFAR-10"


class CIFAR100(CIFAR):
    __doc__ = f"CIFAR-100: 100 fine classes, 50,000 training and 10,000 test images of 32 x 32. {CIFAR.__doc__}"
    name = "CIFAR-100"
    label_key = "fine_labels"
    num_classes = 100
    per_class = dict(train=500, test=100)


def read(path: Path, md5: str):
    """(the dict in a batch file, whether its md5 is the official one)."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
        file.seek(0)
        return unpickle.load(file, path), digest.hexdigest() == md5


def field(batch: dict, key: str, where):
    """``batch[key]``, with an error that names the file."""
    if key not in batch:
        raise ValueError(f"{where} has no {key!r}; its keys are {', '.join(map(str, batch)) or 'none'}")
    return batch[key]
