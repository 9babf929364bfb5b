"""The mean loss of mixup over lam and pairs, in closed form for simple networks: Zhang et al., arXiv 1710.09412."""
import pytest
import torch
from torch import nn

from openmix import sampling
from openmix.losses import SoftCrossEntropy
from openmix.mixups import MixUp

from .contract import generator

CLASSES, SIZE, COPIES = 3, 4, 40_000


@pytest.fixture(scope="module")
def points():
    """Three points of three classes and a linear network."""
    net = nn.Linear(SIZE, CLASSES)
    with torch.no_grad():
        net.weight.copy_(2 * torch.randn(CLASSES, SIZE, generator=generator(1)))
        net.bias.zero_()
    return torch.randn(3, SIZE, generator=generator(2)), torch.arange(3), net


@pytest.mark.parametrize("alpha", [0.4, 1.0, 4.0])
def test_the_mean_loss_is_that_of_the_own_label_with_lam_of_beta_alpha_plus_1_and_alpha(points, alpha):
    """Each ordered pair (i, j) has its partner (j, i): the second term of the one is the first of the other."""
    images, labels, net = points
    method, losses, own = MixUp(alpha=alpha, per_sample=True), [], []
    for i, j in ((0, 1), (1, 2), (0, 2)):
        pair, label = images[[i, j]].repeat(COPIES, 1), labels[[i, j]].repeat(COPIES)
        draws = method.draw(2 * COPIES, (SIZE,), generator(i + 10 * j))
        with torch.no_grad():
            losses.append(method.loss(net, pair, label, SoftCrossEntropy(), draws)["loss"])
            a, b = (torch.distributions.Gamma(torch.tensor(alpha + k), 1.0) for k in (1, 0))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(7 + i + j)
                a, b = a.sample((2 * COPIES,)), b.sample((2 * COPIES,))
            lam = (a / (a + b))[:, None]
            mixed = lam * pair + (1 - lam) * pair.view(-1, 2, SIZE).flip(1).reshape(-1, SIZE)
            own.append(nn.functional.cross_entropy(net(mixed), label, reduction="none"))
    error = 4 * max(values.std() / len(values)**0.5 for values in own)
    assert abs(torch.stack(losses).mean() - torch.cat(own).mean()) < error


@pytest.mark.parametrize("alpha", [0.4, 1.0, 4.0])
def test_the_mean_square_of_a_linear_network_is_erm_of_the_points_and_of_their_mean(points, alpha):
    """(2 E lam^2 - 2 E lam + 1) E|Wx - y|^2 + 2 E lam(1 - lam) |W mean(x) - mean(y)|^2 over all ordered pairs."""
    images, labels, net = points
    targets, weight = torch.eye(CLASSES), net.weight.detach()
    square = (alpha + 1) / (2 * (2 * alpha + 1))  # the mean of lam^2
    apart = (images @ weight.T - targets).square().sum(1).mean()
    middle = (weight @ images.mean(0) - targets.mean(0)).square().sum()
    lam = sampling.beta(alpha, (COPIES,), generator(3))[:, None]
    values = []
    for i in range(3):
        for j in range(3):
            mixed, target = (lam * t[i] + (1 - lam) * t[j] for t in (images, targets))
            values.append((mixed @ weight.T - target).square().sum(1))
    values = torch.stack(values).mean(0)  # of each lam, over the pairs
    assert abs(values.mean() - (2 * square * apart + 2 * (0.5 - square) * middle)) < 4 * values.std() / COPIES**0.5
