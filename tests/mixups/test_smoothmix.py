import math

import pytest
import torch

from openmix.mixups import SmoothMix
from openmix.registry import MIXUPS


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def slow_bump(size, centre, sigma):
    """exp(-d^2 / 2) pixel by pixel, distances in units of sigma shares of each side."""
    def share(y, x):
        distances = ((p - c) / (sigma * side) for p, c, side in zip((y, x), centre, size, strict=True))
        return math.exp(-sum(d**2 for d in distances) / 2)
    return torch.tensor([[share(y, x) for x in range(size[1])] for y in range(size[0])])


@pytest.mark.parametrize("size", [(32, 32), (12, 20), (20, 12), (8, 8)])
def test_mask_is_a_gaussian_around_the_centre_that_fades_into_the_partner(make_batch, size):
    images, labels = make_batch(3, size)
    method = SmoothMix(per_sample=True)
    draws = method.draw(3, size, generator())
    mixed, target = method(images, labels, draws)
    for i in range(3):
        bump = slow_bump(size, draws["centre"][i].tolist(), draws["sigma"][i].item())
        torch.testing.assert_close(mixed[i], bump * images[i] + (1 - bump) * images[i - 1])
        torch.testing.assert_close(target.weight[i], torch.tensor([bump.mean(), 1 - bump.mean()]))
        mask = method.details(images, draws)["mask"][i, 0]
        peak = draws["centre"][i].tolist()
        assert mask.max() == mask[peak[0], peak[1]] == 1


def test_kept_share_follows_the_law_of_centre_and_sigma():
    """Against a sum over all centres and 200 widths, and the mean and deviation recorded for 32 x 32."""
    method, pixel = SmoothMix(per_sample=True), torch.arange(32.0)
    images = torch.empty(20000, 0, 32, 32)
    lam = method.box_mask_lam(images, method.draw(20000, (32, 32), generator()))[2]
    sigma = 32 * (0.25 + 0.25 * (torch.arange(200) + 0.5) / 200)
    line = torch.exp(-(pixel - pixel[:, None, None]).square() / (2 * sigma[:, None].square())).mean(2)  # centre, sigma
    law = line[:, None] * line
    assert lam.mean().item() == pytest.approx(law.mean().item(), abs=0.003)
    assert law.mean().item() == pytest.approx(0.4292, abs=1e-4)
    assert lam.std().item() == pytest.approx(law.std().item(), abs=0.003) == pytest.approx(0.127, abs=0.001)
    assert 0.1 < lam.min() < lam.max() < 0.74


def test_sigma_and_centre_are_uniform():
    draws = SmoothMix((0.1, 0.3), per_sample=True).draw(20000, (6, 10), generator())
    assert 0.1 <= draws["sigma"].min() < 0.101 and 0.299 < draws["sigma"].max() <= 0.3
    assert draws["sigma"].mean().item() == pytest.approx(0.2, abs=0.002)
    for axis, side in enumerate((6, 10)):
        shares = draws["centre"][:, axis].bincount(minlength=side) / 20000
        assert len(shares) == side and (shares - 1 / side).abs().max() < 0.015


def seen_and_said(method, draws, n=7):
    """Mean pixel of mixed images of constant value i, and the mean label if image i has label i."""
    images = torch.arange(float(n)).reshape(n, 1, 1, 1).expand(n, 3, 16, 24).contiguous()
    mixed, target = method(images, torch.arange(n), draws)
    return mixed.mean((1, 2, 3)), (target.weight * target.label).sum(1)


def test_ledger_02_labels_follow_the_image():
    method = SmoothMix(per_sample=True)
    draws = method.draw(7, (16, 24), generator())
    seen, said = seen_and_said(method, draws)
    torch.testing.assert_close(seen, said)
    crossed, other = seen_and_said(SmoothMix(per_sample=True, swapped_labels=True), draws)
    torch.testing.assert_close(crossed, seen)  # the image is the same, the labels are crossed
    partner = torch.arange(7.0).roll(1)
    torch.testing.assert_close(other, torch.arange(7.0) + partner - said)
    assert (other - seen).abs().mean() > 0.1


def test_ledger_02_there_is_no_alpha_to_be_ignored():
    with pytest.raises(TypeError, match="alpha"):
        SmoothMix(alpha=0.2)
    with pytest.raises(ValueError, match="SmoothMix has no key 'alpha'"):
        MIXUPS.build(dict(type="SmoothMix", alpha=0.2))


@pytest.mark.parametrize("swapped", [False, True])
def test_batches_left_alone_keep_their_labels(make_batch, swapped):
    images, labels = make_batch(6)
    method = SmoothMix(prob=0.5, per_sample=True, swapped_labels=swapped)
    draws = method.draw(6, (32, 32), generator(3))
    mixed, target = method(images, labels, draws)
    assert 0 < draws["on"].sum() < 6
    for i, on in enumerate(draws["on"]):
        assert torch.equal(mixed[i], images[i]) != on.item()
        assert (target.weight[i, 0] == 1) != on


def test_half_precision_images_get_the_label_weights_of_float32(make_batch):
    images, labels = make_batch(4)
    method = SmoothMix()
    draws = method.draw(4, (32, 32), generator())
    full, half = method(images, labels, draws), method(images.bfloat16(), labels, draws)
    assert torch.equal(full[1].weight, half[1].weight)
    torch.testing.assert_close(half[0].float(), full[0], atol=0.05, rtol=0.02)


def test_integer_images_are_refused(make_batch):
    images, labels = make_batch(4)
    with pytest.raises(ValueError, match="float"):
        SmoothMix()(images.mul(9).to(torch.uint8), labels)


@pytest.mark.parametrize("sigma", [(0.5, 0.25), (0, 0.5), (0.5,)])
def test_sigma_out_of_range_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma must be two numbers"):
        SmoothMix(sigma)
