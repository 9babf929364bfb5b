"""The operations of AugMix are Pillow's, within one grey level, for each image with a strength of its own."""
import pytest
import torch
from PIL import Image, ImageOps

from openmix.mixups import augmentations

SIZE = (24, 32)  # height, width


def affine(*matrix):
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def pillow(name, strength):
    """What the authors' code does of an image at a strength (of 10) whose sign is the direction."""
    size, (height, width) = abs(strength), SIZE
    return dict(
        autocontrast=ImageOps.autocontrast, equalize=ImageOps.equalize,
        posterize=lambda image: ImageOps.posterize(image, 4 - int(size * 4 / 10)),
        solarize=lambda image: ImageOps.solarize(image, 256 - int(size * 256 / 10)),
        rotate=lambda image: image.rotate(int(strength * 30 / 10), Image.Resampling.BILINEAR),
        shear_x=affine(1, strength * 0.3 / 10, 0, 0, 1, 0), shear_y=affine(1, 0, 0, strength * 0.3 / 10, 1, 0),
        translate_x=affine(1, 0, int(strength * (width / 3) / 10), 0, 1, 0),
        translate_y=affine(1, 0, 0, 0, 1, int(strength * (height / 3) / 10)))[name]


@pytest.fixture(scope="module")
def photos():
    """Smooth images with different histograms, (50, 3, H, W) uint8; the last has one value a channel."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(50, 3, 5, 6, generator=generator)
    images = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic") * 60
    images = (images + torch.randint(60, 200, (50, 3, 1, 1), generator=generator)).clamp(0, 255).byte()
    images[-1] = torch.tensor([3, 80, 255]).view(3, 1, 1)
    return images


@pytest.mark.parametrize("name", augmentations.OPERATIONS)
def test_an_operation_is_pillows_within_one_grey_level(name, photos):
    generator = torch.Generator().manual_seed(1)
    strength = torch.rand(50, generator=generator) * 20 - 10
    operation = torch.full((50,), augmentations.OPERATIONS.index(name))
    actual = augmentations.apply(photos.float(), operation, strength)
    for image, value, result in zip(photos, strength.tolist(), actual, strict=True):
        right = pillow(name, value)(Image.fromarray(image.permute(1, 2, 0).numpy()))
        right = torch.frombuffer(bytearray(right.tobytes()), dtype=torch.uint8).view(*SIZE, 3).permute(2, 0, 1)
        assert (result - right.float()).abs().max() <= 1
        assert (result != right.float()).float().mean() < 0.05
    assert torch.equal(actual, actual.round()) and actual.min() >= 0 and actual.max() <= 255


def test_each_image_has_its_own_operation(photos):
    images, operation = photos[:9].float(), torch.arange(9)
    strength = torch.full((9,), 5.0)
    together = augmentations.apply(images, operation, strength)
    for i in range(9):
        alone = augmentations.apply(images[i:i + 1], operation[i:i + 1], strength[:1])
        assert torch.equal(together[i:i + 1], alone) and not torch.equal(alone, images[i:i + 1])
