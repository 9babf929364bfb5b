"""Adversarial examples: closed forms on linear networks, projection, and what stays untouched."""
import pytest
import torch
from torch import nn

from openmix.attacks import Pixels, fgsm, gradient_sign, ifgsm

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])


@pytest.fixture
def pixels():
    return Pixels(MEAN, STD)


@pytest.fixture
def images():
    """Grey levels from 100 to 155, normalised: away from the borders."""
    levels = torch.randint(100, 156, (6, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    return normalised(levels)


def normalised(levels):
    return (levels.float() / 255 - MEAN[:, None, None]) / STD[:, None, None]


def levels(images):
    return (images * STD[:, None, None] + MEAN[:, None, None]) * 255


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 2))


def test_the_margin_of_a_linear_network_falls_by_eps_times_the_norm_of_its_weights(linear, images, pixels):
    """In units of pixels the weights are w / (255 std); their 1-norm times eps is the largest fall."""
    labels = torch.zeros(6, dtype=torch.int64)
    margin = linear(images).diff(dim=1).neg()[:, 0]
    moved = linear(fgsm(linear, images, labels, pixels, 4)).diff(dim=1).neg()[:, 0]
    weights = linear[1].weight.detach().diff(dim=0).view(3, 16) / (255 * STD[:, None])
    torch.testing.assert_close(margin - moved, (4 * weights.abs().sum()).expand(6), rtol=1e-4, atol=1e-5)


def test_steps_on_a_linear_network_end_where_one_step_does(linear, images, pixels):
    labels = torch.arange(6) % 2
    torch.testing.assert_close(ifgsm(linear, images, labels, pixels, 4, steps=10),
                               fgsm(linear, images, labels, pixels, 4), rtol=0, atol=1e-5)


def test_no_change_is_the_identity_bit_for_bit(linear, pixels):
    images = normalised(torch.tensor([0, 255, 128]).repeat(16).view(1, 3, 4, 4))
    assert torch.equal(fgsm(linear, images, torch.zeros(1, dtype=torch.int64), pixels, 0.0), images)


@pytest.mark.parametrize("steps, step, start", [(1, None, False), (10, None, False), (7, 2.0, True)])
def test_pixels_move_by_eps_at_most_and_stay_pixels(linear, pixels, steps, step, start):
    random = torch.Generator().manual_seed(1)
    given = torch.randint(0, 256, (8, 3, 4, 4), generator=random)
    given[0], given[1] = 0, 255
    images = normalised(given)
    begin = 2 * torch.rand(images.shape, generator=random) - 1 if start else None
    moved = levels(ifgsm(linear, images, torch.zeros(8, dtype=torch.int64), pixels, 4.0, steps, step, begin))
    assert (moved - given).abs().max() <= 4 + 1e-3 and moved.min() >= -1e-3 and moved.max() <= 255 + 1e-3
    assert (moved - given).abs().max() > 3.9, "and the border of the box is reached"


def test_the_loss_of_a_linear_network_grows_for_every_image(linear, images, pixels):
    labels = torch.arange(6) % 2
    before, after = (nn.functional.cross_entropy(linear(x), labels, reduction="none")
                     for x in (images, fgsm(linear, images, labels, pixels, 2)))
    assert (after > before).all()


def test_the_sign_is_that_of_the_gradient_by_differences(linear, images):
    labels = torch.ones(6, dtype=torch.int64)
    net, base = linear.double(), images.double()
    sign = gradient_sign(net, base, labels)
    loss = [nn.functional.cross_entropy(net(x).float().double(), labels, reduction="sum") for x in
            (base + 1e-3 * sign, base - 1e-3 * sign)]
    assert loss[0] > loss[1] and set(sign.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_the_caller_s_network_and_images_stay_as_they_are(images, pixels):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()
    net[0].weight.grad = torch.ones_like(net[0].weight)
    state, given = {k: v.clone() for k, v in net.state_dict().items()}, images.clone()
    with torch.no_grad():
        ifgsm(net, images, torch.zeros(6, dtype=torch.int64), pixels, 4)
    assert torch.equal(images, given) and not images.requires_grad and not net.training
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert torch.equal(net[0].weight.grad, torch.ones_like(net[0].weight)) and net[4].weight.grad is None
