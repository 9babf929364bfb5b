import json

import numpy as np
import pytest

from openmix.cli import main
from openmix.datasets import CIFAR100, ArrayFile, ImageFolderData
from openmix.datasets.prepare import prepare
from tests.datasets.fabricate import FOLDER, tar, write_folder
from tests.datasets.test_folder import root as folder_root  # noqa: F401  (a fixture)


@pytest.fixture(scope="module")
def tool():
    return lambda words: main(["data", "prepare", *words])


def test_cifar_becomes_arrays_with_the_same_content(tmp_path, official_cifar100, tool, capsys):
    write_folder(tmp_path / "in", official_cifar100)
    out = tmp_path / "out"
    assert tool([str(tmp_path / "in"), str(out)]) == 0
    assert "train: 200 images of 32 x 32 in 100 classes" in capsys.readouterr().out
    for split in ("train", "test"):
        a, b = CIFAR100(tmp_path / "in", split=split), ArrayFile(out, split=split)
        assert {**a.describe(), "name": ""} == {**b.describe(), "name": ""} and b.official
        assert (b.classes, b.mean, b.std) == (a.classes, a.mean, a.std)
        assert np.array_equal(np.load(out / f"{split}_images.npy", mmap_mode="r"), a.images.numpy())
    assert {p.name for p in out.iterdir()} == {
        "info.json", "train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy"}
    assert json.loads((out / "info.json").read_text())["splits"]["test"]["sha256"] == b.sha256
    assert ArrayFile(out, split="val", val_size=50).sha256 == CIFAR100(
        tmp_path / "in", split="val", val_size=50).sha256


@pytest.mark.parametrize("name", [FOLDER, "cifar-100-python.tar.gz"])
def test_the_cifar_folder_or_archive_can_be_named_itself(tmp_path, small_cifar100, name):
    if name == FOLDER:
        write_folder(tmp_path, small_cifar100)
    else:
        (tmp_path / name).write_bytes(tar(small_cifar100))
    assert prepare(tmp_path / name, tmp_path / "out")["splits"]["train"]["images"] == 200


def test_a_folder_of_images_becomes_arrays(folder_root, tmp_path, tool):  # noqa: F811
    out = tmp_path / "out"
    assert tool([str(folder_root), str(out), "--size", "16", "--resize", "18"]) == 0
    for split in ("train", "test"):
        expected = ImageFolderData(folder_root, split=split, size=16, resize=18)
        assert ArrayFile(out, split=split).sha256 == expected.sha256


def test_the_validation_folder_stands_in_for_a_missing_test_folder(folder_root, tmp_path):  # noqa: F811
    (folder_root / "test").rename(folder_root / "val")
    assert list(prepare(folder_root, tmp_path / "out", size=16)["splits"]) == ["train", "test"]
    (folder_root / "val").rename(folder_root / "test")
    (folder_root / "val").symlink_to(folder_root / "test")
    assert list(prepare(folder_root, tmp_path / "three", size=16)["splits"]) == ["train", "val", "test"]
    assert len(ArrayFile(tmp_path / "three", split="val")) == 3


def test_unreadable_images_are_refused_or_counted(folder_root, tmp_path, tool, capsys):  # noqa: F811
    bad = folder_root / "train" / "ant" / "bad.jpg"
    bad.write_bytes(b"\xff\xd8 no image")
    assert tool([str(folder_root), str(tmp_path / "out")]) == 2
    assert "ant/bad.jpg" in capsys.readouterr().err and not (tmp_path / "out").exists()
    with pytest.warns(UserWarning, match="left out 1"):
        assert tool([str(folder_root), str(tmp_path / "out"), "--size", "16", "--on-error", "skip"]) == 0
    assert "1 unreadable left out" in capsys.readouterr().out
    info = json.loads((tmp_path / "out" / "info.json").read_text())
    assert info["splits"]["train"]["skipped"] == [str(bad)]


def npz(path, n=6):
    np.savez(path, images=np.full((n, 8, 8, 3), n, np.uint8), labels=np.arange(n) % 3)


def test_npz_becomes_arrays_and_is_overwritten_only_by_force(tmp_path, tool, capsys):
    npz(tmp_path / "my_train.npz")
    npz(tmp_path / "my_test.npz", 4)
    args = [str(tmp_path), str(tmp_path / "out")]
    assert tool(args) == 0 and len(ArrayFile(tmp_path / "out")) == 6
    npz(tmp_path / "my_train.npz", 9)
    (tmp_path / "out" / "mine.txt").write_text("kept")
    assert tool(args) == 2 and "--force" in capsys.readouterr().err and len(ArrayFile(tmp_path / "out")) == 6
    assert tool([*args, "--force"]) == 0 and len(ArrayFile(tmp_path / "out")) == 9
    assert (tmp_path / "out" / "mine.txt").read_text() == "kept"


def test_changed_arrays_are_noticed(tmp_path):
    npz(tmp_path / "train.npz")
    prepare(tmp_path / "train.npz", tmp_path / "out")
    images = np.load(tmp_path / "out" / "train_images.npy")
    images[0, 0, 0, 0] ^= 1
    np.save(tmp_path / "out" / "train_images.npy", images)
    with pytest.raises(ValueError, match="damaged or were changed"):
        ArrayFile(tmp_path / "out")
    (tmp_path / "out" / "train_labels.npy").unlink()
    with pytest.raises(FileNotFoundError, match="train_labels.npy not found"):
        ArrayFile(tmp_path / "out")
    (tmp_path / "out" / "info.json").write_text("{")
    with pytest.raises(ValueError, match="info.json is damaged"):
        ArrayFile(tmp_path / "out")


def test_a_split_that_was_not_prepared_is_named(tmp_path):
    npz(tmp_path / "train.npz")
    prepare(tmp_path / "train.npz", tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="test_images.npy not found; splits there: train"):
        ArrayFile(tmp_path / "out", split="test")


@pytest.mark.parametrize("source, options, message", [
    ("missing", [], "does not exist"), (".", [], "no data set of a known kind"), ("a.npz", ["--size", "8"], "size"),
    ("bad.npz", [], "cannot read"),
])
def test_impossible_sources_are_named_and_leave_nothing(tmp_path, tool, capsys, source, options, message):
    place = tmp_path / "in"
    place.mkdir()
    if source == "a.npz":
        npz(place / source)
    if source == "bad.npz":
        (place / source).write_bytes(b"PK no archive")
    assert tool([str(place / source), str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(tmp_path, tool, capsys):
    npz(tmp_path / "train.npz")
    (tmp_path / "out").write_text("mine")
    assert tool([str(tmp_path / "train.npz"), str(tmp_path / "out")]) == 2
    assert "must be a folder" in capsys.readouterr().err and (tmp_path / "out").read_text() == "mine"
