"""Decoupled cross-entropy against loops over classes, and where its terms are absent."""
import math

import pytest
import torch

from openmix.losses import DecoupledCrossEntropy, SoftCrossEntropy
from openmix.target import Target, pair_target


def slow(logits, dense, eta, mode, threshold, power):
    """By example and class, as the formula is written."""
    each = []
    for z, weight in zip(logits.tolist(), dense.tolist(), strict=True):
        total = math.log(sum(math.exp(v) for v in z))
        loss = sum(w * (total - v) for v, w in zip(z, weight, strict=True))
        mixed = [c for c, w in enumerate(weight) if w > 0]
        rest = sum(math.exp(v) for c, v in enumerate(z) if c not in mixed)
        for c in mixed if len(mixed) > 1 else ():
            if mode == "both" or (weight[c] >= threshold) == (mode == "more"):
                loss += eta * weight[c] ** power * -math.log(math.exp(z[c]) / (math.exp(z[c]) + rest))
        each.append(loss)
    return torch.tensor(each, dtype=torch.float64)


def mixture(n=6, classes=7, lam=None):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (n,), generator=generator)
    partners = torch.randint(classes, (n,), generator=generator)
    partners[0] = labels[0]
    lam = torch.linspace(0, 1, n) if lam is None else torch.full((n,), lam)
    return logits, pair_target(labels, partners, lam)


@pytest.mark.parametrize("mode", ["both", "more", "less"])
@pytest.mark.parametrize("threshold, power", [(0.5, 0.0), (0.5, 0.5), (0.3, 1.0)])
def test_values_are_those_of_loops_over_classes(mode, threshold, power):
    logits, target = mixture()
    criterion = DecoupledCrossEntropy(0.4, mode, threshold, power, reduction="none")
    expected = slow(logits, target.dense(7), 0.4, mode, threshold, power)
    assert torch.allclose(criterion(logits, target), expected, atol=1e-6)
    assert torch.allclose(criterion(logits, target.dense(7)), expected, atol=1e-6), "two positive entries are a mix"
    mean = DecoupledCrossEntropy(0.4, mode, threshold, power)(logits, target)
    assert torch.allclose(mean, expected.mean(), atol=1e-6)


def test_any_number_of_classes_is_decoupled():
    """Three classes, one of them twice and one with weight 0: two are mixed."""
    logits = torch.randn(2, 5, dtype=torch.float64)
    target = Target(torch.tensor([[0, 3, 0, 4], [1, 2, 4, 0]]),
                    torch.tensor([[0.2, 0.5, 0.3, 0.0], [0.1, 0.2, 0.3, 0.4]]))
    actual = DecoupledCrossEntropy(1.0, reduction="none")(logits, target)
    assert torch.allclose(actual, slow(logits, target.dense(5), 1.0, "both", 0.5, 0), atol=1e-6)


def test_without_weight_it_is_mixture_cross_entropy():
    logits, target = mixture()
    assert torch.equal(DecoupledCrossEntropy(0.0)(logits, target), SoftCrossEntropy()(logits, target))


def test_an_example_of_one_class_has_plain_cross_entropy():
    logits, _ = mixture()
    labels = torch.arange(6)
    for target in (labels, torch.eye(7)[labels], pair_target(labels, labels, torch.full((6,), 0.3)),
                   pair_target(labels, labels.roll(1), torch.ones(6))):
        assert torch.allclose(DecoupledCrossEntropy(5.0)(logits, target), SoftCrossEntropy()(logits, labels), atol=1e-6)


def test_two_classes_leave_nothing_to_compete_with():
    logits = torch.randn(4, 2, requires_grad=True)
    target = pair_target(torch.tensor([0, 1, 0, 1]), torch.tensor([1, 0, 1, 0]), torch.full((4,), 0.3))
    loss, plain = DecoupledCrossEntropy(5.0)(logits, target), SoftCrossEntropy()(logits, target)
    (actual,), (expected,) = torch.autograd.grad(loss, logits), torch.autograd.grad(plain, logits)
    assert torch.allclose(loss, plain) and torch.allclose(actual, expected) and actual.isfinite().all()


def test_the_term_of_a_class_has_no_gradient_for_the_other_mixed_class():
    logits, target = torch.randn(1, 5, requires_grad=True), pair_target(torch.tensor([1]), torch.tensor([3]),
                                                                       torch.tensor([0.8]))
    (decoupled,) = torch.autograd.grad(DecoupledCrossEntropy(1.0, "more")(logits, target), logits)
    (plain,) = torch.autograd.grad(SoftCrossEntropy()(logits, target), logits)
    term = (decoupled - plain)[0]
    assert abs(term[3]) < 1e-7 and term[1] < 0 and (term[[0, 2, 4]] > 0).all()


def test_one_half_is_a_mixture_of_two_classes_of_at_least_one_half():
    logits, target = mixture(lam=0.5)
    plain = SoftCrossEntropy()(logits, target)
    both, more, less = (DecoupledCrossEntropy(1.0, mode)(logits, target) for mode in ("both", "more", "less"))
    assert both == more > plain and less == plain


def test_large_logits_and_half_precision_stay_finite():
    logits = torch.tensor([[60.0, -60, 0, 1], [-60, 60, 1e4, 0]], requires_grad=True)
    target = pair_target(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0.3, 0.6]))
    loss = DecoupledCrossEntropy(1.0)(logits, target)
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()
    assert DecoupledCrossEntropy(1.0)(logits.bfloat16(), target).dtype == torch.float32


def test_classes_are_weighted_in_both_parts():
    logits, target = mixture()
    weights = torch.ones(7)
    weights[2] = 0
    one = DecoupledCrossEntropy(0.4, class_weight=weights, reduction="none")(logits, target)
    dense = target.dense(7).double()
    whole = slow(logits, dense, 0.4, "both", 0.5, 0)
    rows = dense[:, 2] == 0
    assert rows.any() and torch.allclose(one[rows], whole[rows], atol=1e-6) and (one[~rows] < whole[~rows]).all()
    twice = DecoupledCrossEntropy(0.4, class_weight=[2] * 7, reduction="none")(logits, target)
    assert torch.allclose(twice, 2 * whole, atol=1e-6)


@pytest.mark.parametrize("wrong", [dict(eta=-1), dict(mode="all"), dict(threshold=2), dict(power=-1)])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DecoupledCrossEntropy(**wrong)
