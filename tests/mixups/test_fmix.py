import math

import numpy as np
import pytest
import torch

from openmix import functional, sampling
from openmix.mixups import FMix
from openmix.mixups.fmix import banded_field, low_frequency_field


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def keys(n, seed=0):
    return sampling.keys((n,), generator(seed))


def masks(n, size=(32, 32), **options):
    method = FMix(per_sample=True, **options)
    return method.mask(torch.empty(n, 3, *size), method.draw(n, size, generator()))


def row_column_ratio(maps):
    """Energy of neighbouring differences along rows over that along columns: 1 for isotropic maps."""
    maps = maps.float()
    return (maps.diff(dim=-2).square().sum() / maps.diff(dim=-1).square().sum()).item()


@pytest.mark.parametrize("size", [(32, 32), (9, 14), (8, 8)])
def test_masks_hold_exactly_floor_or_ceil_of_lam_times_pixels(size):
    method, pixels = FMix(per_sample=True), size[0] * size[1]
    draws = method.draw(200, size, generator())
    counts = method.mask(torch.empty(200, 3, *size), draws).flatten(1).sum(1)
    for lam, up, count in zip(draws["lam"].tolist(), draws["up"].tolist(), counts.tolist(), strict=True):
        assert count == (math.ceil if up else math.floor)(lam * pixels)
    assert 70 < draws["up"].sum() < 130  # a fair coin


def test_lam_of_one_and_zero_are_the_image_and_the_partner(make_batch):
    images, labels = make_batch(5)
    for lam, expected in ((1.0, images), (0.0, images.roll(1, 0))):
        draws = {**FMix().draw(5, (32, 32), generator()), "lam": torch.tensor([lam])}
        assert torch.equal(FMix()(images, labels, draws)[0], expected)


def test_the_mask_keeps_the_highest_pixels_of_the_field():
    key = keys(3)
    draws = dict(key=key, lam=torch.tensor([0.25, 0.5, 0.9]), up=torch.tensor([False, True, False]))
    mask = FMix(per_sample=True).mask(torch.empty(3, 3, 16, 12), draws).view(3, -1)
    field = low_frequency_field(key, (16, 12), 3.0).view(3, -1)
    for i in range(3):
        assert field[i][mask[i]].min() >= field[i][~mask[i]].max()


def test_tied_scores_still_give_the_exact_count():
    score = torch.tensor([[1.0] * 10, [0.0] * 5 + [2.0] * 5])
    mask = functional.ranks_to_mask(score, torch.tensor([3, 7]))
    assert mask.sum(1).tolist() == [3, 7] and mask[1, 5:].all()


def test_ledger_09_masks_are_isotropic_by_default_and_not_with_the_banded_spectrum():
    assert 0.85 < row_column_ratio(masks(200)) < 1.15
    assert 0.5 < row_column_ratio(masks(200, size=(24, 40))) < 2
    assert not 0.85 < row_column_ratio(masks(200, banded_spectrum=True)) < 1.15


def test_ledger_09_the_banded_field_has_column_frequencies_0_and_1_alone():
    energy = torch.fft.rfft2(banded_field(keys(50), (32, 24), 3.0).double()).abs().square().sum((0, 1))
    assert energy[2:].sum() < 1e-8 * energy.sum() and energy[1] > 1e-3 * energy.sum()
    energy = torch.fft.rfft2(low_frequency_field(keys(50), (32, 24), 3.0).double()).abs().square().sum((0, 1))
    assert energy[2:].sum() > 1e-3 * energy.sum()


