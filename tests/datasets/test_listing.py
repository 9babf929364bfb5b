"""Folders as systems, notebooks and people with links leave them."""
import os

import pytest
from PIL import Image

from openmix.datasets import ImageFolderData, make_loader
from openmix.datasets.listing import SUFFIXES, is_leftover, list_images

JUNK = b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(99)


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (len(path.name) * 9, 7, 7)).save(path)


def fill(folder, names="abc", count=2):
    for name in names:
        for k in range(count):
            picture(folder / name / f"{k}.png")
    return folder


@pytest.fixture
def train(tmp_path):
    return fill(tmp_path / "d" / "train")


def counts(folder):
    paths, labels, classes = list_images(folder, folder.parent / "train")
    assert len(set(map(os.path.realpath, paths))) == len(paths)
    return [labels.count(k) for k in range(len(classes))]


@pytest.mark.parametrize("name", ["._0.png", ".hidden.png", ".ipynb_checkpoints/0-checkpoint.png", "@eaDir/0.png",
                                  "@eaDir/0.png/thumb.png", "__MACOSX/a/0.png", "deep/.cache/0.png", "#recycle/0.png",
                                  "Thumbs.db", "desktop.ini", ".DS_Store", "$RECYCLE.BIN/0.png"])
def test_what_systems_leave_behind_is_no_image_and_no_word_is_made_of_it(train, name, recwarn):
    picture(train / "a" / "deep" / "0.png")  # the negative control: folders inside a class do count
    (train / "a" / name).parent.mkdir(parents=True, exist_ok=True)
    (train / "a" / name).write_bytes(JUNK)
    assert counts(train) == [3, 2, 2] and not len(recwarn)


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", ".git", "lost+found", "__pycache__"])
def test_what_systems_leave_beside_the_classes_is_no_class(train, name):
    picture(train / name / "0.png")
    (train / "._a").write_bytes(JUNK)
    assert counts(train) == [2, 2, 2] and is_leftover(name) and not is_leftover("a.b")


def test_leftovers_do_not_stop_an_epoch_of_a_streamed_set(train):
    (train / "a" / "._0.png").write_bytes(JUNK)
    data = ImageFolderData(train.parent, size=8, resident=False)
    assert [len(x) for x, *_ in make_loader(data, total_batch=6, num_workers=0).batches()] == [6]


def test_a_linked_folder_is_read_and_may_hold_all_of_a_class(train, tmp_path):
    other = fill(tmp_path / "more", "xy", 3)
    os.symlink(other / "x", train / "a" / "more")
    (train / "e").mkdir()
    os.symlink(other / "y", train / "e" / "part")
    os.symlink(fill(tmp_path / "whole", "z", 4) / "z", train / "f")
    assert counts(train) == [5, 2, 2, 3, 4]


@pytest.mark.parametrize("target", ["train/a", "train", ".", "train/b", ".."])
def test_a_link_back_into_the_set_neither_hangs_nor_doubles_images(train, target):
    os.symlink((train.parent / target).resolve(), train / "a" / "loop")
    with pytest.warns(UserWarning, match="a/loop leads back into .* and is not followed"):
        assert counts(train) == [2, 2, 2]


def test_links_that_meet_outside_are_read_once(train, tmp_path):
    other = fill(tmp_path / "more", "x", 3)
    os.symlink(other, other / "x" / "round")
    os.symlink(other / "x", train / "a" / "one")
    os.symlink(other / "x", train / "a" / "two")
    os.symlink("self", train / "a" / "self")
    with pytest.warns(UserWarning, match="is read once"):
        assert counts(train) == [5, 2, 2]


@pytest.mark.parametrize("links", [{"a/x": "x", "b/x": "x"}, {"e": "x", "f": "x"}, {"e": "", "f": "x"},
                                   {"e": "x", "f": ""}])
