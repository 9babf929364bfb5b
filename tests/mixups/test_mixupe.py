"""MixupE: MixUp's loss and a term of the clean batch, in closed form."""
import copy

import pytest
import torch

from openmix.mixups import MixUp, MixupE
from openmix.mixups.mixupe import agreement


def slow_agreement(logits, labels, threshold):
    total = 0.0
    for z, label in zip(logits, labels, strict=True):
        p = z.exp() / z.exp().sum()
        s = sum(z[k] * (int(k == label) - p[k]) for k in range(len(z)))
        total += s if s < threshold else 0.0
    return total / len(logits)


def test_the_term_is_the_mean_of_the_examples_below_the_threshold():
    logits = torch.randn(8, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(8)
    logits[torch.arange(4), labels[:4]] += 3  # half of them lean to the right class
    each = torch.stack([slow_agreement(logits[i:i + 1], labels[i:i + 1], 9.0) for i in range(8)])
    assert (each < 1).any() and (each > 1).any()
    for threshold in (-1.0, 0.0, 1.0, 9.0):
        actual = agreement(logits, torch.eye(60, dtype=torch.float64)[labels], threshold)
        expected = torch.as_tensor(slow_agreement(logits, labels, threshold)).to(actual.dtype)
        assert torch.allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_value_and_gradient_are_those_of_the_formula(alpha, make_net, make_batch, criterion):
    method, net, (images, labels) = MixupE(alpha, eta=0.3), make_net(), make_batch()
    draws = method.draw(6, (32, 32), torch.Generator().manual_seed(0))
    other = copy.deepcopy(net)
    losses = method.loss(net, images, labels, criterion, draws)
    losses["loss"].backward()
    clean = other(images)
    mixed, target = MixUp(alpha)(images, labels, draws)
    loss = criterion(other(mixed), target)
    mean = (alpha + 1) / (2 * alpha + 1)  # of Beta(alpha + 1, alpha)
    term = (1 - mean) * slow_agreement(clean, labels, 1.0)
    total = loss - 0.3 * term
    (loss.detach() / total.detach().abs() * total).backward()
    assert torch.allclose(losses["loss"].abs(), loss, atol=1e-5), "the value is that of MixUp"
    assert torch.allclose(losses["agreement"], term, atol=1e-5)
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-5)


def test_without_the_term_it_is_mixup(make_net, make_batch, criterion):
    net, (images, labels) = make_net(), make_batch()
    method, mixup = MixupE(2.0, eta=0.0), MixUp(2.0)
    draws = method.draw(6, (32, 32), torch.Generator().manual_seed(0))
    assert torch.allclose(method.loss(net, images, labels, criterion, draws)["loss"],
                          mixup.loss(net, images, labels, criterion, draws)["loss"], atol=1e-6)
    for mine, its in zip(method(images, labels, draws)[1], mixup(images, labels, draws)[1], strict=True):
        assert torch.equal(mine, its)
