"""No training loss stays below the entropy of the mixed labels, no accuracy above their larger share: arXiv 1710.09412.

The cross-entropy with a target is at least the target's entropy. Of two classes with weights lam ~ Beta(a, a) and
1 - lam that is psi(2a + 1) - psi(a + 1) nats in the mean, and nothing where both images are of one class. A logged loss
below this floor proves that images and labels are not mixed alike. The training accuracy that counts a class with its
weight has a ceiling likewise, the mean of the largest weight.
"""
import math

import pytest
import torch
from torch import nn

from openmix import sampling
from openmix.losses import SoftCrossEntropy
from openmix.mixups import MixUp, Vanilla
from openmix.registry import MIXUPS
from openmix.target import as_sources, as_target, mix_target

from .contract import batch, both, cases, generator, make, trace

CLASSES, N, STEPS = 10, 14, 30
every = pytest.mark.parametrize("name", [case.values[0] for case in cases(dict(default={}))
                                         if make(case.values[0]).sums_to_one])
batch_only = pytest.mark.parametrize("name", [case.values[0] for case in cases(dict(default={}), batch)])


def mean_entropy(alpha):
    """Mean entropy in nats of (lam, 1 - lam) with lam ~ Beta(alpha, alpha)."""
    alpha = torch.tensor(float(alpha), dtype=torch.float64)
    return float(torch.digamma(2 * alpha + 1) - torch.digamma(alpha + 1))


def entropy(dense):
    """Of each row of probabilities, in nats."""
    return torch.special.entr(dense).sum(1)


def mixed_labels(method, images, labels, draws, net=None, past=None):
    """Labels of each mixed image (N, C), by what ``details`` says of the batch and ``past``, those of the one before.

    Source -1 of an image is the image in its place of the batch before.
    """
    sources, weights, _ = as_sources(method.details(images, draws, net=net, labels=labels))
    weights = weights.detach()
    dense = mix_target(labels, sources.clamp(min=0), weights * (sources >= 0)).dense(CLASSES)
    older = (weights * (sources < 0)).sum(1, keepdim=True)
    return dense if past is None else dense + older * past


def last_share(loss, calls, n):
    """How much of ``loss`` is the loss of one mean over ``n`` mixed images: of the criterion's last call, by gradient.

    The other terms, of clean images or between predictions, are not negative.
    """
    target, value = calls[-1]
    (share,) = torch.autograd.grad(loss, value, retain_graph=True)
    return float(share) * n / len(as_target(target).label)


@pytest.mark.parametrize("alpha, expected", [(0.1, 0.1347), (0.2, 0.2277), (0.4, 0.3464), (1, 0.5), (2, 0.5833),
                                             (8, 0.6629), (32, 0.6854)])
def test_the_mean_entropy_is_that_of_the_closed_form(alpha, expected):
    assert abs(mean_entropy(alpha) - expected) < 1e-4
    lam = sampling.beta(alpha, (100_000,), generator())
    actual = entropy(torch.stack([lam, 1 - lam], 1))
    assert abs(actual.mean() - expected) < 4 * actual.std() / 100_000**0.5


@pytest.fixture
def overfitted(make_net):
    """``overfitted(method)``: the late losses of a training on a few images, their floors, and their share.

    The share is what the mixed images have in the loss, see :func:`last_share`.
    """
    def train(method):
        images = torch.randn(N, 3, 32, 32, generator=generator())
        labels, net = torch.arange(N) % CLASSES, make_net(needs=method.needs, num_classes=CLASSES)
        order = torch.randperm(N, generator=generator(1))  # partners of the same class and of others
        images, labels = images[order], labels[order]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            method.attach(net)
        optimizer = torch.optim.Adam(both(method, net).values(), 0.02)
        losses, floors, past = [], [], None
        for step in range(STEPS):
            draws = method.draw(N, (32, 32), generator(step))
            late = step >= STEPS * 2 // 3
            if late or not method.permutes:  # labels may be those of earlier batches
                past = mixed_labels(method, images, labels, draws, net, past)
            actual, _, calls = trace(method, net, images, labels, SoftCrossEntropy(), draws)
            share = last_share(actual["loss"], calls, N)
            optimizer.zero_grad()
            actual["loss"].backward()
            optimizer.step()
            method.after_step(net, step / STEPS)
            if late:
                losses.append(actual["loss"].detach())
                floors.append(share * entropy(past).mean())
        return torch.stack(losses), torch.stack(floors)
    return train


@every
def test_no_mean_training_loss_is_below_the_entropy_of_the_labels(name, overfitted):
    losses, floors = overfitted(make(name))
    assert losses.mean() >= floors.mean() - 1e-3


def test_without_mixing_the_same_training_goes_below_the_floor_of_mixup(overfitted):
    """So that the test above can fail: the network can learn these images by heart."""
    (clean, zero), (mixed, floors) = overfitted(Vanilla()), overfitted(MixUp())
    assert (zero == 0).all() and clean.mean() < 0.05 < floors.mean() <= mixed.mean()


class Forgets(MixUp):
    """Wrong: what it says is mixed, what it trains on is not."""

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        return dict(loss=criterion(net(images), labels))


