"""OpenCV's fine-grained detector: against loops over pixels, written from its definition, in whole numbers.

(Where opencv-contrib-python is installed its own maps are compared, too.)
"""
import math

import numpy as np
import pytest
import torch

from openmix.fine_grained import RADII, fine_grained, float_bytes, luminance


def pictures(n, height, width, seed=0):
    """Patches of random colours with a little noise, uint8 (n, 3, height, width)."""
    g = torch.Generator().manual_seed(seed)
    patches = torch.randint(0, 236, (n, 3, height // 5 + 1, width // 6 + 1), generator=g)
    images = patches.repeat_interleave(5, 2).repeat_interleave(6, 3)[:, :, :height, :width]
    return (images + torch.randint(0, 20, images.shape, generator=g)).byte()


def slow_map(image):
    """(3, H, W) uint8 -> (H, W): grey, two 3 x 3 blurs, on and off contrasts of six surroundings, scaled and added."""
    _, height, width = image.shape
    grey = [[(9798 * r + 19235 * g + 3735 * b + 2**14) // 2**15 for r, g, b in zip(*rows, strict=True)]
            for rows in zip(*image.tolist(), strict=True)]

    def mirrored(i, side):
        return -i if i < 0 else 2 * (side - 1) - i if i >= side else i

    for _ in range(2):
        grey = [[(sum(a * b * grey[mirrored(y + i, height)][mirrored(x + j, width)]
                      for i, a in ((-1, 1), (0, 2), (1, 1)) for j, b in ((-1, 1), (0, 2), (1, 1))) + 8) // 16
                 for x in range(width)] for y in range(height)]
    grey = np.array(grey)
    on, off = np.zeros((height, width), int), np.zeros((height, width), int)
    for radius in (12, 24, 48, 28, 56, 112):
        for y in range(height):
            for x in range(width):
                around = grey[max(y - radius + 1, 0):y + radius + 1, max(x - radius + 1, 0):x + radius + 1]
                mean = (around.sum() - grey[y, x]) / (around.size - 1)
                on[y, x] += max(math.trunc(grey[y, x] - mean), 0)
                off[y, x] += max(math.trunc(mean - grey[y, x]), 0)
    scaled = [np.trunc(255 * (part / np.float32(max(part.max(), 1))).astype(np.float32).astype(float))
              for part in (on, off)]
    return scaled[0] + scaled[1]


@pytest.mark.parametrize("height, width", [(32, 32), (17, 40), (3, 5)])
def test_maps_are_the_whole_numbers_of_a_loop_over_pixels(height, width):
    images = pictures(2, height, width)
    expected = np.stack([slow_map(image) for image in images])
    assert np.array_equal(fine_grained(images).numpy(), expected)
    assert np.array_equal(fine_grained(images.float()).numpy(), expected), "whole numbers may come as floats"


def test_a_flat_image_and_one_pixel_have_no_salient_place():
    assert torch.equal(fine_grained(torch.full((1, 3, 8, 8), 77)), torch.zeros(1, 8, 8))
    assert torch.equal(fine_grained(torch.full((1, 3, 1, 1), 77)), torch.zeros(1, 1, 1))
    assert fine_grained(pictures(1, 8, 9)[:0]).shape == float_bytes(normalised(1)[:0, :, :8, :9]).shape == (0, 8, 9)


def test_grey_weighs_red_green_and_blue_as_eyes_do_and_one_channel_stays():
    colours = torch.eye(3).mul(255).byte()[..., None, None]
    assert luminance(colours).flatten().tolist() == [76, 150, 29]
    assert luminance(torch.full((1, 3, 1, 1), 200)).item() == 200
    assert luminance(colours[:, :1]).flatten().tolist() == [255, 0, 0]


def test_a_pixel_counts_as_one_of_the_largest_where_its_surroundings_are_the_whole_image():
    """All but the three least surroundings hold all of a 32 x 32 image; their contrasts are equal."""
    assert [radius for radius in RADII if radius < 32] == [12, 24, 28]


def test_half_precision_pixels_and_autocast_change_nothing():
    images = pictures(2, 20, 24)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fine_grained(images.bfloat16()), fine_grained(images))


def test_opencv_itself_finds_the_same_numbers():
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2, "saliency"):
        pytest.skip("opencv-contrib-python is not installed")
    detector = cv2.saliency.StaticSaliencyFineGrained_create()
    for height, width in ((32, 32), (64, 121)):
        images = pictures(8, height, width)
        for image, actual in zip(images, fine_grained(images), strict=True):
            blue_first = np.ascontiguousarray(image.flip(0).permute(1, 2, 0).numpy())
            expected = np.asarray(detector.computeSaliency(blue_first)[1])
            expected = expected * 255 if expected.dtype == np.float32 else expected
            assert np.array_equal(actual.numpy() % 256, np.round(expected))


# -- what OpenCV makes of floats -----------------------------------------------------------------------------------


def normalised(n, seed=0):
    return (pictures(n, 32, 32, seed).float() / 255 - 0.47) / 0.2


def test_of_float_images_it_never_chooses_the_byte_of_the_exponent_and_prefers_the_upper_rows():
    """On real images OpenCV has 42, 31, 16 and 12 % of its peaks in the four bands of eight rows."""
    peaks = torch.cat([float_bytes(normalised(200, seed)).flatten(1).argmax(1) for seed in range(5)])
    columns, rows = (peaks % 32).bincount(minlength=32), peaks // 32
    assert columns[3::4].sum() == 0 and (columns.view(8, 4)[:, :3] > 0).all()
    bands = (rows // 8).bincount(minlength=4) / 1000
    assert bands[0] > 0.3 and bands[0] > bands[3] + 0.1


def test_of_float_images_its_peak_has_nothing_to_do_with_that_of_their_pixels():
    pixels = pictures(300, 32, 32)
    right, theirs = (actual.flatten(1).argmax(1) for actual in (
        fine_grained(pixels), float_bytes((pixels.float() / 255 - 0.47) / 0.2)))
    distance = torch.hypot((right // 32 - theirs // 32).float(), (right % 32 - theirs % 32).float())
    assert (right == theirs).float().mean() < 0.03 and distance.mean() > 10


def test_of_float_images_it_compares_bytes_of_the_floats_with_means_of_the_floats():
    """One image by hand: the bytes of the blurred grey image stand in the place of its pixels."""
    image = normalised(1)
    grey = (0.114 * image[:, 0] + 0.587 * image[:, 1] + 0.299 * image[:, 2])[0].double()
    kernel = torch.tensor([1.0, 2, 1]).double()
    for _ in range(2):
        padded = torch.nn.functional.pad(grey[None, None], (1, 1, 1, 1), mode="reflect")
        grey = torch.nn.functional.conv2d(padded, kernel.outer(kernel)[None, None] / 16)[0, 0]
    parts = np.frombuffer(grey.float().numpy().tobytes(), np.uint8).reshape(32, 128)[:, :32].astype(float)
    on, off = np.zeros((32, 32)), np.zeros((32, 32))
    for radius in RADII:
        for y in range(32):
            for x in range(32):
                around = grey[max(y - radius + 1, 0):y + radius + 1, max(x - radius + 1, 0):x + radius + 1]
                mean = (around.sum().item() - parts[y, x]) / (around.numel() - 1)
                on[y, x] += math.trunc(max(parts[y, x] - mean, 0)) % 256
                off[y, x] += math.trunc(max(mean - parts[y, x], 0)) % 256
    expected = sum(np.trunc(255 * part / max(part.max(), 1)) for part in (on, off))
    actual = float_bytes(image)[0].numpy()
    exact = np.arange(32) % 4 >= 2  # the low bytes of a float are the rounding of whoever computes it
    assert np.abs(actual - expected)[:, exact].max() <= 2 and actual[:, 3::4].max() < 255
