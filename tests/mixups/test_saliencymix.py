import math

import numpy as np
import pytest
import torch

from openmix import functional, saliency
from openmix.mixups import SaliencyMix
from openmix.mixups.saliencymix import SALIENCY, eight_bit, saliency_map, saliency_peak
from tests.mixups.contract import check_forms_agree

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
SPOTS = [(5, 20), (12, 3), (0, 0), (15, 29), (7, 11), (2, 26)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def spots(size=(16, 30), places=SPOTS, sign=1.0):
    """A smooth, faint background and one small blob an image."""
    rows, columns = torch.arange(size[0])[:, None], torch.arange(size[1])
    blobs = [torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2) for y, x in places]
    background = 0.02 * torch.sin(rows / 5) * torch.cos(columns / 7)
    return (background + sign * torch.stack(blobs))[:, None].repeat(1, 3, 1, 1)


def slow_box(lam, centre, size):
    edges = []
    for middle, side in zip(centre, size, strict=True):
        half = math.floor(side * math.sqrt(1 - lam)) // 2
        edges += [max(middle - half, 0), min(middle + half, side)]
    return edges


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_centre_surround_peaks_at_the_blob(sign):
    assert saliency_peak(spots(sign=sign), "centre_surround").tolist() == [list(place) for place in SPOTS]


@pytest.mark.parametrize("saliency", ["centre_surround", "spectral_residual"])
def test_saliency_peaks_at_a_blob_inside_the_image(saliency):
    places = [(9, 12), (20, 30), (14, 22), (25, 9)]
    peak = saliency_peak(spots((32, 40), places), saliency)
    assert (peak - torch.tensor(places)).abs().max() <= 1


@pytest.mark.parametrize("saliency, ratio", [("centre_surround", 0.5), ("balanced", 1.0), ("fine_grained", 1.0)])
def test_balanced_and_fine_grained_saliency_give_bright_and_dark_equal_rank(saliency, ratio):
    """A bright and a half as deep dark blob: equal peaks in the balanced map, one half of the other otherwise."""
    images = spots((32, 40), [(9, 12)]) - 0.5 * spots((32, 40), [(22, 30)])
    actual = saliency_map(images, saliency)[0]
    assert (actual[22, 30] / actual[9, 12]).item() == pytest.approx(ratio, abs=0.1)


def test_spectral_residual_misses_small_squares_on_flat_ground_that_contrast_finds():
    """A limit of that filter, named where it is offered: the log-amplitude of a square hardly leaves its local mean."""
    images = torch.zeros(4, 3, 32, 32)
    places = [(6, 6), (6, 22), (22, 6), (20, 20)]
    for image, (y, x) in zip(images, places, strict=True):
        image[:, y:y + 4, x:x + 4] = 1
    centre = torch.tensor(places) + 1.5
    far = {name: (saliency_peak(images, name) - centre).abs().amax(1) for name in SALIENCY}
    assert (far["centre_surround"] <= 1.5).all() and (far["spectral_residual"] > 2).all()


@pytest.mark.parametrize("pairing", ["roll", "perm"])
@pytest.mark.parametrize("per_sample", [False, True])
def test_boxes_lie_around_the_peak_of_the_partner(pairing, per_sample):
    images, labels = spots(), torch.arange(6)
    method = SaliencyMix(1.0, saliency="centre_surround", pairing=pairing, per_sample=per_sample)
    draws = method.draw(6, (16, 30), generator())
    mixed, target = method(images, labels, draws)
    partner = method.details(images, draws)["partner"].tolist()
    for i in range(6):
        lam = draws["lam"][i if per_sample else 0].item()
        top, bottom, left, right = slow_box(lam, SPOTS[partner[i]], (16, 30))
        expected = images[i].clone()
        expected[:, top:bottom, left:right] = images[partner[i]][:, top:bottom, left:right]
        assert torch.equal(mixed[i], expected)
        area = (bottom - top) * (right - left) / (16 * 30)
        assert target.weight[i].tolist() == pytest.approx([1 - area, area], abs=1e-6)
    assert len({tuple(box) for box in method.box(images, draws).tolist()}) == 6