def test_a_method_that_does_not_mix_what_it_says_is_caught(overfitted):
    losses, floors = overfitted(Forgets())
    assert losses.mean() < floors.mean() - 1e-3


class Sees(nn.Module):
    """A network that knows best: the shares of the classes are the means of the channels."""

    def forward(self, images):
        return images.mean((2, 3)).clamp(min=1e-12).log()


@batch_only
def test_a_network_that_sees_all_reaches_the_floor_and_no_less(name):
    """The image of class c is 1 in channel c: labels that are not on their pixels cost more than the entropy."""
    method, labels = make(name), torch.arange(N) % CLASSES
    images = torch.eye(CLASSES)[labels][:, :, None, None].expand(-1, -1, 32, 32).contiguous()
    for step in range(8):
        draws = method.draw(N, (32, 32), generator(step))
        mixed, target = method(images, labels, draws)
        loss = SoftCrossEntropy()(Sees()(mixed), target)
        floor = entropy(mixed_labels(method, images, labels, draws)).mean()
        assert floor - 1e-4 <= loss <= floor + 0.01  # lam is met within a pixel


LAM = [name for name in MIXUPS.known() if make(name).needs == "batch" and make(name).weight_from == "lam"
       and "lam" in make(name).draw(2, (32, 32)) and make(name).pairs == 1]


@pytest.mark.parametrize("name", LAM)
def test_the_mean_loss_of_that_network_is_the_closed_form(name):
    """(1 - 1/C) E H(lam) over random pairs, within four standard errors of one lam a batch."""
    method, actual = make(name), []
    images = torch.eye(CLASSES)[:, :, None, None].expand(-1, -1, 32, 32)
    for step in range(300):
        labels = torch.randint(CLASSES, (N,), generator=generator(step))
        mixed, target = method(images[labels], labels, method.draw(N, (32, 32), generator(1000 + step)))
        actual.append(SoftCrossEntropy()(Sees()(mixed), target))
    actual, expected = torch.stack(actual), (1 - 1 / CLASSES) * mean_entropy(method.alpha)
    assert abs(actual.mean() - expected) < 4 * actual.std() / 300**0.5 + 0.003


def mean_larger(alpha):
    """Mean of max(lam, 1 - lam) with lam ~ Beta(alpha, alpha): 1/2 + 1 / (4^a a B(a, a))."""
    a = torch.tensor(float(alpha), dtype=torch.float64)
    return float(0.5 + (a.mul(2).lgamma() - 2 * a.lgamma() - a * math.log(4)).exp() / a)


@pytest.mark.parametrize("alpha, larger, ceiling", [
    (0.1, 0.9416, 0.9474), (0.2, 0.8988, 0.9089), (0.4, 0.8398, 0.8558), (1, 0.75, 0.775), (2, 0.6875, 0.7188),
    (4, 0.6367, 0.6730), (8, 0.5982, 0.6384), (32, 0.5497, 0.5947)])
def test_the_mean_larger_share_is_that_of_the_closed_form(alpha, larger, ceiling):
    assert abs(mean_larger(alpha) - larger) < 1e-4
    assert abs(1 / CLASSES + (1 - 1 / CLASSES) * larger - ceiling) < 1e-4
    lam = sampling.beta(alpha, (100_000,), generator())
    values = torch.maximum(lam, 1 - lam)
    assert abs(values.mean() - larger) < 4 * values.std() / 100_000**0.5 + 1e-4


@batch_only
def test_no_accuracy_on_mixed_labels_is_above_their_larger_share_and_that_network_reaches_it(name):
    method, labels = make(name), torch.arange(N) % CLASSES
    images = torch.eye(CLASSES)[labels][:, :, None, None].expand(-1, -1, 32, 32).contiguous()
    for step in range(8):
        draws = method.draw(N, (32, 32), generator(step))
        mixed, target = method(images, labels, draws)
        weights = as_target(target).dense(CLASSES)
        ceiling = mixed_labels(method, images, labels, draws).max(1).values.mean()
        accuracies = [weights.gather(1, predicted[:, None]).mean() for predicted in
                      (Sees()(mixed).argmax(1), labels, labels.roll(1), torch.zeros_like(labels))]
        assert max(accuracies) <= ceiling + 1e-4 and accuracies[0] >= ceiling - 0.01  # lam is met within a pixel


@pytest.mark.parametrize("name", LAM)
def test_the_mean_accuracy_of_that_network_is_the_closed_form(name):
    """1/C + (1 - 1/C) E max(lam, 1 - lam) over random pairs."""
    method, values = make(name), []
    images = torch.eye(CLASSES)[:, :, None, None].expand(-1, -1, 32, 32)
    for step in range(300):
        labels = torch.randint(CLASSES, (N,), generator=generator(step))
        mixed, target = method(images[labels], labels, method.draw(N, (32, 32), generator(1000 + step)))
        weights = as_target(target).dense(CLASSES)
        values.append(weights.gather(1, Sees()(mixed).argmax(1, keepdim=True)).mean())
    values, expected = torch.stack(values), 1 / CLASSES + (1 - 1 / CLASSES) * mean_larger(method.alpha)
    assert abs(values.mean() - expected) < 4 * values.std() / 300**0.5 + 0.003
