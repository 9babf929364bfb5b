import pytest
import torch
from torch import nn

from openmix.losses import BinaryCrossEntropy, SoftmaxBCE
from openmix.target import pair_target

N, C = 4, 5


@pytest.fixture
def batch():
    torch.manual_seed(0)
    target = pair_target(torch.tensor([0, 1, 2, 3]), torch.tensor([1, 1, 4, 0]), torch.tensor([0.9, 0.4, 0.5, 0.2]))
    return 2 * torch.randn(N, C), target


def loop(p, t):
    """Binary cross-entropy summed over the classes of each example, written out."""
    return torch.stack([sum(-(t[i, c] * p[i, c].log() + (1 - t[i, c]) * (1 - p[i, c]).log()) for c in range(C))
                        for i in range(N)])


@pytest.mark.parametrize("cls, activation", [(BinaryCrossEntropy, torch.sigmoid),
                                             (SoftmaxBCE, lambda z: z.softmax(1))])
def test_sum_and_mean_over_the_classes_are_the_formula(batch, cls, activation):
    logits, target = batch
    summed = loop(activation(logits), target.dense(C))
    torch.testing.assert_close(cls(sum_classes=True)(logits, target), summed.mean())
    torch.testing.assert_close(cls()(logits, target), summed.mean() / C)


def test_with_a_threshold_both_classes_of_a_mix_are_fully_there(batch):
    logits, target = batch
    two_hot = torch.zeros(N, C)
    for i, classes in enumerate([[0], [1], [2, 4], [0]]):  # weights above 0.3
        two_hot[i, classes] = 1
    torch.testing.assert_close(BinaryCrossEntropy(target_threshold=0.3)(logits, target),
                               nn.BCEWithLogitsLoss()(logits, two_hot))


def test_softmax_bce_is_torchs_bce_loss_where_nothing_saturates(batch):
    logits, target = batch
    torch.testing.assert_close(SoftmaxBCE()(logits, target), nn.BCELoss()(logits.softmax(1), target.dense(C)))


@pytest.mark.parametrize("margin", [5.0, 30.0, 200.0])
def test_softmax_bce_is_exact_for_a_sure_and_wrong_network(margin):
    """Two classes, p = sigmoid(margin) for the wrong one: both terms are log(1 + exp(margin)), without a clamp."""
    logits = torch.tensor([[margin, 0.0]])
    expected = 2 * torch.nn.functional.softplus(torch.tensor(margin, dtype=torch.float64))
    assert SoftmaxBCE(sum_classes=True)(logits, torch.tensor([1])).item() == pytest.approx(expected.item())