def test_ledger_19_each_image_has_a_box_of_its_own_at_its_own_partner():
    """One lam for the batch, as by default: the boxes differ all the same."""
    images = spots((32, 32), [(8, 8), (8, 24), (24, 8), (24, 24)])
    boxes = SaliencyMix(saliency="centre_surround").box(images, dict(lam=torch.tensor([0.9])))
    assert boxes.tolist() == [slow_box(0.9, centre, (32, 32)) for centre in [(24, 24), (8, 8), (8, 24), (24, 8)]]


@pytest.mark.parametrize("saliency", ["centre_surround", "balanced", "spectral_residual"])
def test_ledger_19_normalised_images_have_the_boxes_of_raw_ones(make_batch, saliency):
    raw = smooth_pixels(make_batch(8)[0])
    peak = saliency_peak(raw, saliency)
    assert torch.equal(saliency_peak(raw.to(torch.uint8), saliency), peak)
    assert torch.equal(saliency_peak((raw / 255 - 0.45) / 0.25, saliency), peak)


def smooth_pixels(images):
    smooth = torch.nn.functional.avg_pool2d(images, 5, 1, 2)
    return (smooth * 100 + 128).round().clamp(0, 255)


def test_ledger_19_with_mean_and_std_the_papers_detector_sees_the_pixels_of_normalised_images(make_batch):
    raw, labels = smooth_pixels(make_batch(8)[0]), torch.arange(8)
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (MEAN, STD))
    normalised = (raw / 255 - mean) / std
    assert torch.equal(eight_bit(normalised, mean, std), raw)
    method = SaliencyMix(mean=MEAN, std=STD)
    draws = dict(lam=torch.tensor([0.6]))
    boxes = method.box(normalised, draws)
    assert torch.equal(boxes, SaliencyMix().box(raw.to(torch.uint8), draws))
    assert not torch.equal(boxes, SaliencyMix(saliency="float_bytes").box(normalised, draws))
    assert method(normalised, labels, draws)[0].dtype == torch.float32 and not method.state_dict()


def test_without_mean_and_std_each_float_image_is_stretched_to_0_and_255():
    images = torch.tensor([-3.0, 0.0, 1.0]).repeat(2, 3, 1, 1)
    images[1] = images[1] * 100 + 7
    assert torch.equal(eight_bit(images), torch.tensor([0.0, 191, 255]).expand(2, 3, 1, 3))
    assert torch.equal(eight_bit(torch.full((1, 3, 2, 2), 5.0)), torch.zeros(1, 3, 2, 2)), "a flat image"
    whole = torch.randint(0, 256, (1, 3, 4, 4), dtype=torch.uint8)
    assert eight_bit(whole) is whole


@pytest.mark.parametrize("pairing", ["roll", "perm"])
@pytest.mark.parametrize("per_sample", [False, True])
def test_one_box_takes_the_peak_of_the_first_images_partner_for_all(pairing, per_sample):
    images = spots()
    method = SaliencyMix(one_box=True, saliency="centre_surround", pairing=pairing, per_sample=per_sample)
    draws = method.draw(6, (16, 30), generator(2))
    details = method.details(images, draws)
    centre = SPOTS[details["partner"][0]]
    boxes = method.box(images, draws)
    assert len(boxes) == (6 if per_sample else 1)
    for box, lam in zip(boxes.tolist(), draws["lam"].tolist(), strict=True):
        assert box == slow_box(lam, centre, (16, 30))
    assert torch.equal(details["mask"], functional.box_mask(boxes, (16, 30)).float().expand(6, -1, -1, -1))


def test_a_larger_lam_keeps_more_and_alpha_sets_its_law():
    images = spots((32, 32), [(16, 16)])
    method = SaliencyMix(saliency="centre_surround")
    area = [method.details(images, dict(lam=torch.tensor([lam])))["lam"].item() for lam in (0.0, 0.3, 0.6, 1.0)]
    assert area == [0.0, 1 - 26**2 / 1024, 1 - 20**2 / 1024, 1.0]
    lam = SaliencyMix(0.2, per_sample=True).draw(20000, (8, 8), generator())["lam"]
    assert lam.var().item() == pytest.approx(1 / (4 * (2 * 0.2 + 1)), abs=0.005)


@pytest.mark.parametrize("saliency", SALIENCY)
def test_half_precision_and_autocast_do_not_move_the_boxes(make_batch, saliency):
    images = make_batch(6, (16, 24))[0].bfloat16()
    peak = saliency_peak(images.float(), saliency)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(saliency_peak(images, saliency), peak)


