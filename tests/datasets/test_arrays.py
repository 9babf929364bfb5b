import numpy as np
import pytest
import torch

from openmix.datasets import ArrayFile, Arrays
from openmix.datasets.splits import held_out
from openmix.registry import DATASETS


def images(n=6, h=8, w=10, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, h, w, 3), dtype=np.uint8)


def test_both_layouts_give_the_same_data():
    last = images()
    a = Arrays(last, [0, 1, 2, 0, 1, 2])
    b = Arrays(torch.from_numpy(last).permute(0, 3, 1, 2), range(6), list("abcdef"))
    assert a.images.shape == (6, 3, 8, 10) and a.images.is_contiguous() and torch.equal(a.images, b.images)
    assert a.images[4, 1, 2, 3] == last[4, 2, 3, 1] and a.classes == ["0", "1", "2"] and b.classes == list("abcdef")


@pytest.mark.parametrize("bad, labels, classes, error, message", [
    (images()[:, 0, 0, 0], range(6), None, ValueError, r"or \(N, D\), got \(6,\)"),
    (images()[..., :2], range(6), None, ValueError, "channels_last=True"),
    (images().astype(np.int32), range(6), None, TypeError, "must be uint8 .* or float, got int32"),
    (np.array([[0.0, 1.0], [np.nan, 2.0]]), range(2), None, ValueError, "image 1 has values that are not finite"),
    (np.array([[0.0, np.inf]]), range(1), None, ValueError, "image 0 has values that are not finite"),
    (images(0), [], None, ValueError, "no image"),
    (images(), range(5), None, ValueError, r"shape \(6,\)"),
    (images(), [0, 1, 2, 3, 4, -2], None, ValueError, "label -2 of image 5"),
    (images(), [0, 1, 5, 3, 4, 0], list("abcde"), ValueError, "label 5 of image 2 is out of range, classes are 0 to 4"),
    (images(), [0.0] * 6, None, TypeError, "whole numbers"),
    (images(), [True] * 6, None, TypeError, "whole numbers"),
    (images().astype(np.uint16), range(6), None, TypeError, "got uint16; .*16 bit"),
    (images().astype(object), range(6), None, TypeError, "must be uint8"),
    (images().astype("U3"), range(6), None, TypeError, "must be uint8"),
    (images(2, 0, 4), range(2), None, ValueError, "no image"),
    (images(), list("abcdef"), None, TypeError, "whole numbers"),
    (images(), np.eye(6, dtype=int), None, ValueError, r"got \(6, 6\); of one-hot labels take argmax"),
    (images(), [0, 1, 2, 3, 4, 2**40], None, ValueError, "label 1099511627776 of image 5 is out of range"),
    (images(), range(6), list("abcdea"), ValueError, "a occurs more than once"),
])
def test_wrong_arrays_are_refused(bad, labels, classes, error, message):
    with pytest.raises(error, match=message):
        Arrays(bad, list(labels), classes)


@pytest.mark.parametrize("shape, last, expected", [
    ((5, 7), None, (7,)), ((5, 8, 10), None, (1, 8, 10)), ((5, 1, 8, 10), None, (1, 8, 10)),
    ((5, 8, 10, 1), None, (1, 8, 10)), ((5, 8, 10, 4), None, (4, 8, 10)), ((5, 4, 8, 10), None, (4, 8, 10)),
    ((5, 4, 4, 3), None, (3, 4, 4)), ((5, 3, 4, 4), None, (3, 4, 4)), ((5, 3, 10, 4), None, (3, 10, 4)),
    ((5, 1, 8, 3), None, (1, 8, 3)), ((5, 8, 10, 2), True, (2, 8, 10)), ((5, 8, 10, 2), False, (8, 10, 2)),
    ((5, 2, 8, 10), False, (2, 8, 10)),
], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.float16])
def test_vectors_maps_and_images_of_any_channel_count_are_data(shape, last, expected, dtype):
    values = np.arange(np.prod(shape)).reshape(shape) % 200
    data = Arrays(values.astype(dtype), range(5), channels_last=last)
    assert data.shape == expected and data.describe()["size"] == list(expected) and data.images.is_contiguous()
    assert data.is_bytes == (dtype == np.uint8) and data.images.dtype in (torch.uint8, torch.float32)
    assert data.images.flatten(1).sum(1).tolist() == values.reshape(5, -1).sum(1).tolist()
    if dtype == np.uint8:
        assert len(data.mean) == len(data.std) == expected[0]
    else:
        assert data.mean is None and data.std is None, "floats are taken as they are"


def test_float_data_have_a_hash_of_their_content_and_statistics_of_any_range():
    values = np.random.default_rng(0).normal(5, 3, (6, 4))
    base, same = Arrays(values, range(6), mean=[5] * 4, std=[3] * 4), Arrays(values.astype(np.float32), range(6))
    assert base.mean == (5,) * 4 and base.sha256 == same.sha256
    values[3, 2] += 1e-3
    assert Arrays(values, range(6)).sha256 != base.sha256
    with pytest.raises(ValueError, match="mean must be 4 numbers, got"):
        Arrays(values, range(6), mean=[5] * 3)
    with pytest.raises(ValueError, match="std must be 4 numbers and above 0"):
        Arrays(values, range(6), std=[0.0, 1, 1, 1])


