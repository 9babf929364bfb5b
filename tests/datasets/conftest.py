import hashlib

import pytest
import torchvision

from openmix.datasets import CIFAR100

from .fabricate import cifar100_files


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
