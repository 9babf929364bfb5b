import numpy as np
import pytest
import torch

from openmix.checks import check_count
from openmix.datasets import CIFAR100, ArrayFile, Arrays, ImageFolderData, Shapes
from openmix.datasets.options import class_names, local_path, statistics
from openmix.datasets.prepare import prepare


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_any_kind_of_whole_number_is_one(value):
    actual = check_count("size", value, 1)
    assert actual == 3 and type(actual) is int


@pytest.mark.parametrize("value", [0, -1, 3.0, "3", None, True, np.float32(3), [3]])
def test_other_values_are_refused_by_name(value):
    with pytest.raises(ValueError, match="size must be a whole number of at least 1"):
        check_count("size", value, 1)


def test_numpy_numbers_do_for_the_options_of_data_sets(tmp_path):
    images, labels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8), np.arange(8) % 2
    assert len(Arrays(images, labels, val_size=np.int64(2), split="val")) == 2
    assert len(Shapes(num_images=np.int32(10), seed=np.int64(1))) == 10


@pytest.mark.parametrize("values", [[0.1, 0.2, 0.3], (0.1, 0.2, 0.3), np.array([0.1, 0.2, 0.3]),
                                    torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)])
def test_statistics_come_as_any_sequence(values):
    assert statistics("mean", values, None) == pytest.approx((0.1, 0.2, 0.3))
    data = Arrays(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4), mean=values, std=values)
    assert data.mean == data.std == pytest.approx((0.1, 0.2, 0.3))
    assert statistics("mean", None, (0.5, 0.5, 0.5)) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name, values", [("mean", 0.5), ("mean", [0.1, 0.2]), ("mean", [123.7, 116.3, 103.5]),
                                          ("std", [0, 0.2, 0.2]), ("mean", "abc"), ("mean", [float("nan")] * 3)])
def test_impossible_statistics_are_refused_by_name(name, values):
    with pytest.raises(ValueError, match=f"{name} must be three numbers in units of pixel / 255"):
        statistics(name, values, None)


@pytest.mark.parametrize("classes, names", [
    ("abc", ["a", "b", "c"]), (np.array(["a", "b"]), ["a", "b"]), (np.array([b"a", b"\xff"]), ["a", "\\xff"]),
    ([3, 1], ["3", "1"]), (np.arange(2), ["0", "1"]), ({0: "a", 1: "b"}, ["a", "b"]),
    ({"1": "b", "0": "a"}, ["a", "b"]),
])
def test_names_of_classes_are_texts_whatever_they_came_as(classes, names):
    actual = class_names(classes)
    assert actual == names and all(type(name) is str for name in actual)


@pytest.mark.parametrize("classes, error, message", [
    (["a", "b", "a"], ValueError, "a occurs more than once"), ([1, "1"], ValueError, "1 occurs more than once"),
    ({1: "a", 2: "b"}, ValueError, "count from 0"), ([["a"], ["b"]], TypeError, "flat list"), (7, TypeError, "flat"),
    ([None, "a"], TypeError, "flat list"),
])
def test_names_that_cannot_be_are_refused(classes, error, message):
    with pytest.raises(error, match=message):
        class_names(classes)


def test_every_reader_expands_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "train.npz", images=images, labels=np.arange(4))
    assert local_path("~/x") == tmp_path / "x" and len(ArrayFile("~")) == len(ArrayFile("~/train.npz")) == 4
    prepare("~/train.npz", "~/out")
    assert len(ArrayFile("~/out")) == 4
    for read in (ImageFolderData, CIFAR100):
        with pytest.raises(FileNotFoundError, match=f"{tmp_path}/data"):
            read("~/data")
