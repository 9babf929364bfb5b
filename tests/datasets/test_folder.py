import numpy as np
import pytest
import torch
from PIL import Image

from openmix.datasets import ImageFolderData, folder


def save(path, size=(24, 20), seed=0, colour=None):
    """A smooth random picture, or one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    image = Image.new("RGB", size, colour) if colour else Image.fromarray(small).resize(size, Image.BICUBIC)
    image.save(path)
    return np.array(image)


@pytest.fixture
def root(tmp_path):
    for k, name in enumerate(["ant", "bee", "cat"]):
        for i in range(4):
            save(tmp_path / "train" / name / f"{i}.png", seed=10 * k + i)
        save(tmp_path / "test" / name / "0.jpg", seed=k)
    return tmp_path


def test_images_of_the_right_size_come_unchanged_and_sorted(tmp_path):
    expected = [save(tmp_path / "train" / name / f"{i}.png", (16, 16), seed)
                for seed, (name, i) in enumerate([("ant", 0), ("ant", 1), ("bee", 0)])]
    data = ImageFolderData(tmp_path, size=16)
    assert data.labels.tolist() == [0, 0, 1] and data.classes == ["ant", "bee"]
    assert torch.equal(data.images, torch.from_numpy(np.stack(expected)).permute(0, 3, 1, 2))


def test_the_centre_is_cropped(tmp_path):
    wide = save(tmp_path / "train" / "ant" / "0.png", (30, 16))
    tall = save(tmp_path / "train" / "bee" / "0.png", (20, 24))
    data = ImageFolderData(tmp_path, size=16)
    assert torch.equal(data.images[0], torch.from_numpy(wide[:, 7:23].copy()).permute(2, 0, 1))
    middle = np.array(Image.fromarray(tall).resize((16, 19), Image.BILINEAR))[2:18]
    assert (data.images[1].permute(1, 2, 0).int() - torch.from_numpy(middle).int()).abs().max() <= 1
    both = ImageFolderData(tmp_path, size=8, resize=16)
    assert torch.equal(both.images[0], data.images[0][:, 4:12, 4:12])


def test_colours_keep_their_order_and_grey_palettes_become_rgb(tmp_path):
    save(tmp_path / "train" / "a" / "0.png", colour=(250, 10, 60))
    (tmp_path / "train" / "b").mkdir()
    Image.new("L", (9, 9), 77).save(tmp_path / "train" / "b" / "0.png")
    Image.new("RGB", (9, 9), (1, 2, 3)).convert("P").save(tmp_path / "train" / "b" / "1.png")
    data = ImageFolderData(tmp_path, size=8)
    assert data.images[0, :, 3, 3].tolist() == [250, 10, 60] and (data.images[1] == 77).all()
    assert data.images.shape == (3, 3, 8, 8)


def test_test_labels_are_numbered_as_in_training(root):
    for name in ("ant", "cat"):
        (root / "test" / name / "0.jpg").unlink()
        (root / "test" / name).rmdir()
    data = ImageFolderData(root, split="test", size=16)
    assert data.labels.tolist() == [1] and data.classes == ["ant", "bee", "cat"]
    save(root / "test" / "dog" / "0.jpg")
    with pytest.raises(ValueError, match="classes that .*train lacks: dog"):
        ImageFolderData(root, split="test", size=16)


def test_validation_is_held_out_or_a_folder_of_its_own(root):
    train, val = (ImageFolderData(root, split=s, val_size=3, size=16) for s in ("train", "val"))
    assert len(train) == 9 and val.labels.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="needs val_size"):
        ImageFolderData(root, split="val", size=16)
    (root / "test").rename(root / "val")
    assert len(ImageFolderData(root, split="val", size=16)) == 3


@pytest.mark.parametrize("resident", [True, False])
def test_imagenet_is_named_so_whatever_its_folder_is_called(root, resident, monkeypatch):
    plain = ImageFolderData(root, size=16, resident=resident)
    assert (plain.official, plain.name) == (False, root.name)
    monkeypatch.setattr(folder, "is_imagenet", lambda paths, classes, split: split == "train" and len(paths) == 12)
    data = ImageFolderData(root, size=16, resident=resident)
    assert (data.official, data.name) == (True, "imagenet") and data.describe()["official"] is True
    assert ImageFolderData(root, size=16, resident=resident, name="mine").name == "mine"


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_truncated_image_is_an_error_that_names_it_or_is_counted(root, suffix):
    path = root / "train" / "bee" / f"9{suffix}"
    save(path, (200, 200), seed=5)
    path.write_bytes(path.read_bytes()[:-path.stat().st_size // 2])
    with pytest.raises(ValueError, match=f"cannot read the image .*bee/9{suffix}.*on_error='skip'"):
        ImageFolderData(root, size=16)
    with pytest.warns(UserWarning, match="left out 1 unreadable images of 13"):
        data = ImageFolderData(root, size=16, on_error="skip")
    clean = [0] * 4 + [1] * 4 + [2] * 4
    assert data.skipped == [str(path)] and data.describe()["skipped"] == 1 and data.labels.tolist() == clean
    path.unlink()
    assert ImageFolderData(root, size=16).sha256 == data.sha256


def test_a_file_that_is_no_image_is_named(root):
    (root / "train" / "ant" / "zero.png").write_bytes(b"")
    with pytest.raises(ValueError, match="ant/zero.png"):
        ImageFolderData(root, size=16)


def test_a_set_larger_than_the_memory_is_refused_before_reading(root, monkeypatch):
    monkeypatch.setattr(folder, "free_memory", lambda: 10_000)
    monkeypatch.setattr(folder, "decode", None)  # calling it would be another error
    with pytest.raises(MemoryError, match="12 images of .*need 0.0 GB.*resident=False to stream"):
        ImageFolderData(root, size=16, resident=True)


@pytest.mark.parametrize("free, processes, resident", [(18_432, 1, True), (18_431, 1, False), (18_432, 2, False),
                                                       (None, 2, True)])
def test_auto_streams_what_would_take_more_than_half_of_the_memory(root, monkeypatch, free, processes, resident):
    monkeypatch.setattr(folder, "free_memory", lambda: free)  # the set takes 12 * 3 * 16 * 16 = 9216 bytes
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    data = ImageFolderData(root, size=16)
    assert data.resident is resident and hasattr(data, "images") is resident and hasattr(data, "paths") is not resident


def test_a_streamed_set_lists_what_a_resident_one_reads(root):
    for settings in (dict(), dict(split="test"), dict(val_size=3), dict(split="val", val_size=3)):
        held, streamed = (ImageFolderData(root, size=16, resident=r, **settings) for r in (True, False))
        assert torch.equal(held.labels, streamed.labels) and held.classes == streamed.classes
        assert (held.name, held.mean, held.std, len(held)) == \
            (streamed.name, streamed.mean, streamed.std, len(streamed))
        pixels = torch.stack([folder.centre(path, 16, 16, "bilinear") for path in streamed.paths])
        assert torch.equal(held.images, pixels)
    with pytest.raises(AttributeError, match="streamed from its files .*resident=True"):
        streamed.images  # noqa: B018
    with pytest.raises(ValueError, match="on_error='skip' needs the images .* in memory"):
        ImageFolderData(root, size=16, resident=False, on_error="skip")


def test_the_hash_of_a_streamed_set_covers_names_sizes_and_labels(root):
    def actual():
        return ImageFolderData(root, size=16, resident=False).sha256

    data, before = ImageFolderData(root, size=16, resident=False), actual()
    assert data.describe()["sha256"] == before and "sizes" in data.describe()["sha256_of"]
    assert {k for k in ImageFolderData(root, size=16).describe()} == set(data.describe()) - {"sha256_of"}
    path = root / "train" / "ant" / "0.png"
    path.write_bytes(path.read_bytes() + b"0")
    longer = actual()
    path.rename(root / "train" / "ant" / "00.png")
    renamed = actual()
    (root / "train" / "ant" / "00.png").rename(root / "train" / "bee" / "00.png")
    assert len({before, longer, renamed, actual()}) == 4


@pytest.mark.parametrize("make, message", [
    (lambda root: None, "not found; expected"),
    (lambda root: (root / "train").mkdir(), "no class folders"),
    (lambda root: (root / "train" / "ant").mkdir(parents=True), "ant holds no images"),
])
def test_missing_images_are_named(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(FileNotFoundError, match=message):
        ImageFolderData(tmp_path)


@pytest.mark.parametrize("settings", [dict(on_error="ignore"), dict(size=0), dict(size=32, resize=16),
                                      dict(resident="yes"), dict(interpolation="lanczos")])
def test_impossible_settings_are_refused(root, settings):
    with pytest.raises(ValueError, match="must be"):
        ImageFolderData(root, **settings)
