"""What holds for every loss: one target in three forms, shapes checked, float32, gradients as by differences."""
import pytest
import torch
import torch.nn.functional as F

from openmix.losses import SoftCrossEntropy
from openmix.losses.cross_entropy import NEVER
from openmix.registry import LOSSES
from openmix.target import Target

CONFIGS = [
    dict(type="SoftCrossEntropy"),
    dict(type="LabelSmoothing", eps=0.2),
    dict(type="BinaryCrossEntropy"),
    dict(type="BinaryCrossEntropy", sum_classes=True, target_threshold=0.3),
    dict(type="SoftmaxBCE"),
    dict(type="SoftmaxBCE", sum_classes=True),
    dict(type="FocalLoss"),
    dict(type="FocalLoss", gamma=0.5),
    dict(type="DecoupledCrossEntropy"),
    dict(type="DecoupledCrossEntropy", eta=0.5, mode="less", power=0.5),
]
every_loss = pytest.mark.parametrize("cfg", CONFIGS, ids=lambda c: "-".join(map(str, c.values())))


def example(n=5, classes=7, pairs=3):
    g = torch.Generator().manual_seed(0)
    weight = torch.rand(n, pairs, generator=g)
    label = torch.randint(classes, (n, pairs), generator=g)
    label[0] = 2  # the same class several times
    return 3 * torch.randn(n, classes, generator=g), Target(label, weight / weight.sum(1, keepdim=True))


def test_every_registered_loss_is_tested_here():
    assert {c["type"] for c in CONFIGS} == set(LOSSES.known())


@every_loss
def test_sparse_and_dense_targets_give_the_same(cfg):
    criterion, (logits, target) = LOSSES.build(cfg), example()
    dense = target.dense(7)
    torch.testing.assert_close(criterion(logits, target), criterion(logits, dense))
    full = Target(torch.arange(7).expand(5, 7), dense)
    torch.testing.assert_close(criterion(logits, full), criterion(logits, dense))


@every_loss
def test_indices_and_one_hot_probabilities_give_the_same(cfg):
    criterion, (logits, target) = LOSSES.build(cfg), example()
    labels = target.label[:, 0]
    torch.testing.assert_close(criterion(logits, labels), criterion(logits, F.one_hot(labels, 7).float()))


@every_loss
def test_the_mean_is_the_mean_of_the_single_losses_and_examples_are_independent(cfg):
    logits, target = example()
    each = LOSSES.build(dict(cfg, reduction="none"))(logits, target)
    alone = [LOSSES.build(cfg)(logits[i:i + 1], Target(target.label[i:i + 1], target.weight[i:i + 1]))
             for i in range(5)]
    torch.testing.assert_close(each, torch.stack(alone))
    torch.testing.assert_close(LOSSES.build(cfg)(logits, target), each.mean())


@every_loss
def test_gradients_agree_with_finite_differences(cfg):
    logits, target = example()
    logits = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: LOSSES.build(cfg)(z, target), logits)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_summed_in_float32(cfg, dtype):
    criterion, (logits, target) = LOSSES.build(cfg), example()
    half = logits.to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        loss = criterion(half, target)
    assert loss.dtype == torch.float32
    assert loss.equal(criterion(half.float(), target))
    assert criterion(half, target.dense(7).to(dtype)).dtype == torch.float32


@every_loss
def test_logits_far_apart_keep_loss_and_gradient_finite(cfg):
    logits = torch.tensor([[200.0, -200.0, 0.0], [0.0, 1e4, -1e4]], requires_grad=True)
    for labels in (torch.tensor([0, 1]), torch.tensor([1, 2])):
        loss = LOSSES.build(cfg)(logits, labels)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite() and gradient.isfinite().all()


@every_loss
@pytest.mark.parametrize("logits, target, message", [
    (torch.zeros(4, 3, 2), torch.zeros(4).long(), r"logits \(N, C\), got \(4, 3, 2\)"),
    (torch.zeros(4, 3), torch.zeros(5).long(), r"4 class indices .* got torch.int64 of shape \(5,\)"),
    (torch.zeros(4, 3), torch.zeros(4, 5), r"logits are of 3 classes .* 5 columns"),
    (torch.zeros(4, 3), torch.zeros(4), "got torch.float32"),
    (torch.zeros(4, 3), Target(torch.zeros(5, 2).long(), torch.ones(5, 2)), r"\(4, K\), got \(5, 2\) and \(5, 2\)"),
    (torch.zeros(4, 3), Target(torch.zeros(4, 2).long(), torch.ones(4, 1)), r"got \(4, 2\) and \(4, 1\)"),
], ids=["logits", "count", "columns", "dtype", "target-count", "target-shapes"])
def test_shapes_that_do_not_fit_are_named(cfg, logits, target, message):
    with pytest.raises(ValueError, match=message):
        LOSSES.build(cfg)(logits, target)