def test_array_files_hold_any_shape_and_their_parts_are_cut(tmp_path):
    values = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    np.savez(tmp_path / "train.npz", images=values, labels=np.arange(12) % 3)
    train, val = (ArrayFile(tmp_path, split, val_size=3) for split in ("train", "val"))
    assert (len(train), len(val), val.shape) == (9, 3, (5,)) and val.labels.bincount().tolist() == [1, 1, 1]
    assert torch.equal(val.images, torch.from_numpy(values)[val.indices])


def test_the_hash_is_of_the_content_whatever_its_layout_and_changes_with_it():
    base = Arrays(images(), list(range(6)))
    other, changed = images(), images()
    changed[3, 2, 1, 0] ^= 1
    assert Arrays(torch.from_numpy(other).permute(0, 3, 1, 2), np.arange(6, dtype=np.uint8)).sha256 == base.sha256
    assert Arrays(changed, list(range(6))).sha256 != base.sha256
    assert Arrays(images(), [0, 1, 2, 3, 5, 4]).sha256 != base.sha256


@pytest.mark.parametrize("val_size", [1, 10, 37, 99])
def test_the_validation_split_is_stratified_and_disjoint(val_size):
    labels = torch.arange(100) % 10
    data = torch.arange(100, dtype=torch.uint8).view(-1, 1, 1, 1).expand(100, 3, 2, 2)  # each image shows its number
    train, val = (Arrays(data, labels, split=split, val_size=val_size) for split in ("train", "val"))
    numbers = [set(part.images[:, 0, 0, 0].tolist()) for part in (train, val)]
    assert len(val) == val_size and numbers[0] | numbers[1] == set(range(100)) and not numbers[0] & numbers[1]
    assert set(val.labels.bincount(minlength=10).tolist()) <= {val_size // 10, -(-val_size // 10)}
    assert torch.equal(val.labels, val.images[:, 0, 0, 0].long() % 10)
    assert len(Arrays(data, labels, split="test", val_size=val_size)) == 100


def test_unequal_classes_give_their_share():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    assert labels[held_out(labels, 20)].bincount().tolist() == [12, 6, 2]
    assert labels[held_out(labels, 5)].bincount(minlength=3).tolist() == [3, 2, 0]  # 3, 1.5, 0.5: the first of equals


def test_the_held_out_images_are_a_random_choice():
    chosen = held_out(torch.zeros(1000, dtype=torch.int64), 500).nonzero()[:, 0].float()
    assert abs(chosen.mean() - 499.5) < 5 * 9.2 and (chosen.diff() > 1).any()  # std of the mean: 9.1


def test_npz_files_are_read_by_folder_and_by_name(tmp_path):
    np.savez(tmp_path / "mine_train.npz", images=images(), labels=np.arange(6, dtype=np.uint8), classes=list("abcdef"))
    np.savez(tmp_path / "mine_test.npz", images=images(4), labels=[0, 1, 2, 0])
    train = DATASETS.build(dict(type="ArrayFile", data_root=str(tmp_path)))
    assert train.classes == list("abcdef") and train.sha256 == Arrays(images(), list(range(6))).sha256
    assert len(ArrayFile(tmp_path, split="test")) == len(ArrayFile(tmp_path / "mine_test.npz", split="test")) == 4


def test_pickled_objects_in_npz_are_not_loaded(tmp_path):
    np.savez(tmp_path / "train.npz", images=np.array([{}], dtype=object), labels=[0])
    with pytest.raises(ValueError, match="cannot read the train arrays.*allow_pickle"):
        ArrayFile(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint64, ">i4", "<i2", np.int8])
def test_labels_of_any_kind_of_check_count_are_read(tmp_path, dtype):
    np.savez(tmp_path / "train.npz", images=images(), labels=np.arange(6).astype(dtype),
             classes=np.array([b"a", b"b", b"c", b"d", b"e", b"f"]))
    data = ArrayFile(tmp_path)
    assert data.labels.dtype == torch.int64 and data.labels.tolist() == list(range(6))


def test_a_label_out_of_range_is_named_with_its_file_and_the_range(tmp_path):
    np.savez(tmp_path / "train.npz", images=images(), labels=[0, 1, 2, 3, 9, 0], classes=list("abcd"))
    with pytest.raises(ValueError, match=rf"{tmp_path} \(train\): labels: label 9 of image 4 .* classes are 0 to 3"):
        ArrayFile(tmp_path)


@pytest.mark.parametrize("info", ['{"splits": []}', '{"splits": {"train": 5}}', '{"classes": "abc"}', '{"name": 5}',
                                  '[]', '{"classes": ["a", "a"]}'])
def test_an_info_file_that_is_no_info_is_named(tmp_path, info):
    np.save(tmp_path / "train_images.npy", images())
    np.save(tmp_path / "train_labels.npy", np.arange(6))
    (tmp_path / "info.json").write_text(info)
    with pytest.raises(ValueError, match="info.json|more than once"):
        ArrayFile(tmp_path)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no arrays in .*openmix data"):
        ArrayFile(tmp_path)
    path = tmp_path / "train.npz"
    np.savez(path, images=images())
    with pytest.raises(ValueError, match="lacks labels"):
        ArrayFile(tmp_path)
    np.savez(path, images=images(), labels=np.arange(6))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="cannot read the train arrays"):
        ArrayFile(tmp_path)
    np.savez(tmp_path / "other_train.npz", images=images(), labels=np.arange(6))
    with pytest.raises(ValueError, match="several train files: other_train.npz, train.npz"):
        ArrayFile(tmp_path)
