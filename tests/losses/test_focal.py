import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from openmix.losses import FocalLoss, SoftCrossEntropy
from openmix.target import pair_target


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_it_is_the_formula_of_the_paper_for_each_class_of_a_mix(gamma):
    torch.manual_seed(0)
    logits, lam = torch.randn(4, 5), torch.tensor([1.0, 0.7, 0.5, 0.1])
    a, b = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 1, 4, 0])
    p, expected = logits.softmax(1), 0
    for i in range(4):
        for y, w in ((a[i], lam[i]), (b[i], 1 - lam[i])):
            expected -= w * (1 - p[i, y]) ** gamma * p[i, y].log() / 4
    torch.testing.assert_close(FocalLoss(gamma)(logits, pair_target(a, b, lam)), expected)


def test_with_two_classes_it_is_torchvisions_sigmoid_focal_loss():
    torch.manual_seed(0)
    z, y = 2 * torch.randn(8), torch.randint(2, (8,))
    logits = torch.stack([torch.zeros(8), z], 1)  # softmax over (0, z) is sigmoid(z)
    expected = sigmoid_focal_loss(z, y.float(), alpha=-1, gamma=2, reduction="mean")
    torch.testing.assert_close(FocalLoss(2.0)(logits, y), expected)


def test_gamma_zero_is_cross_entropy():
    torch.manual_seed(0)
    logits, y = torch.randn(4, 5), torch.randint(5, (4,))
    torch.testing.assert_close(FocalLoss(0.0)(logits, y), F.cross_entropy(logits, y))
    torch.testing.assert_close(FocalLoss(0.0)(logits, y), SoftCrossEntropy()(logits, y))
