import hashlib
import pickle

import numpy as np
import pytest
import torch
import torchvision

from openmix.datasets import CIFAR10, CIFAR100
from openmix.registry import DATASETS
from tests.datasets.fabricate import FOLDER, NAMES, cifar100_files, write_folder


def test_images_labels_and_names_are_those_of_the_files(tmp_path, small_cifar100):
    write_folder(tmp_path, small_cifar100)
    data = DATASETS.build(dict(type="CIFAR100", data_root=str(tmp_path), split="test"))
    entry = pickle.loads(small_cifar100["test"])
    assert data.images.dtype == torch.uint8 and data.labels.dtype == torch.int64 and data.images.is_contiguous()
    assert torch.equal(data.images.flatten(1), torch.from_numpy(entry["data"]))
    assert data.labels.tolist() == entry["fine_labels"] and data.classes == NAMES
    digest = hashlib.sha256(entry["data"].tobytes() + np.array(entry["fine_labels"], "<i8").tobytes())
    assert data.sha256 == digest.hexdigest() == data.describe()["sha256"]
    assert not data.official


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_way_of_pickling_an_array_is_read(tmp_path, small_cifar100, protocol):
    write_folder(tmp_path, cifar100_files(protocol=protocol))
    images = CIFAR100(tmp_path).images.flatten(1)
    assert torch.equal(images, torch.from_numpy(pickle.loads(small_cifar100["train"])["data"]))


