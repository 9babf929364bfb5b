"""Class weights: what each loss does with them, next to torch and to loops over examples and classes."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from openmix.losses import BinaryCrossEntropy, FocalLoss, LabelSmoothing, SoftCrossEntropy, SoftmaxBCE
from openmix.mixups import CutMix, MixUp
from openmix.models import Classifier
from openmix.registry import LOSSES
from openmix.target import pair_target

WEIGHTS = [0.5, 2.0, 0.0, 1.5, 3.0]
LOSS_NAMES = LOSSES.known()
every_loss = pytest.mark.parametrize("kind", LOSS_NAMES)


@pytest.fixture
def batch():
    torch.manual_seed(0)
    target = pair_target(torch.tensor([0, 1, 2, 3]), torch.tensor([1, 1, 4, 0]), torch.tensor([0.9, 0.4, 0.5, 0.2]))
    return 2 * torch.randn(4, 5), target


def slow(kind, logits, shares):
    """The loss of each example, written out class by class."""
    each = []
    for z, t in zip(logits.double(), shares.double(), strict=True):
        p = z.sigmoid() if kind == "BinaryCrossEntropy" else z.exp() / z.exp().sum()
        terms = []
        others = p[t == 0].sum() if kind == "DecoupledCrossEntropy" else None
        for c, w in enumerate(WEIGHTS):
            if others is not None and 0 < t[c] < 1:
                terms.append(-w * 0.1 * (p[c] / (p[c] + others)).log())
            if kind in ("BinaryCrossEntropy", "SoftmaxBCE"):
                terms.append(-w * (t[c] * p[c].log() + (1 - t[c]) * (1 - p[c]).log()) / 5)
            elif kind == "FocalLoss":
                terms.append(-w * t[c] * (1 - p[c]) ** 2 * p[c].log())
            else:
                smoothed = 0.9 * t[c] + 0.1 * t.sum() / 5 if kind == "LabelSmoothing" else t[c]
                terms.append(-w * smoothed * p[c].log())
        each.append(sum(terms))
    return torch.stack(each).float()


@every_loss
def test_each_class_counts_by_its_weight_in_every_form_of_target(kind, batch):
    logits, target = batch
    expected = slow(kind, logits, target.dense(5))
    for reduction, value in (("none", expected), ("mean", expected.mean())):
        criterion = LOSSES.build(dict(type=kind, reduction=reduction, class_weight=WEIGHTS))
        torch.testing.assert_close(criterion(logits, target), value)
        torch.testing.assert_close(criterion(logits, target.dense(5)), value)
    labels = target.label[:, 0]
    alone = slow(kind, logits, F.one_hot(labels, 5)).mean()
    for form in (labels, F.one_hot(labels, 5), F.one_hot(labels, 5).float()):
        torch.testing.assert_close(criterion(logits, form), alone)


@every_loss
def test_equal_weights_scale_the_loss_and_none_leaves_it(kind, batch):
    logits, target = batch
    plain = LOSSES.build(dict(type=kind))(logits, target)
    torch.testing.assert_close(LOSSES.build(dict(type=kind, class_weight=[2.0] * 5))(logits, target), 2 * plain)
    torch.testing.assert_close(LOSSES.build(dict(type=kind, class_weight=None))(logits, target), plain)
    assert (LOSSES.build(dict(type=kind, class_weight=WEIGHTS))(logits, target) - plain).abs() > 1e-3


@pytest.mark.parametrize("eps", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_for_probabilities_it_is_torchs_weight_with_every_reduction(batch, eps, reduction):
    logits, target = batch
    shares, weight = target.dense(5), torch.tensor(WEIGHTS)
    expected = F.cross_entropy(logits, shares, weight, reduction=reduction, label_smoothing=eps)
    criterion = LabelSmoothing(eps, reduction, WEIGHTS) if eps else SoftCrossEntropy(reduction, WEIGHTS)
    torch.testing.assert_close(criterion(logits, shares), expected)
    torch.testing.assert_close(criterion(logits, target), expected)


@pytest.mark.parametrize("eps", [0.0, 0.2])
def test_for_indices_torch_divides_the_mean_by_the_weights_of_the_labels_and_this_by_n(batch, eps):
    logits, labels, weight = batch[0], torch.tensor([0, 1, 4, 3]), torch.tensor(WEIGHTS)
    criterion = LabelSmoothing(eps, class_weight=WEIGHTS) if eps else SoftCrossEntropy(class_weight=WEIGHTS)
    actual = criterion(logits, labels)
    torch.testing.assert_close(actual, F.cross_entropy(logits, labels, weight, reduction="none",
                                                      label_smoothing=eps).mean())
    torch.testing.assert_close(actual / weight[labels].mean(), F.cross_entropy(logits, labels, weight,
                                                                              label_smoothing=eps))


def test_for_binary_losses_it_is_torchs_weight(batch):
    logits, target = batch
    shares, weight = target.dense(5), torch.tensor(WEIGHTS)
    torch.testing.assert_close(BinaryCrossEntropy(class_weight=WEIGHTS)(logits, target),
                               F.binary_cross_entropy_with_logits(logits, shares, weight))
    torch.testing.assert_close(SoftmaxBCE(class_weight=WEIGHTS)(logits, target),
                               F.binary_cross_entropy(logits.softmax(1), shares, weight.expand(4, 5)))
    torch.testing.assert_close(FocalLoss(0.0, class_weight=WEIGHTS)(logits, target),
                               SoftCrossEntropy(class_weight=WEIGHTS)(logits, target))


@pytest.mark.parametrize("method", [MixUp(), CutMix(per_sample=True), MixUp(num_classes=5)], ids=str)
@every_loss
def test_mixed_labels_are_weighted_each_by_its_own_class(kind, method):
    torch.manual_seed(0)
    labels, logits = torch.tensor([0, 1, 4, 3]), torch.randn(4, 5)
    _, target = method(torch.rand(4, 3, 8, 8), labels)
    criterion = LOSSES.build(dict(type=kind, class_weight=WEIGHTS))
    shares = target if method.num_classes else torch.stack(
        [w * F.one_hot(y, 5) + v * F.one_hot(z, 5) for (y, z), (w, v) in zip(*target, strict=True)])
    torch.testing.assert_close(criterion(logits, target), slow(kind, logits, shares).mean())


@pytest.mark.parametrize("values", [WEIGHTS, tuple(WEIGHTS), np.array(WEIGHTS), torch.tensor(WEIGHTS)], ids=lambda v:
                         type(v).__name__)
def test_weights_are_a_list_an_array_or_a_tensor_and_move_with_the_loss(values, batch):
    criterion = SoftCrossEntropy(class_weight=values)
    assert torch.equal(criterion.class_weight, torch.tensor(WEIGHTS)) and not criterion.state_dict()
    assert criterion.to("meta").class_weight.is_meta
    logits, target = batch
    with torch.autocast("cpu", torch.bfloat16):
        assert SoftCrossEntropy(class_weight=values)(logits.bfloat16(), target).dtype == torch.float32


def test_weights_are_a_copy_of_the_callers():
    given = torch.ones(5)
    criterion = SoftCrossEntropy(class_weight=given)
    given.zero_()
    assert criterion.class_weight.sum() == 5


@every_loss
@pytest.mark.parametrize("values", [[1, -1], [1, float("nan")], [1, float("inf")], [0, 0], [], 2.0, "abc", [[1, 2]],
                                    ["a", "b"]], ids=str)
def test_wrong_weights_are_refused(kind, values):
    with pytest.raises(ValueError, match="class_weight must be one number a class"):
        LOSSES.build(dict(type=kind, class_weight=values))


@every_loss
def test_weights_of_another_number_of_classes_are_refused(kind, batch):
    criterion = LOSSES.build(dict(type=kind, class_weight=[1, 2, 3]))
    for target in (batch[1], batch[1].label[:, 0], batch[1].dense(5)):
        with pytest.raises(ValueError, match="class_weight has 3 numbers, but there are 5 classes"):
            criterion(batch[0], target)


def test_a_model_refuses_them_when_it_is_built():
    cfg = dict(backbone=dict(type="CifarResNet", depth=8), num_classes=10)
    with pytest.raises(ValueError, match="class_weight has 3 numbers, but there are 10 classes"):
        Classifier(**cfg, loss=dict(type="FocalLoss", class_weight=[1, 2, 3]))
    model = Classifier(**cfg, loss=dict(type="FocalLoss", class_weight=[1] * 10), mixup=dict(type="MixUp"))
    assert model(torch.rand(4, 3, 32, 32), torch.arange(4))["loss"].isfinite()
