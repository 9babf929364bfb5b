"""Decoding, resizing and crop boxes against Pillow and torchvision."""
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop, v2

from openmix.datasets import decode
from openmix.sampling import resized_crops


@pytest.fixture
def picture(tmp_path):
    """``picture(name, size)``: a smooth random picture saved under ``name``; (path, Pillow image as read again)."""
    def make(name, size=(90, 60), seed=0, **options):
        small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize(size, Image.BICUBIC).save(tmp_path / name, **options)
        return tmp_path / name, Image.open(tmp_path / name)
    return make


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.webp"])
def test_files_are_decoded_as_pillow_does(picture, name):
    path, image = picture(name)
    found, size = decode.read_image(path)
    assert size == (60, 90) and torch.equal(found, tensor(image.convert("RGB")))


def test_the_content_counts_and_not_the_name(picture):
    path, image = picture("a.png")
    assert torch.equal(decode.read_image(path.rename(path.with_name("b.jpg")))[0], tensor(image))


@pytest.mark.parametrize("shrink", [None, lambda height, width: 1, lambda height, width: 2])
@pytest.mark.parametrize("turned", range(1, 9))
def test_images_are_turned_as_their_exif_orientation_says(picture, shrink, turned):
    exif = Image.Exif()
    exif[0x0112] = turned
    path, image = picture("a.jpg", exif=exif)
    upright, _ = decode.read_image(picture("b.jpg")[0], shrink)
    found, size = decode.read_image(path, shrink)
    back = {1: lambda x: x, 2: lambda x: x.flip(2), 3: lambda x: x.rot90(2, (1, 2)), 4: lambda x: x.flip(1),
            5: lambda x: x.transpose(1, 2), 6: lambda x: x.rot90(-1, (1, 2)),
            7: lambda x: x.transpose(1, 2).flip((1, 2)), 8: lambda x: x.rot90(1, (1, 2))}[turned]
    assert torch.equal(found, back(upright)) and size == ((60, 90) if turned < 5 else (90, 60))


@pytest.mark.parametrize("interpolation, filter", [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)])
@pytest.mark.parametrize("size", [(90, 60), (61, 240), (20, 16)])
def test_the_centre_is_that_of_pillow(picture, interpolation, filter, size):
    path, image = picture("a.png", size)
    found = decode.centre(path, 28, 32, interpolation)
    width, height = size
    wide, tall = (32, int(height * 32 / width)) if width < height else (int(width * 32 / height), 32)
    left, top = round((wide - 28) / 2), round((tall - 28) / 2)
    expected = tensor(image.resize((wide, tall), filter).crop((left, top, left + 28, top + 28)))
    assert found.shape == (3, 28, 28) and (found.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize("resize, size", [(32, 28), (36, 29)])
def test_the_view_of_evaluation_has_the_sizes_and_places_of_torchvision(resize, size):
    """Any rounding of the longer side or of the crop's place that differs shows as a shifted or another picture."""
    view = v2.Compose([v2.Resize(resize), v2.CenterCrop(size)])
    g = torch.Generator().manual_seed(0)
    for height, width in torch.randint(20, 160, (150, 2), generator=g).tolist():
        image = torch.randint(0, 256, (3, height, width), generator=g).byte()
        found = decode.centre_of(image, size, resize, "bilinear")
        assert found.shape == (3, size, size)
        assert (found.int() - view(image).int()).abs().max() <= 1, (height, width)


def test_a_draft_is_nearly_the_whole_decoded(picture):
    path, _ = picture("a.jpg", (800, 600), quality=95)
    candidates = [(0.5, 1.2, 0.3, 0.6)]
    for find in (lambda draft: decode.centre(path, 56, 64, "bilinear", draft),
                 lambda draft: decode.random_crop(path, candidates, (0.75, 1.33), 56, "bilinear", draft)):
        whole, draft = find(False), find(True)
        assert draft.shape == whole.shape == (3, 56, 56)
        assert (whole.float() - draft.float()).abs().mean() < 3, "another place of the image would differ by about 50"
    _, size = decode.read_image(path, lambda height, width: 8)
    assert size == (600, 800) and decode.read_image(path, lambda h, w: 8)[0].shape == (3, 75, 100)


@pytest.mark.parametrize("height, width", [(375, 500), (500, 60), (60, 500), (7, 7)])
def test_crops_that_are_resized_are_spread_as_those_of_torchvision(height, width):
    """Means and spreads of the box's centre, area and aspect over many draws."""
    scale, ratio, n = (0.08, 1.0), (3 / 4, 4 / 3), 3000
    candidates = resized_crops(torch.arange(n) * 977 + 5, scale, ratio)
    ours = torch.tensor([decode.crop_box(c, height, width, ratio) for c in candidates.tolist()], dtype=torch.float64)
    image = torch.zeros(1, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = torch.tensor([RandomResizedCrop.get_params(image, scale, ratio) for _ in range(n)]).double()
    for box in (ours, theirs):
        assert (box[:, :2] >= 0).all() and (box[:, 0] + box[:, 2] <= height).all()
        assert (box[:, 1] + box[:, 3] <= width).all() and (box[:, 2:] >= 1).all()

    def facts(box):
        top, left, tall, wide = box.unbind(1)
        return torch.stack([top + tall / 2, left + wide / 2, (tall * wide).sqrt(), (wide / tall).log()])

    a, b = facts(ours), facts(theirs)
    error = (a.var(1) / n + b.var(1) / n).sqrt() + 1e-9
    assert ((a.mean(1) - b.mean(1)).abs() / error < 4.5).all()
    assert torch.allclose(a.std(1), b.std(1), rtol=0.1, atol=0.01)


def test_a_crop_box_by_hand():
    ratio = (0.5, 2.0)
    assert decode.crop_box([(0.25, 1.0, 0.0, 0.999)], 40, 60, ratio) == (0, 36, 24, 24)
    side = round(math.sqrt(40 * 60))  # 49 rows do not fit, the second candidate does
    assert side == 49 and decode.crop_box([(1.0, 1.0, 0, 0), (0.5, 1.5, 0.5, 0.5)], 40, 60, ratio) == (6, 9, 28, 42)
    assert decode.crop_box([(1.0, 1.0, 0, 0)], 40, 60, ratio) == (0, 0, 40, 60), "nothing fits: all of it"
    assert decode.crop_box([(1.0, 1.0, 0, 0)], 10, 60, ratio) == (0, 20, 10, 20), "too wide: the middle"
    assert decode.crop_box([(1.0, 1.0, 0, 0)], 60, 10, ratio) == (20, 0, 20, 10)


def test_candidates_are_functions_of_their_keys():
    keys = torch.tensor([3, 99, 12345678901234])
    all_three = resized_crops(keys, (0.08, 1), (0.75, 1.5))
    assert all_three.shape == (3, 10, 4)
    assert torch.equal(all_three[1], resized_crops(keys[1], (0.08, 1), (0.75, 1.5)))
    many = resized_crops(torch.arange(2000), (0.08, 1), (0.75, 1.5)).flatten(0, 1)
    for values, low, high in zip(many.unbind(1), (0.08, math.log(0.75), 0, 0), (1, math.log(1.5), 1, 1), strict=True):
        values = values.log() if low < 0 else values
        assert low <= values.min() and values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=4.5 * (high - low) / math.sqrt(12 * 20_000))
    assert (torch.corrcoef(many.T) - torch.eye(4)).abs().max() < 4.5 / math.sqrt(20_000)
