"""The families of corruptions: strength, range, random numbers, and closed forms where there are some."""
import io
import math

import numpy as np
import pytest
import torch

from openmix.corruptions import FAMILIES, SEVERITIES, corrupt, maths, pixels
from openmix.datasets import Shapes


@pytest.fixture(scope="module")
def images():
    return Shapes(num_images=24, split="test").images.float() / 255


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def distances(images, name):
    return [(corrupt(images, name, s, generator()) - images).abs().mean().item() for s in SEVERITIES]


def test_there_are_the_15_families_of_the_paper_with_five_strengths_each():
    assert len(FAMILIES) == 15 and all(len(family.strengths) == 5 for family in FAMILIES.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_images_stay_whole_grey_levels_in_range_and_depend_on_the_seed_alone(images, name):
    before = images.clone()
    state = torch.random.get_rng_state()
    first, again = (corrupt(images, name, 3, generator()) for _ in range(2))
    assert torch.equal(first, again) and torch.equal(images, before) and first.shape == images.shape
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is untouched"
    assert first.min() >= 0 and first.max() <= 1 and first.dtype == torch.float32
    torch.testing.assert_close(255 * first, (255 * first).round(), rtol=0, atol=1e-3)
    assert not torch.equal(first, images)
    other = corrupt(images, name, 3, generator(1))
    assert torch.equal(first, other) == (FAMILIES[name].draws(3, 32, 32) == 0)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_cut_into_batches_changes_nothing(images, name):
    whole, random = corrupt(images, name, 4, generator()), generator()
    parts = [corrupt(part, name, 4, random) for part in images.split([5, 1, 10, 8])]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1.1 / 255)  # a rounding may tip
    assert (torch.cat(parts) == whole).float().mean() > 0.999


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"elastic_transform", "snow", "glass_blur", "frost"}))
def test_a_greater_severity_is_further_from_the_image(images, name):
    far = distances(images, name)
    assert far == sorted(far) and far[4] > 1.2 * far[0] > 0


@pytest.mark.parametrize("name", ["snow", "glass_blur", "frost"])  # a deformation may be strong and small
def test_the_last_severity_of_those_with_several_strengths_is_further_than_the_first(images, name):
    far = distances(images, name)
    assert far[4] > far[0] > 0


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 1, 28, 28), (2, 3, 33, 40)])
@pytest.mark.parametrize("name", FAMILIES)
def test_other_sizes_and_channels_work(name, shape):
    out = corrupt(torch.rand(shape, generator=generator()), name, 5, generator())
    assert out.shape == shape and out.isfinite().all()


@pytest.mark.parametrize("severity, sigma", zip(SEVERITIES, (0.04, 0.06, 0.08, 0.09, 0.10), strict=True))
def test_gaussian_noise_has_mean_0_and_its_deviation(severity, sigma):
    noise = corrupt(torch.full((8, 3, 64, 64), 0.5), "gaussian_noise", severity, generator()) - 0.5
    n = noise.numel()
    assert abs(noise.mean().item()) < 4 * sigma / math.sqrt(n) + 0.5 / 255
    assert noise.std().item() == pytest.approx(math.sqrt(sigma**2 + 1 / (12 * 255**2)), rel=0.01)


def test_shot_noise_counts_are_poisson_by_their_distribution():
    for rate in (0.3, 2.0, 40.0):
        u = (torch.arange(20000) + 0.5) / 20000
        counts = pixels.poisson(torch.full_like(u, rate), u).long()
        cdf, term = 0.0, math.exp(-rate)
        for k in range(int(rate + 6 * math.sqrt(rate) + 3)):
            cdf += term
            term *= rate / (k + 1)
            assert (counts <= k).float().mean().item() == pytest.approx(cdf, abs=2e-4)
    assert torch.equal(pixels.poisson(torch.zeros(3), torch.tensor([0.1, 0.5, 0.9999])), torch.zeros(3))


def test_impulse_noise_is_half_black_and_half_white():
    out = corrupt(torch.full((8, 3, 64, 64), 0.4), "impulse_noise", 5, generator())
    for value in (0.0, 1.0):
        assert (out == value).float().mean().item() == pytest.approx(0.035, abs=0.002)
    assert ((out == 0) | (out == 1) | (out == 102 / 255)).all()


