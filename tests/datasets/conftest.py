import hashlib

import numpy as np
import pytest
import torchvision
from PIL import Image

from openmix.datasets import CIFAR100, ImageFolderData, StreamingLoader
from tests.datasets.fabricate import cifar100_files


@pytest.fixture
def small_cifar100(monkeypatch):
    """CIFAR-100 shrunk to 2 training images and 1 test image a class; its three files as bytes."""
    monkeypatch.setattr(CIFAR100, "per_class", dict(train=2, test=1))
    monkeypatch.setenv("no_proxy", "*")
    return cifar100_files()


@pytest.fixture
def official_cifar100(small_cifar100, monkeypatch):
    """The same, and its md5 sums are the official ones."""
    def md5(name):
        return hashlib.md5(small_cifar100[name]).hexdigest()

    published = torchvision.datasets.CIFAR100
    monkeypatch.setattr(published, "train_list", [["train", md5("train")]])
    monkeypatch.setattr(published, "test_list", [["test", md5("test")]])
    monkeypatch.setattr(published, "meta", {**published.meta, "md5": md5("meta")})
    return small_cifar100


@pytest.fixture
def serve(monkeypatch):
    """``serve(url, archive)`` makes ``url`` the official address, with the md5 of ``archive`` the official one."""
    def set_address(url, archive):
        monkeypatch.setattr(torchvision.datasets.CIFAR100, "url", url)
        monkeypatch.setattr(torchvision.datasets.CIFAR100, "tgz_md5", hashlib.md5(archive).hexdigest())
    return set_address


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Two classes of pictures of different sizes; the test set is small and square."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split, count in (("train", 13), ("test", 5)):
        for name in ("ant", "bee"):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                size = (16, 16) if split == "test" else (int(rng.integers(16, 40)), int(rng.integers(16, 40)))
                small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
                small.resize(size, Image.BICUBIC).save(root / split / name / f"{i}.{'png' if i % 2 else 'jpg'}")
    return root


@pytest.fixture
def make_streaming(pictures):
    """``make_streaming(**settings)``: a loader of batches of 4 images of 16 x 16, decoding in this process."""
    def loader(split="train", **settings):
        data = ImageFolderData(pictures, split, size=16, resident=False, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
        return StreamingLoader(data, 4, **{"num_workers": 0, **settings})
    return loader
