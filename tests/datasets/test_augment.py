import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import Normalize, ToTensor
from torchvision.transforms import functional as tv

from openmix.datasets.augment import centre, check_padding, crop_flip, mirror, normalise, per_channel

TORCHVISION = dict(reflect=dict(mode="reflect"), zeros=dict(mode="constant", value=0))


def slow(images, offsets, flip, padding, mode):
    """Pad each image, cut the window out, mirror it."""
    made = []
    for image, (top, left), mirrored in zip(images, offsets.tolist(), flip.tolist(), strict=True):
        padded = F.pad(image[None].float(), [padding] * 4, **TORCHVISION[mode])[0].to(image.dtype)
        window = padded[:, top:top + image.shape[1], left:left + image.shape[2]]
        made.append(window.flip(2) if mirrored else window)
    return torch.stack(made)


def draws(b, padding, seed=0):
    g = torch.Generator().manual_seed(seed)
    offsets = torch.randint(0, 2 * padding + 1, (b, 2), generator=g).to(torch.int16)
    corners = torch.tensor([[0, 0], [0, 2 * padding], [2 * padding, 0], [2 * padding, 2 * padding]])
    offsets[:4] = corners
    return offsets, torch.rand(b, generator=g) < 0.5


def test_mirroring_flips_those_images_alone():
    images = torch.randint(0, 256, (6, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    flip = torch.tensor([True, False, False, True, True, False])
    expected = torch.stack([image.flip(2) if f else image for image, f in zip(images, flip, strict=True)])
    assert torch.equal(mirror(images, flip), expected) and not torch.equal(expected, images)


@pytest.mark.parametrize("mode", ["reflect", "zeros"])
@pytest.mark.parametrize("size, padding", [((32, 32), 4), ((8, 8), 7), ((12, 20), 5), ((20, 12), 1), ((6, 6), 0)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_crop_flip_equals_pad_slice_and_flip_bit_by_bit(mode, size, padding, dtype):
    images = torch.randint(0, 256, (40, 3, *size), generator=torch.Generator().manual_seed(1)).to(dtype)
    before = images.clone()
    offsets, flip = draws(40, padding)
    actual = crop_flip(images, offsets, flip, padding, mode)
    assert actual.dtype == dtype and torch.equal(actual, slow(images, offsets, flip, padding, mode))
    assert torch.equal(images, before)


@pytest.mark.parametrize("size, padding, side", [((32, 32), 4, 28), ((9, 12), 0, 7), ((8, 8), 2, 1)])
def test_a_smaller_crop_is_the_corner_of_the_large_one(size, padding, side):
    """A crop at (y, x) of the padded image: where the whole one at a smaller offset has it, further in."""
    images = torch.randint(0, 256, (40, 3, *size), generator=torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(images, (padding,) * 4)
    for k in range(40):
        y, x = (k * 7) % (size[0] + 2 * padding - side + 1), (k * 5) % (size[1] + 2 * padding - side + 1)
        expected = padded[k:k + 1, :, y:y + side, x:x + side]
        actual = [crop_flip(images[k:k + 1], torch.tensor([[y, x]]), torch.tensor([f]), padding, "zeros", side)
                 for f in (False, True)]
        assert torch.equal(actual[0], expected) and torch.equal(actual[1], expected.flip(3))
    top, left = round((size[0] - side) / 2), round((size[1] - side) / 2)
    assert torch.equal(centre(images, side), images[:, :, top:top + side, left:left + side])


@pytest.mark.parametrize("mode", ["reflect", "zeros"])
def test_the_whole_path_equals_torchvision_on_pil_images_bit_by_bit(mode):
    images = torch.randint(0, 256, (30, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    offsets, flip = draws(30, 4)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    actual = normalise(crop_flip(images, offsets, flip, 4, mode), per_channel(mean, "mean"), per_channel(std, "std"))
    to_tensor, norm = ToTensor(), Normalize(mean, std)
    for k, image in enumerate(images):
        pil = tv.pad(tv.to_pil_image(image), 4, padding_mode=dict(zeros="constant").get(mode, mode))
        pil = tv.crop(pil, *offsets[k].tolist(), 32, 32)
        assert torch.equal(actual[k], norm(to_tensor(tv.hflip(pil) if flip[k] else pil)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_dtypes_are_the_rounded_float32_ones(dtype):
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    mean, std = per_channel((0.5, 0.4, 0.3), "mean"), per_channel((0.2, 0.3, 0.4), "std")
    assert torch.equal(normalise(images, mean, std, dtype), normalise(images, mean, std).to(dtype))


@pytest.mark.parametrize("padding, mode, message", [
    (4, "symmetric", "mode must be one of"), (32, "reflect", r"\[0, 31\]"), (-1, "reflect", "padding"),
    (128, "zeros", r"\[0, 127\]"), (1.5, "zeros", "padding"),
])
def test_impossible_borders_are_refused(padding, mode, message):
    with pytest.raises(ValueError, match=message):
        check_padding(padding, mode, (32, 40))


@pytest.mark.parametrize("values", [(0.5, 0.5), 0.5, (0.5, 0.0, 0.5)])
def test_impossible_statistics_are_refused(values):
    with pytest.raises(ValueError, match="std must be three numbers above 0"):
        per_channel(values, "std")
