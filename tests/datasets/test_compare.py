import os

import numpy as np
import pytest
import torch
from PIL import Image

from openmix.datasets import ArrayFile, Arrays, ImageFolderData
from openmix.datasets.arrays import renumbered
from openmix.datasets.compare import changes, images_in_common, record
from openmix.datasets.prepare import prepare


def pixels(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)


def arrays(n=40, seed=0, classes=4, **options):
    return Arrays(pixels(n, seed), np.arange(n) % classes, **options)


# -- classes ---------------------------------------------------------------------------------------------------------

def test_labels_are_renumbered_by_name_and_the_given_set_stays_as_it_is():
    data = Arrays(pixels(3), [0, 1, 2], ["b", "d", "a"])
    actual = renumbered(data, list("abcd"), "training")
    assert actual.labels.tolist() == [1, 3, 0] and actual.classes == list("abcd")
    assert data.labels.tolist() == [0, 1, 2] and actual.sha256 != data.sha256
    assert renumbered(data, ["b", "d", "a"], "training") is data


def test_classes_that_training_lacks_are_named_unless_no_image_is_of_them():
    data = Arrays(pixels(3), [0, 1, 2], ["b", "x", "a", "y"])
    with pytest.raises(ValueError, match=r"arrays \(train\) has classes that training lacks: x; training has a, b"):
        renumbered(data, list("ab"), "training")
    assert renumbered(data, list("abx"), "training").labels.tolist() == [1, 2, 0]


def npz(path, labels, classes=None, seed=0):
    path.parent.mkdir(exist_ok=True)
    more = {} if classes is None else dict(classes=np.array(classes))
    np.savez(path, images=pixels(len(labels), seed), labels=labels, **more)


def test_the_npz_files_of_a_folder_are_numbered_as_its_training_file(tmp_path):
    npz(tmp_path / "train.npz", [0, 1, 2, 3], list("abcd"))
    npz(tmp_path / "test.npz", [0, 1, 2, 3], list("bcda"), 1)
    test = ArrayFile(tmp_path, "test")
    assert test.labels.tolist() == [1, 2, 3, 0] and test.classes == list("abcd")
    npz(tmp_path / "test.npz", [0, 3], seed=1)  # no names: those of training
    assert ArrayFile(tmp_path, "test").labels.tolist() == [0, 3] and ArrayFile(tmp_path, "test").classes == list("abcd")
    npz(tmp_path / "test.npz", [0, 4], seed=1)
    with pytest.raises(ValueError, match=r"label 4 of image 1 is out of range, classes are 0 to 3"):
        ArrayFile(tmp_path, "test")
    npz(tmp_path / "test.npz", [0, 1], list("ax"), 1)
    with pytest.raises(ValueError, match="lacks: x"):
        ArrayFile(tmp_path, "test")


def test_prepared_arrays_keep_what_labels_mean(tmp_path):
    npz(tmp_path / "in/train.npz", [0, 1, 2, 3], list("abcd"))
    npz(tmp_path / "in/test.npz", [0, 1, 2], list("dba"), 1)
    prepare(tmp_path / "in", tmp_path / "out")
    data = ArrayFile(tmp_path / "out", "test")
    assert [data.classes[k] for k in data.labels] == ["d", "b", "a"]


# -- images in common --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("train, other, common", [
    (dict(), dict(split="val", val_size=10), 10), (dict(val_size=5), dict(split="val", val_size=10), 5),
    (dict(val_size=10), dict(split="val", val_size=10), 0), (dict(val_size=12), dict(split="val", val_size=10), 0),
    (dict(val_size=11), dict(split="val", val_size=12), 1), (dict(), dict(), 40), (dict(val_size=10), dict(), 30),
])
def test_parts_of_the_same_arrays_are_compared_by_index(train, other, common):
    assert images_in_common(arrays(**train), arrays(**other)) == (common, True)


def test_other_arrays_are_compared_by_their_pixels():
    train, fresh = arrays(), arrays(seed=1)
    assert images_in_common(train, fresh) == (0, False)
    mixed = Arrays(torch.cat([fresh.images[:5], train.images[3:6]]), [0] * 8)
    assert images_in_common(train, mixed) == (3, False)
    almost = train.images.clone()
    almost[:, 0, 0, 1] ^= 1  # a pixel that the probe may skip
    assert images_in_common(train, Arrays(almost, [0] * 40)) == (0, False)


@pytest.fixture
def root(tmp_path):
    for k, name in enumerate("ab"):
        for i in range(4):
            for split in ("train", "test"):
                path = tmp_path / "d" / split / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels(1, 100 * k + 10 * i + (split == "test"))[0]).save(path)
    return tmp_path / "d"


@pytest.mark.parametrize("resident", [True, False])
def test_files_are_the_same_through_links_and_other_paths(root, tmp_path, resident):
    def read(folder, **options):
        return ImageFolderData(folder, size=8, resident=resident, **options)

    train = read(root)
    assert images_in_common(train, read(root, split="test"))[0] == 0
    assert images_in_common(train, read(root, split="val", val_size=2)) == (2, True)
    assert images_in_common(read(root, val_size=2), read(root, split="val", val_size=2))[0] == 0
    for name in "ab":
        (tmp_path / "other/test" / name).mkdir(parents=True)
        os.symlink(root / "train" / name / "0.png", tmp_path / "other/test" / name / "9.png")
    assert images_in_common(train, read(tmp_path / "other", split="test")) == (2, True)
    (tmp_path / "linked").symlink_to(root)
    assert images_in_common(train, read(tmp_path / "linked")) == (8, True)


# -- changes -----------------------------------------------------------------------------------------------------------

def test_equal_data_have_not_changed_wherever_they_lie_and_whatever_they_are_called(root, tmp_path):
    for resident in (True, False):
        before = record(ImageFolderData(root, size=8, resident=resident, name="one"))
        root.rename(tmp_path / "moved")
        assert changes(before, record(ImageFolderData(tmp_path / "moved", size=8, resident=resident))) == []
        (tmp_path / "moved").rename(root)


def test_a_set_that_is_streamed_now_is_compared_by_its_files(root):
    before, now = (record(ImageFolderData(root, size=8, resident=r)) for r in (True, False))
    assert before["sha256"] != now["sha256"] and changes(before, now) == changes(now, before) == []
    (root / "train/a/0.png").rename(root / "train/a/9.png")
    assert "SHA-256 of names" in changes(before, record(ImageFolderData(root, size=8, resident=False)))[0]


@pytest.mark.parametrize("resident", [True, False])
def test_each_change_is_named_with_both_hashes(root, resident):
    def now():
        return record(ImageFolderData(root, size=8, resident=resident))

    before = now()
    (root / "train/b").rename(root / "train/c")
    renamed = now()
    lines = "; ".join(changes(before, renamed))
    assert "classes that are gone: b; new classes: c" in lines and "images of classes: b 4 -> 0, c 0 -> 4" in lines
    Image.fromarray(pixels(1, 999)[0]).save(root / "train/a/9.png")
    more = now()
    lines = "; ".join(changes(renamed, more))
    assert "images: 8 -> 9; images of classes: a 4 -> 5" in lines
    assert f"{renamed['sha256']} -> {more['sha256']}" in lines


def test_other_labels_and_another_order_of_the_classes_are_changes():
    base = record(Arrays(pixels(4), [0, 1, 0, 1], ["a", "b"]))
    assert len(changes(base, record(Arrays(pixels(4), [1, 0, 0, 1], ["a", "b"])))) == 1
    assert changes(base, record(Arrays(pixels(4), [0, 1, 0, 1], ["b", "a"]))) == ["the order of the classes"]