@every_loss
@pytest.mark.parametrize("label", [-100, -1, 7, 99])
@pytest.mark.parametrize("form", ["indices", "pairs"])
def test_a_label_out_of_range_is_refused_by_name_and_not_left_out(cfg, label, form):
    """torch leaves out -100 without a word; other losses of it raise a bare IndexError."""
    logits, target = example()
    labels = target.label[:, 0].clone()
    labels[1] = label
    given = labels if form == "indices" else target._replace(label=torch.stack([labels] * 3, 1))
    with pytest.raises(ValueError, match=f"label {label} is out of range: 7 classes have labels 0 ... 6"):
        LOSSES.build(cfg)(logits, given)


def test_on_a_device_the_index_to_leave_out_is_no_label_either():
    """Where labels are not read, torch's own check is to find -100: nothing is equal to ignore_index."""
    logits, labels = torch.zeros(2, 3), torch.tensor([0, -100])
    assert F.cross_entropy(logits, labels).isfinite()
    with pytest.raises(IndexError, match="-100"):
        F.cross_entropy(logits, labels, ignore_index=NEVER)
    compiled = torch.compile(SoftCrossEntropy(), backend="eager", fullgraph=True)
    with pytest.raises(IndexError, match="-100"):
        compiled(logits, labels)


@every_loss
@pytest.mark.parametrize("kind", [torch.int64, torch.uint8, torch.bool], ids=str)
def test_one_hot_integers_are_the_labels(cfg, kind):
    criterion, (logits, target) = LOSSES.build(cfg), example()
    labels = target.label[:, 0]
    expected = criterion(logits, labels)
    torch.testing.assert_close(criterion(logits, F.one_hot(labels, 7).to(kind)), expected)
    torch.testing.assert_close(criterion(logits, labels.to(torch.uint8)), expected)
    torch.testing.assert_close(criterion(logits, Target(labels[:, None].int(), torch.ones(5, 1))), expected)
    with pytest.raises(ValueError, match="of 0 and 1, got values from 2 to 2"):
        criterion(logits, torch.full((5, 7), 2))
    with pytest.raises(ValueError, match="label of a Target holds class indices, got torch.float32"):
        criterion(logits, Target(torch.zeros(5, 1), torch.ones(5, 1)))


@every_loss
def test_a_mean_of_no_examples_is_refused_and_not_nan(cfg):
    logits, labels = torch.zeros(0, 7), torch.zeros(0).long()
    for target in (labels, F.one_hot(labels, 7).float(), Target(labels[:, None], torch.ones(0, 1))):
        with pytest.raises(ValueError, match="0 examples"):
            LOSSES.build(cfg)(logits, target)
        assert LOSSES.build(dict(cfg, reduction="none"))(logits, target).shape == (0,)


@every_loss
def test_losses_of_single_examples_can_be_vectorised(cfg):
    criterion, (logits, target) = LOSSES.build(cfg), example()
    labels = target.label[:, 0]
    each = torch.func.vmap(lambda z, y: criterion(z[None], y[None]))(logits, labels)
    torch.testing.assert_close(each, LOSSES.build(dict(cfg, reduction="none"))(logits, labels))


@pytest.mark.parametrize("cfg, message", [
    (dict(type="SoftCrossEntropy", reduction="sum"), "reduction must be one of .* got 'sum'"),
    (dict(type="LabelSmoothing", eps=1.0), r"eps must lie in \[0, 1\), got 1.0"),
    (dict(type="BinaryCrossEntropy", target_threshold=1), "target_threshold .* got 1"),
    (dict(type="FocalLoss", gamma=-1), "gamma must lie in .0, inf., got -1"),
    (dict(type="FocalLoss", gamma="2"), "gamma must be a number in .0, inf., got '2'"),
    (dict(type="LabelSmoothing", eps=True), "eps must be a number"),
    (dict(type="SoftmaxBCE", sum_classes="false"), "sum_classes must be True or False, got 'false'"),
    (dict(type="FocalLos"), "did you mean 'FocalLoss'"),
])
def test_wrong_settings_are_named(cfg, message):
    with pytest.raises(ValueError, match=message):
        LOSSES.build(cfg)


@pytest.mark.parametrize("kind", ["SoftmaxBCE", "FocalLoss"])
def test_one_class_is_too_few_for_a_softmax(kind):
    with pytest.raises(ValueError, match=r"at least 2 classes, got logits \(4, 1\)"):
        LOSSES.build(dict(type=kind))(torch.zeros(4, 1), torch.zeros(4).long())


def test_torchs_own_cross_entropy_refuses_a_target_readably():
    logits, target = example()
    with pytest.raises(TypeError, match="SoftCrossEntropy"):
        F.cross_entropy(logits, target)