def test_batches_as_python_2_wrote_them_are_read(tmp_path, small_cifar100):
    """The official files: protocol 2, bytes as str, names of an older numpy."""
    def as_python_2(data):
        entry = pickle.loads(data)
        if "data" not in entry:
            return data
        rows = entry["data"]
        raw = rows.tobytes()
        array = (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR(I1\n(I%d\nI3072\ntcnumpy\n"
                 b"dtype\n(U\x02u1I0\nI1\ntR(I3\nU\x01|NNNI-1\nI-1\nI0\ntbI00\nT" % len(rows))
        array += len(raw).to_bytes(4, "little") + raw + b"tb"
        labels = b"(" + b"".join(b"I%d\n" % k for k in entry["fine_labels"]) + b"l"
        return b"\x80\x02}(U\x04data" + array + b"U\x0bfine_labels" + labels + b"u."

    write_folder(tmp_path, {name: as_python_2(data) for name, data in small_cifar100.items()})
    expected = pickle.loads(small_cifar100["train"])
    data = CIFAR100(tmp_path)
    assert torch.equal(data.images.flatten(1), torch.from_numpy(expected["data"]))
    assert data.labels.tolist() == expected["fine_labels"]


def test_cifar10_joins_its_five_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(CIFAR10, "per_class", dict(train=10, test=2))
    rows = np.random.default_rng(0).integers(0, 256, (120, 3072), dtype=np.uint8)
    files = {f"data_batch_{k + 1}": {"data": rows[20 * k:20 * k + 20], "labels": list(range(10)) * 2} for k in range(5)}
    files |= {"test_batch": {"data": rows[100:], "labels": list(range(10)) * 2}}
    files |= {"batches.meta": {"label_names": list("abcdefghij")}}
    write_folder(tmp_path, {k: pickle.dumps(v, protocol=2) for k, v in files.items()}, "cifar-10-batches-py")
    data = CIFAR10(tmp_path)
    assert torch.equal(data.images.flatten(1), torch.from_numpy(rows[:100])) and data.classes == list("abcdefghij")
    assert torch.equal(CIFAR10(tmp_path, split="test").images.flatten(1), torch.from_numpy(rows[100:]))


def test_official_files_are_recognised_and_one_changed_pixel_is_not(tmp_path, official_cifar100):
    write_folder(tmp_path, official_cifar100)
    assert CIFAR100(tmp_path).official and CIFAR100(tmp_path, split="test").official
    entry = pickle.loads(official_cifar100["test"])
    entry["data"][0, 0] ^= 1
    (tmp_path / FOLDER / "test").write_bytes(pickle.dumps(entry, protocol=2))
    assert not CIFAR100(tmp_path, split="test").official


def test_the_constants_of_the_two_sets_are_the_published_ones():
    assert CIFAR100.per_class == dict(train=500, test=100) and CIFAR10.per_class == dict(train=5000, test=1000)
    assert CIFAR100.published() is torchvision.datasets.CIFAR100 and CIFAR10.published() is torchvision.datasets.CIFAR10
    assert CIFAR100.mean == (0.4914, 0.4822, 0.4465) and CIFAR10.std == (0.2023, 0.1994, 0.2010)


def change_label(entry, split):
    entry["fine_labels"][7] = (entry["fine_labels"][7] + 1) % 100


def label_out_of_range(entry, split):
    entry["fine_labels"][7] = 100


def negative_label(entry, split):
    entry["fine_labels"][3] = -1


def drop_an_image(entry, split):
    entry["data"], entry["fine_labels"] = entry["data"][1:], entry["fine_labels"][1:]


def lose_labels(entry, split):
    del entry["fine_labels"]


def short_labels(entry, split):
    entry["fine_labels"].pop()


def wrong_size(entry, split):
    entry["data"] = entry["data"][:, :3000]


def wrong_dtype(entry, split):
    entry["data"] = entry["data"].astype(np.int64)


def no_array(entry, split):
    entry["data"] = [1, 2, 3]


@pytest.mark.parametrize("change, message", [
    (change_label, "2 train images of each class"), (label_out_of_range, "label 100 of image 7 is out of range"),
    (negative_label, "label -1 of image 3 is out of range"), (drop_an_image, "199 in all"),
    (lose_labels, "has no 'fine_labels'"), (short_labels, "one for each image"), (wrong_size, "3072 bytes"),
    (wrong_dtype, "int64"), (no_array, "got list"),
])
def test_wrong_content_is_refused_and_named(tmp_path, small_cifar100, change, message):
    write_folder(tmp_path, cifar100_files(change=change))
    with pytest.raises(ValueError, match=message):
        CIFAR100(tmp_path)


def test_class_counts_are_judged_before_a_validation_split_is_taken(tmp_path, small_cifar100):
    write_folder(tmp_path, cifar100_files(change=change_label))
    with pytest.raises(ValueError, match="2 train images of each class"):
        CIFAR100(tmp_path, split="val", val_size=50)


def test_missing_data_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="(?s)cifar-100-python.*download=True.*by hand.*data_root.*Shapes"):
        CIFAR100(tmp_path)


def test_an_incomplete_folder_names_what_it_lacks(tmp_path, small_cifar100):
    write_folder(tmp_path, small_cifar100)
    (tmp_path / FOLDER / "meta").unlink()
    with pytest.raises(FileNotFoundError, match="lacks meta"):
        CIFAR100(tmp_path)


def test_a_truncated_batch_is_named(tmp_path, small_cifar100):
    write_folder(tmp_path, {**small_cifar100, "train": small_cifar100["train"][:-1000]})
    with pytest.raises(ValueError, match="train is damaged"):
        CIFAR100(tmp_path)


@pytest.mark.parametrize("split, val_size, message", [
    ("valid", 0, "split must be one of"), ("val", 0, "needs val_size"), ("train", -1, "val_size must be"),
    ("train", 0.1, "val_size must be"), ("val", 200, "between 1 and 199"),
])
def test_impossible_splits_are_refused(tmp_path, small_cifar100, split, val_size, message):
    write_folder(tmp_path, small_cifar100)
    with pytest.raises(ValueError, match=message):
        CIFAR100(tmp_path, split=split, val_size=val_size)


def test_an_unknown_key_is_refused_before_data_is_touched(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'data_root'"):
        DATASETS.check(dict(type="CIFAR100", dataroot=str(tmp_path)))