@pytest.mark.parametrize("size", [(32, 32), (16, 24), (8, 20)])
def test_ledger_09_the_banded_field_is_what_the_mistaken_axis_makes_of_the_noise(size):
    """numpy's irfftn of noise (frequencies, 2) whose real and imaginary parts are row frequencies 0 and 1."""
    height, width = size
    key = keys(1)
    noise = sampling.keyed_normal(key, (2, 2, width // 2 + 1))[0].double().numpy()  # part, column and row frequency
    spectrum = np.zeros((width // 2 + 1, 2), complex)
    for j in range(width // 2 + 1):
        for part, unit in enumerate((1, 1j)):
            frequency = max(math.hypot(part / height, j / width), 1 / max(size))
            spectrum[j] += unit * noise[part, :, j] / frequency**3
    expected = np.fft.irfftn(spectrum, size) * width  # ranks, all that is used, do not see the scale
    np.testing.assert_allclose(banded_field(key, size, 3.0)[0].numpy(), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("decay", [2.0, 3.0])
def test_power_falls_as_frequency_to_the_minus_two_decay(decay):
    field = low_frequency_field(keys(200), (64, 64), decay).double()
    power = torch.fft.fft2(field).abs().square().mean(0)
    rows = torch.fft.fftfreq(64).double()
    frequency = (rows[:, None].square() + rows.square()).sqrt()
    ring = (frequency > 0.05) & (frequency < 0.4)
    x, y = frequency[ring].log(), power[ring].log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    assert slope.item() == pytest.approx(-2 * decay, abs=0.1)


def test_spectra_are_complex_normal_also_of_small_images():
    """Power of a frequency is then exponential: its second moment is twice its mean squared."""
    power = torch.fft.fft2(low_frequency_field(keys(10000), (8, 8), 3.0).double()).abs().square()
    for place in ((1, 0), (0, 1), (1, 1), (2, 3)):
        actual = power[:, place[0], place[1]]
        assert (actual.square().mean() / actual.mean().square()).item() == pytest.approx(2, abs=0.15)


def test_more_decay_makes_fewer_larger_blobs():
    def edges(decay):
        mask = masks(60, decay=decay).float()
        return (mask.diff(dim=-1).abs().sum() + mask.diff(dim=-2).abs().sum()).item()
    assert edges(1.0) > edges(2.0) > edges(4.0)


def test_one_mask_a_batch_by_default_and_one_an_image_by_option(make_batch):
    images, _ = make_batch(6)
    one = FMix().details(images, FMix().draw(6, (32, 32), generator()))
    assert (one["mask"] == one["mask"][:1]).all() and (one["lam"] == one["lam"][0]).all()
    method = FMix(per_sample=True)
    each = method.details(images, method.draw(6, (32, 32), generator(1)))
    assert len(set(each["lam"].tolist())) == 6 and len(each["mask"].flatten(1).unique(dim=0)) == 6


def test_labels_are_weighted_by_the_drawn_lam(make_batch):
    images, labels = make_batch(6)
    method = FMix(0.5, per_sample=True)
    draws = method.draw(6, (32, 32), generator())
    assert torch.equal(method(images, labels, draws)[1].weight[:, 0], draws["lam"])
    lam = method.draw(20000, (8, 8), generator())["lam"]
    assert lam.var().item() == pytest.approx(1 / (4 * (2 * 0.5 + 1)), abs=0.004)


def slow_ramp(order, lam, count, pixels, soft):
    """Walk down the ranks: 1, then a straight line to 0 around the cut."""
    half = int(min(soft, lam, 1 - lam) * pixels)
    values = torch.zeros(pixels)
    for rank, pixel in enumerate(order):
        values[pixel] = 1.0 if rank < count - half else 0.0 if rank >= count + half else (
            count + half - rank - 0.5) / (2 * half)
    return values


@pytest.mark.parametrize("soft", [0.05, 0.3, 0.5])
def test_max_soft_is_a_ramp_over_ranks_that_keeps_the_mean(soft):
    method = FMix(max_soft=soft, per_sample=True)
    draws = method.draw(20, (12, 16), generator())
    draws["lam"][:3] = torch.tensor([0.0, 1.0, 0.5])
    mask = method.mask(torch.empty(20, 3, 12, 16), draws)
    field = low_frequency_field(draws["key"], (12, 16), 3.0).flatten(1)
    for i, (lam, up) in enumerate(zip(draws["lam"].tolist(), draws["up"].tolist(), strict=True)):
        count = (math.ceil if up else math.floor)(lam * 192)
        order = field[i].argsort(descending=True).tolist()
        torch.testing.assert_close(mask[i].flatten(), slow_ramp(order, lam, count, 192, soft))
        assert mask[i].sum().item() == pytest.approx(count, abs=1e-3)


def test_soft_masks_blend_so_integer_images_are_refused(make_batch):
    images, labels = make_batch(4)
    whole = images.mul(50).to(torch.uint8)
    assert FMix()(whole, labels)[0].dtype == torch.uint8
    with pytest.raises(ValueError, match="blends pixels"):
        FMix(max_soft=0.2)(whole, labels)


def test_the_same_key_gives_the_same_mask_alone_or_in_a_batch():
    key, (lam, up) = keys(4), (torch.full((4,), 0.4), torch.zeros(4, dtype=torch.bool))
    images = torch.empty(4, 3, 16, 16)
    together = FMix().mask(images, dict(key=key, lam=lam, up=up))
    for i in range(4):
        alone = FMix().mask(images, dict(key=key[i:i + 1], lam=lam[:1], up=up[:1]))
        assert (together[i] ^ alone[0]).sum() <= 2  # transforms of one and of many may round ties differently


@pytest.mark.parametrize("options", [dict(decay=-1), dict(max_soft=0.6), dict(max_soft=-0.1), dict(alpha=0)])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        FMix(**options)
