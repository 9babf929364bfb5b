"""The ImageNet of published tables is recognised by the number and the names of its files, and by nothing less."""
import os

import pytest

from openmix.datasets import imagenet
from openmix.datasets.imagenet import COUNTS, is_imagenet

CLASSES = [f"n{number:08d}" for number in range(1000)]


def files(split: str) -> list[str]:
    named = ((name, f"{name}_{i}.JPEG" if split == "train" else f"ILSVRC2012_val_{i:08d}.JPEG")
             for i, name in enumerate([*CLASSES, *CLASSES]))
    return [os.sep.join(("data", split, name, file)) for name, file in named]


@pytest.fixture(autouse=True)
def two_a_class(monkeypatch):
    monkeypatch.setitem(COUNTS, "train", 2000)
    monkeypatch.setitem(COUNTS, "val", 2000)


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_names_of_all_images_are_recognised(split):
    assert is_imagenet(files(split), CLASSES, split)
    assert not is_imagenet(files(split), CLASSES, "test")


@pytest.mark.parametrize("change", [
    lambda paths: paths[1:], lambda paths: [*paths, paths[0]], lambda paths: [paths[1], *paths[1:]],
    lambda paths: [paths[0].replace("_0.", "_x."), *paths[1:]],
    lambda paths: [paths[0].replace("n00000000_", "n00000001_"), *paths[1:]]])
def test_one_image_less_more_twice_or_of_another_name_is_another_set(change):
    assert not is_imagenet(change(files("train")), CLASSES, "train")


@pytest.mark.parametrize("classes", [CLASSES[:-1], [*CLASSES[:-1], "dog"]])
def test_other_classes_are_another_set(classes):
    assert not is_imagenet(files("train"), classes, "train")


def test_the_numbers_are_those_of_ilsvrc_2012(monkeypatch):
    monkeypatch.undo()
    assert imagenet.COUNTS == dict(train=1281167, val=50000)