def test_no_gradient_flows_through_saliency(make_batch):
    images, labels = make_batch(4)
    images.requires_grad_()
    method = SaliencyMix()
    draws = dict(lam=torch.tensor([0.5]))
    method(images, labels, draws)[0].sum().backward()
    mask = method.details(images.detach(), draws)["mask"]
    assert torch.equal(images.grad, (mask + (1 - mask).roll(-1, 0)).expand_as(images))


def test_mistakes_are_refused_with_a_way_out():
    with pytest.raises(ValueError, match="centre_surround"):
        SaliencyMix(saliency="opencv")
    with pytest.raises(ValueError, match="both or neither"):
        SaliencyMix(mean=MEAN)
    with pytest.raises(ValueError, match="one number a channel"):
        SaliencyMix(mean=MEAN, std=(0.2, 0.2))
    with pytest.raises(ValueError, match="3 channels, the images have 1"):
        SaliencyMix(mean=MEAN, std=STD)(torch.randn(2, 1, 8, 8), torch.arange(2))


# -- the filters, against plain loops ----------------------------------------------------------------------------


def window(grey, y, x, radius):
    return grey[max(y - radius, 0):y + radius + 1, max(x - radius, 0):x + radius + 1]


def test_gaussian_blur_is_the_weighted_mean_over_the_map():
    maps = torch.randn(1, 6, 9, generator=generator())
    expected = torch.zeros(6, 9)
    for y in range(6):
        for x in range(9):
            weight = torch.exp(-((torch.arange(6)[:, None] - y) ** 2 + (torch.arange(9) - x) ** 2) / (2 * 1.3**2))
            expected[y, x] = (weight * maps[0]).sum() / weight.sum()
    torch.testing.assert_close(saliency.gaussian_blur(maps, 1.3)[0], expected)


@pytest.mark.parametrize("balanced", [False, True])
def test_centre_surround_adds_on_and_off_contrast_of_all_radii(balanced):
    maps, radii = torch.randn(2, 7, 10, generator=generator()), (1, 2, 8, 9, 40)
    blurred = saliency.gaussian_blur(maps, 1.0)
    for grey, actual in zip(blurred, saliency.centre_surround(maps, radii, balanced), strict=True):
        on, off = torch.zeros(2, 7, 10)
        for y in range(7):
            for x in range(10):
                for radius in radii:
                    contrast = grey[y, x] - window(grey, y, x, radius).mean()
                    on[y, x] += max(contrast, 0)
                    off[y, x] += max(-contrast, 0)
        expected = on / on.max() + off / off.max() if balanced else on + off
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    constant = saliency.centre_surround(torch.full((1, 8, 8), 0.5), balanced=balanced)
    assert constant.isfinite().all()


def test_spectral_residual_keeps_the_phase_and_what_stands_out_of_the_log_amplitude():
    """Frequency by frequency, the constant part left out; shifting the brightness changes nothing."""
    grey = torch.randn(1, 8, 12, generator=generator())
    spectrum = np.fft.fft2(grey[0].double().numpy())
    log_amplitude, sharp = np.log(np.abs(spectrum)), np.zeros((8, 12), complex)
    for y in range(8):
        for x in range(12):
            near = [((y + i) % 8, (x + j) % 12) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            mean = np.mean([log_amplitude[place] for place in near if place != (0, 0)])
            if (y, x) != (0, 0):
                sharp[y, x] = np.exp(log_amplitude[y, x] - mean + 1j * np.angle(spectrum[y, x]))
    energy = np.abs(np.fft.ifft2(sharp)) ** 2
    expected = saliency.gaussian_blur(torch.tensor(energy)[None], 2.5 / 64 * 12)
    for shift in (0.0, 3.0):
        actual = saliency.spectral_residual(grey + shift).double()
        torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("saliency", SALIENCY)
@pytest.mark.parametrize("options", [{}, dict(pairing="perm", prob=0.5)], ids=str)
def test_one_box_copied_by_the_host_equals_the_mask(saliency, options, make_batch, monkeypatch):
    check_forms_agree(SaliencyMix(saliency=saliency, one_box=True, **options), *make_batch(5, (18, 30)), monkeypatch)
