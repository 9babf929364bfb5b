"""MixUp against plain loops, closed forms and torchvision."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import v2

from openmix.mixups import MixUp


def draws_of(method, n=1, steps=20000, seed=0):
    return method.draw(n, (32, 32), torch.Generator().manual_seed(seed), steps=(steps,))


@pytest.mark.parametrize("per_sample", [False, True])
def test_images_and_targets_equal_a_plain_loop(per_sample, make_batch):
    images, labels = make_batch(5, (6, 9))
    method = MixUp(0.7, per_sample=per_sample)
    draws = method.draw(5, (6, 9), torch.Generator().manual_seed(1))
    mixed, target = method(images, labels, draws)
    for i in range(5):
        lam, j = draws["lam"][i if per_sample else 0].item(), (i - 1) % 5
        for c in range(3):
            for row in range(6):
                for column in range(9):
                    value = lam * images[i, c, row, column].item() + (1 - lam) * images[j, c, row, column].item()
                    assert mixed[i, c, row, column].item() == pytest.approx(value, abs=1e-5)
        assert target.label[i].tolist() == [labels[i], labels[j]]
        assert target.weight[i].tolist() == pytest.approx([lam, 1 - lam])


def test_equals_torchvision_for_the_same_lam(make_batch, monkeypatch):
    images, labels = make_batch()
    monkeypatch.setattr(v2.MixUp, "make_params", lambda self, inputs: dict(lam=0.3))
    expected, probabilities = v2.MixUp(num_classes=10)(images, labels)
    mixed, target = MixUp(num_classes=10)(images, labels, dict(lam=torch.tensor([0.3])))
    assert torch.allclose(mixed, expected, atol=1e-6)
    assert torch.allclose(target, probabilities, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_lam_has_the_moments_of_beta(alpha):
    lam = draws_of(MixUp(alpha))["lam"]
    variance = 1 / (4 * (2 * alpha + 1))
    assert lam.mean() == pytest.approx(0.5, abs=4 * math.sqrt(variance / 20000))
    assert lam.var() == pytest.approx(variance, rel=0.05)


def test_tiny_alpha_picks_one_image_and_huge_alpha_halves():
    coin = draws_of(MixUp(0.001))["lam"]
    assert (torch.minimum(coin, 1 - coin) < 0.01).float().mean() > 0.98
    assert coin.mean() == pytest.approx(0.5, abs=0.02)
    assert (draws_of(MixUp(1e5))["lam"] - 0.5).abs().max() < 0.01


@pytest.mark.parametrize("shape", [(7,), (7, 11), (3, 5, 6, 7)], ids=["table", "spectrogram", "video"])
def test_any_trailing_dimensions_are_mixed(shape):
    values, labels = torch.randn(4, *shape), torch.arange(4)
    mixed, target = MixUp(per_sample=True)(values, labels)
    for i in range(4):
        lam = target.weight[i, 0]
        assert torch.allclose(mixed[i], lam * values[i] + (1 - lam) * values[i - 1], atol=1e-6)


def test_a_batch_shares_lam_unless_each_image_asks_for_its_own():
    assert draws_of(MixUp(), n=8)["lam"].shape == (20000, 1)
    each = draws_of(MixUp(per_sample=True), n=8, steps=2000)["lam"]
    assert each.shape == (2000, 8)
    correlation = torch.corrcoef(each.T) - torch.eye(8)
    assert correlation.abs().max() < 5 / math.sqrt(2000)


def test_every_image_counts_with_its_own_lam_in_the_loss(make_batch, criterion):
    """A scalar mean loss times the mean of lam is another number (OpenMixup's hard-label heads)."""
    images, labels = make_batch(6)
    logits = torch.randn(6, 10, generator=torch.Generator().manual_seed(0)) * 3
    method = MixUp(0.3, per_sample=True)
    draws = method.draw(6, (32, 32), torch.Generator().manual_seed(1))
    loss = method.loss(lambda mixed: logits, images, labels, criterion, draws)["loss"]
    lam, own, other = draws["lam"], *(F.cross_entropy(logits, y, reduction="none") for y in (labels, labels.roll(1)))
    assert loss == pytest.approx((lam * own + (1 - lam) * other).mean().item(), abs=1e-5)
    collapsed = lam.mean() * own.mean() + (1 - lam.mean()) * other.mean()
    assert abs(loss - collapsed) > 0.01


def test_the_global_numpy_generator_plays_no_part(make_batch):
    images, labels = make_batch()
    found = []
    for seed in (0, 1):
        np.random.seed(seed)
        torch.manual_seed(0)
        found.append(MixUp()(images, labels)[0])
    assert torch.equal(*found)


@pytest.mark.parametrize("alpha", [0, -1.0, math.inf, math.nan, "1", None, True])
def test_alpha_must_be_positive_and_finite(alpha):
    with pytest.raises(ValueError, match="alpha must be a positive number.*Vanilla"):
        MixUp(alpha)
