import pytest
import torch
import torch.nn.functional as F

from openmix.losses import LabelSmoothing, SoftCrossEntropy
from openmix.target import pair_target


@pytest.fixture
def batch():
    """Logits, labels of both images, and a lam of each example."""
    torch.manual_seed(0)
    return 3 * torch.randn(6, 5), torch.randint(5, (6,)), torch.randint(5, (6,)), torch.rand(6)


def test_a_lam_per_sample_is_not_collapsed_to_its_mean(batch):
    """OpenMixup's order of operations (the mean of the losses first, then lam) gives another number."""
    logits, a, b, lam = batch
    terms = []
    for i in range(6):
        p = logits[i].exp() / logits[i].exp().sum()
        terms.append(-(lam[i] * p[a[i]].log() + (1 - lam[i]) * p[b[i]].log()))
    loss = SoftCrossEntropy()(logits, pair_target(a, b, lam))
    torch.testing.assert_close(loss, sum(terms) / 6)
    collapsed = lam.mean() * F.cross_entropy(logits, a) + (1 - lam.mean()) * F.cross_entropy(logits, b)
    assert (loss - collapsed).abs() > 0.01


def test_it_is_torchs_cross_entropy_for_indices_and_probabilities(batch):
    logits, a, b, lam = batch
    torch.testing.assert_close(SoftCrossEntropy()(logits, a), F.cross_entropy(logits, a))
    dense = pair_target(a, b, lam).dense(5)
    torch.testing.assert_close(SoftCrossEntropy()(logits, dense), F.cross_entropy(logits, dense))


def test_weights_that_do_not_sum_to_one_scale_the_loss(batch):
    logits, a, _, _ = batch
    dense = F.one_hot(a, 5) * 0.3
    torch.testing.assert_close(SoftCrossEntropy()(logits, dense), 0.3 * F.cross_entropy(logits, a))


def test_label_smoothing_is_torchs_for_indices_and_mixes(batch):
    logits, a, b, lam = batch
    criterion = LabelSmoothing(eps=0.2)
    torch.testing.assert_close(criterion(logits, a), F.cross_entropy(logits, a, label_smoothing=0.2))
    target = pair_target(a, b, lam)
    torch.testing.assert_close(criterion(logits, target),
                               F.cross_entropy(logits, target.dense(5), label_smoothing=0.2))
    torch.testing.assert_close(criterion(logits, target), SoftCrossEntropy()(logits, 0.8 * target.dense(5) + 0.2 / 5))
    part = target._replace(weight=0.4 * target.weight)  # SnapMix: weights need not sum to one
    torch.testing.assert_close(criterion(logits, part), 0.4 * criterion(logits, target))


def test_smoothing_before_mixing_is_smoothing_the_mixture(batch):
    logits, a, b, lam = batch
    one_hot = [F.one_hot(y, 5) * 0.9 + 0.1 / 5 for y in (a, b)]
    mixed = lam[:, None] * one_hot[0] + (1 - lam[:, None]) * one_hot[1]
    torch.testing.assert_close(LabelSmoothing(0.1)(logits, pair_target(a, b, lam)), SoftCrossEntropy()(logits, mixed))
