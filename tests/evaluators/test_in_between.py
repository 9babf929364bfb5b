"""Misses and gradients between images, in closed form."""
import pytest
import torch
from torch import nn

from openmix.evaluators import InBetween


def measure(net, images, labels, points=21, batch=None):
    evaluator = InBetween(points)
    for index in range(evaluator.passes):
        evaluator.begin_pass(index)
        for x, y in zip(images.split(batch or len(images)), labels.split(batch or len(labels)), strict=True):
            with torch.no_grad():
                evaluator.update(net(evaluator.perturb(net, x, y)), y)
    return evaluator.compute()


@pytest.fixture
def data():
    random = torch.Generator().manual_seed(0)
    return torch.randn(200, 10, generator=random), torch.randint(10, (200,), generator=random)


def test_the_gradient_of_a_linear_network_is_its_weights_times_probabilities_minus_labels(data):
    images, labels = data
    net = nn.Linear(10, 10)
    values = measure(net, images, labels, points=5)
    for k, lam in enumerate((0, 0.25, 0.5, 0.75, 1)):
        mixed = lam * images + (1 - lam) * images.roll(1, 0)
        target = lam * nn.functional.one_hot(labels, 10) + (1 - lam) * nn.functional.one_hot(labels.roll(1), 10)
        gradient = (net(mixed).softmax(1) - target) @ net.weight
        assert values["norm"][k] == pytest.approx(gradient.norm(dim=1).mean().item(), rel=1e-5)
        predicted = net(mixed).argmax(1)
        missed = (predicted != labels) & (predicted != labels.roll(1))
        assert values["miss"][k] == pytest.approx(100 * missed.float().mean().item())
    assert values["lam"] == [0, 0.25, 0.5, 0.75, 1] and values["miss_half"] == values["miss"][2]


def test_a_constant_network_misses_the_pairs_without_its_class_for_every_lam(data):
    images, labels = data
    values = measure(lambda x: torch.eye(10)[3].expand(len(x), 10) + 0 * x[:, :1], images, labels)
    expected = 100 * ((labels != 3) & (labels.roll(1) != 3)).float().mean().item()
    assert values["miss"] == pytest.approx([expected] * 21) and values["norm"] == [0.0] * 21


def test_a_perfect_interpolator_misses_nothing():
    labels = torch.arange(10).repeat(4)
    values = measure(lambda x: x.clamp(min=1e-9).log(), torch.eye(10)[labels], labels)
    assert values["miss"] == [0.0] * 21


def test_lam_and_its_complement_of_the_turned_pairs_are_equal(data):
    images, labels = data[0][:2], data[1][:2]  # with two images the turned pair is the other one
    values = measure(nn.Linear(10, 10), images, labels)
    assert values["norm"] == pytest.approx(values["norm"][::-1], rel=1e-5)
    assert values["miss"] == values["miss"][::-1]


def test_padding_is_left_out_and_batches_are_added(data):
    images, labels = data
    net = nn.Linear(10, 10)
    whole = measure(net, images[:50], labels[:50], points=3)
    padding = -torch.ones(3).long()
    padded = measure(net, torch.cat([images[:50], images[:3]]), torch.cat([labels[:50], padding]), points=3)
    assert padded["count"] == 49 and whole["count"] == 50, "the pair with the padding before the first is left out"
    assert measure(net, images, labels, points=3, batch=50)["count"] == 200


def test_parameters_get_no_gradients(data):
    net = nn.Linear(10, 10)
    measure(net, *data, points=2)
    assert net.weight.grad is None
    with pytest.raises(ValueError, match="points"):
        InBetween(1)