def test_contrast_and_brightness_are_their_formulas(images):
    mean = images.mean((2, 3), keepdim=True)
    torch.testing.assert_close(corrupt(images, "contrast", 5), mean + 0.15 * (images - mean), rtol=0, atol=0.51 / 255)
    import colorsys
    bright = corrupt(images, "brightness", 3)
    for i, y, x in ((0, 3, 4), (5, 16, 16), (9, 30, 2), (20, 10, 25)):
        h, s, v = colorsys.rgb_to_hsv(*images[i, :, y, x].tolist())
        assert bright[i, :, y, x].tolist() == pytest.approx(colorsys.hsv_to_rgb(h, s, min(v + 0.15, 1)), abs=0.51 / 255)


def test_blurs_and_zooms_keep_constant_images_and_the_sum_of_a_point():
    flat = torch.full((2, 3, 32, 32), 100 / 255)
    for name in ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "pixelate", "elastic_transform", "contrast",
                 "jpeg_compression"):
        torch.testing.assert_close(corrupt(flat, name, 5, generator()), flat, rtol=0, atol=1.01 / 255)
    point = torch.zeros(1, 1, 33, 33)
    point[0, 0, 16, 16] = 1
    for apply in (lambda v: maths.blur(v, 1.5), lambda v: maths.motion(v, 6, 2, torch.tensor([0.4])),
                  lambda v: FAMILIES["defocus_blur"].apply(v, (1.5, 0.1), None)):
        assert apply(point).sum().item() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(maths.zoom(point, 1.0), point)


def test_motion_is_half_a_gaussian_along_its_line():
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    row = maths.motion(point, 8, 3, torch.zeros(1))[0, 0, 20]
    weights = np.exp(-np.arange(17)**2 / 18)
    assert row[4:21].flip(0).tolist() == pytest.approx((weights / weights.sum()).tolist(), abs=1e-5)


def test_a_disk_of_radius_one_is_five_equal_pixels():
    point = torch.zeros(1, 1, 9, 9)
    point[0, 0, 4, 4] = 1
    out = FAMILIES["defocus_blur"].apply(point, (1, 0.1), None)[0, 0]
    assert [out[4, 4], out[3, 4], out[4, 5], out[3, 3]] == pytest.approx([0.2, 0.2, 0.2, 0.0], abs=1e-6)


def test_large_pixels_are_means_of_areas():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert pixels.resize(image, 2, 2).flatten().tolist() == pytest.approx([2.5, 4.5, 10.5, 12.5])
    assert torch.equal(pixels.resize(image, 4, 4), image)
    thirds = pixels.resize(image, 1, 3)[0, 0, 0] - 6  # columns cover 1 1/3 pixels each
    assert thirds.tolist() == pytest.approx([(0 + 1 / 3) / (4 / 3), 1.5, (3 + 2 / 3) / (4 / 3)], abs=1e-5)


@pytest.mark.parametrize("severity, quality", [(1, 80), (3, 58), (5, 40)])
def test_jpeg_is_close_to_that_of_pillow(images, severity, quality):
    image = pytest.importorskip("PIL.Image")
    ours = corrupt(images, "jpeg_compression", severity)
    for own, source in zip(ours, images, strict=True):
        stored = io.BytesIO()
        image.fromarray((source * 255).round().byte().permute(1, 2, 0).numpy()).save(stored, "JPEG", quality=quality)
        theirs = torch.from_numpy(np.array(image.open(stored))).permute(2, 0, 1).float() / 255
        gap, change = (own - theirs).abs().mean().item(), (theirs - source).abs().mean().item()
        assert gap < 0.35 * change + 1 / 255, "the coefficients are those of the format; colours are enlarged otherwise"


def test_fog_keeps_the_brightest_pixel_and_fractal_noise_fills_its_range():
    u = torch.rand(4, maths.fractal_draws(32, 32), generator=generator())
    noise = maths.fractal(u, 32, 32, 2)
    assert noise.amin((1, 2, 3)).tolist() == [0] * 4 and noise.amax((1, 2, 3)).tolist() == pytest.approx([1] * 4)
    white = torch.ones(4, 3, 32, 32)
    assert FAMILIES["fog"].apply(white, (1.5, 1.75), u).amax().item() == pytest.approx(1)


def test_wrong_names_and_severities_are_refused(images):
    with pytest.raises(ValueError, match="did you mean 'fog'"):
        corrupt(images, "fogg", 1)
    with pytest.raises(ValueError, match="severity"):
        corrupt(images, "fog", 6)