def test_one_folder_in_two_classes_is_refused(train, tmp_path, links):
    other = fill(tmp_path / "more", "x", 3)
    for link, target in links.items():
        os.symlink(other / target, train / link)
    with pytest.raises(ValueError, match="are the same folder: its images would belong to the classes"):
        counts(train)


def test_a_class_that_is_a_link_to_another_class_is_refused(train):
    os.symlink(train / "a", train / "z")
    with pytest.raises(ValueError, match="train/z is a link to .*train/a, which holds images of other classes"):
        counts(train)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_link_of_a_class_that_leads_nowhere_is_an_error_in_either_split(train, split):
    fill(train.parent / "test")
    os.symlink("/nowhere/d", train.parent / split / "d")
    with pytest.raises(FileNotFoundError, match=f"{split}/d is a link to /nowhere/d, which does not exist: a class"):
        counts(train.parent / "test")


def test_links_inside_a_class_that_lead_nowhere_are_named(train):
    os.symlink("/nowhere/part", train / "a" / "part")
    with pytest.warns(UserWarning, match="a/part leads to /nowhere/part, which does not exist"):
        assert counts(train) == [2, 2, 2]
    os.symlink("/nowhere/9.png", train / "a" / "9.png")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="cannot read the image .*a/9.png"):
        ImageFolderData(train.parent, size=8)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="cannot read the image .*a/9.png"):
        ImageFolderData(train.parent, size=8, resident=False).describe()
    with pytest.warns(UserWarning, match="left out 1 unreadable"):
        assert len(ImageFolderData(train.parent, size=8, on_error="skip")) == 6


def test_an_empty_class_is_an_error_in_training_and_a_warning_in_a_test_set(train):
    (fill(train.parent / "test") / "b" / "0.png").unlink()
    (train.parent / "test" / "b" / "1.png").unlink()
    with pytest.warns(UserWarning, match="test: no images of b"):
        assert counts(train.parent / "test") == [2, 0, 2]
    (train / "d").mkdir()
    with pytest.raises(FileNotFoundError, match="train/d holds no images"):
        counts(train)


def test_files_that_are_left_out_are_named_by_extension_with_their_number(train):
    for name in ("0.gif", "1.GIF", "2.heic", "notes.txt", "README"):
        (train / "b" / name).write_bytes(b"x")
    picture(train / "stray.png")
    with pytest.warns(UserWarning, match=r"1 images lie beside .*\.gif \(2\), \.heic \(1\), \.txt \(1\), no extension"):
        assert counts(train) == [2, 2, 2]


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".jfif", ".jpe", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".pbm",
                                    ".pnm", ".tif", ".TIFF"])
def test_the_usual_formats_are_read_whatever_their_extension(train, suffix):
    assert suffix.lower() in SUFFIXES
    kinds = {".jfif": "JPEG", ".jpe": "JPEG", ".pgm": "PPM", ".pbm": "PPM", ".pnm": "PPM"}
    mode = {".pgm": "L", ".pbm": "1"}.get(suffix, "RGB")
    Image.new(mode, (9, 9)).save(train / "c" / f"9{suffix}", kinds.get(suffix))
    data = ImageFolderData(train.parent, size=8)
    assert data.labels.tolist().count(2) == 3 and data.images[-1].max() < 3


def test_names_that_are_not_utf8_are_listed_hashed_and_printed(train):
    odd = os.fsdecode(b"caf\xe9")
    picture(train / odd / os.fsdecode(b"\xff.png"))
    for resident in (True, False):
        data = ImageFolderData(train.parent, size=8, resident=resident)
        assert data.classes[-1] == "caf\\xe9" and len(data.describe()["sha256"]) == 64
        str(data.classes).encode()
    (train / odd / os.fsdecode(b"\xff.png")).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="cannot read the image") as error:
        ImageFolderData(train.parent, size=8)
    assert "caf\\xe9" in str(error.value).encode().decode()


def test_a_folder_that_may_not_be_read_is_an_error(train, monkeypatch):
    real = os.scandir

    def refuse(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="train/b"):
        counts(train)
