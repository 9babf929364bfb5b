"""Target: dense form, conversions, mixing of labels, and readable errors."""
import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from openmix.target import Target, as_sources, as_target, check_labels, mix_target, pair_target, smooth


def test_dense_adds_up_weights_of_equal_classes():
    target = Target(torch.tensor([[1, 1], [0, 2]]), torch.tensor([[0.3, 0.7], [0.25, 0.75]]))
    assert torch.equal(target.dense(3), torch.tensor([[0, 1, 0], [0.25, 0, 0.75]]))


def test_to_keeps_classes_integers():
    target = Target(torch.tensor([[1]]), torch.tensor([[1.0]]))
    half = target.to(torch.float16)
    assert isinstance(half, Target) and (half.label.dtype, half.weight.dtype) == (torch.int64, torch.float16)
    moved = target.to("meta", torch.float64)
    assert moved.label.is_meta and moved.weight.is_meta and moved.weight.dtype == torch.float64


def test_to_moves_both_tensors_in_the_way_asked_for(monkeypatch):
    def noted(tensor, *args, **kwargs):
        calls.append(kwargs)
        return real(tensor, *args, **kwargs)

    target, calls, real = Target(torch.tensor([[1]]), torch.tensor([[1.0]])), [], torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", noted)
    target.to("meta", non_blocking=True)
    assert calls == [dict(non_blocking=True)] * 2


def test_device_and_pinned_memory_are_those_of_both_tensors(monkeypatch):
    target = Target(torch.tensor([[1]]), torch.tensor([[1.0]]))
    assert target.device == torch.device("cpu") and target.to("meta").device == torch.device("meta")
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)  # pinning itself needs a GPU
    pinned = target.pin_memory()
    assert isinstance(pinned, Target) and pinned.label.item() == 2 and pinned.weight.item() == 2


@pytest.mark.parametrize("one_hot", [torch.int64, torch.uint8, torch.bool], ids=str)
def test_one_hot_integers_are_probabilities(one_hot):
    labels = torch.tensor([2, 0, 1])
    form = F.one_hot(labels, 4).to(one_hot)
    check_labels(form, 3, 4)
    assert as_target(form).weight.dtype == torch.float32
    assert torch.equal(as_target(form).dense(4), F.one_hot(labels, 4).float())
    lam = torch.tensor([0.3])
    mixed = pair_target(form, form.roll(1, 0), lam).dense(4)
    assert torch.allclose(mixed, pair_target(labels, labels.roll(1), lam).dense(4))


def test_conversions_refuse_what_are_no_labels():
    for wrong in (torch.tensor([0.5, 1.7]), torch.tensor([True, False]), torch.tensor([[1], [0]]), torch.tensor(1)):
        with pytest.raises(ValueError, match="labels must be N class indices"):
            as_target(wrong)
        with pytest.raises(ValueError, match="labels must be N class indices"):
            pair_target(wrong, wrong, torch.tensor([0.5]))
    with pytest.raises(ValueError, match=r"\(2,\) need partners of the same shape, got \(3,\)"):
        pair_target(torch.tensor([0, 1]), torch.tensor([0, 1, 2]), torch.tensor([0.5]))


@pytest.mark.parametrize("label, wrong", [([0, 10, 1], 10), ([0, -100, 3], -100), ([-1, 12, 0], -1)])
def test_a_label_out_of_range_is_named_with_the_range(label, wrong):
    labels = torch.tensor(label)
    for call in (lambda: check_labels(labels, 3, 10), lambda: as_target(labels).dense(10)):
        with pytest.raises(ValueError, match=f"label {wrong} is out of range: 10 classes have labels 0 ... 9"):
            call()
    check_labels(labels.clamp(0, 9), 3, 10)  # the ends are in it


def test_labels_on_a_device_are_not_read():
    check_labels(torch.empty(3, dtype=torch.int64, device="meta"), 3, 10)
    with FakeTensorMode():
        check_labels(torch.empty(3, dtype=torch.int64, device="cuda"), 3, 10)


def test_indices_and_probabilities_become_targets():
    one = as_target(torch.tensor([2, 0], dtype=torch.int32))
    assert one.label.tolist() == [[2], [0]] and one.label.dtype == torch.int64 and one.weight.tolist() == [[1], [1]]
    probabilities = torch.tensor([[0.2, 0.8], [1.0, 0.0]])
    assert torch.equal(as_target(probabilities).dense(2), probabilities)
    assert as_target(one) is one


@pytest.mark.parametrize("lam", [torch.tensor(0.25), torch.tensor([0.25]), torch.tensor([0.25, 0.5, 1.0])], ids=str)
def test_pairs_weigh_own_and_partners_labels(lam):
    labels = torch.tensor([0, 1, 2])
    target = pair_target(labels, labels.roll(1), lam)
    shares = lam.expand(3)
    for i in range(3):
        assert target.label[i].tolist() == [i, (i - 1) % 3]
        assert target.weight[i].tolist() == [shares[i], 1 - shares[i]]
    probabilities = torch.softmax(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), 1)
    mixed = pair_target(probabilities, probabilities.roll(1, 0), lam)
    assert mixed.label.shape == (3, 8)
    expected = shares[:, None] * probabilities + (1 - shares[:, None]) * probabilities.roll(1, 0)
    assert torch.allclose(mixed.dense(4), expected)


@pytest.mark.parametrize("call", [
    F.cross_entropy, torch.nn.CrossEntropyLoss(), F.binary_cross_entropy_with_logits,
], ids=["cross_entropy", "CrossEntropyLoss", "bce"])
def test_losses_of_torch_fail_readably(call):
    target = pair_target(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0.5]))
    with pytest.raises(TypeError, match="openmix Target.*SoftCrossEntropy.*dense.*num_classes"):
        call(torch.randn(2, 3), target)


@pytest.mark.parametrize("labels", [
    torch.zeros(3).long(), torch.zeros(2), torch.zeros(2, 1).long(), torch.zeros(2, 5, 1), torch.zeros(2).bool(),
], ids=["count", "float indices", "a column of integers", "three dimensions", "bool"])
def test_labels_that_are_neither_indices_nor_probabilities_are_refused(labels):
    with pytest.raises(ValueError, match="labels must be 2 class indices.*or class probabilities"):
        check_labels(labels, 2)


def test_labels_that_are_no_tensor_are_refused():
    with pytest.raises(TypeError, match="tensor of class indices.*list"):
        check_labels([0, 1], 2)
    with pytest.raises(TypeError, match="got Target; mix once.*dense"):
        check_labels(as_target(torch.tensor([0, 1])), 2)


def test_indices_and_probabilities_of_any_width_are_accepted():
    for labels in (torch.zeros(2).byte(), torch.zeros(2).int(), torch.zeros(2, 7).half(), torch.zeros(2, 1)):
        check_labels(labels, 2)


def test_a_target_of_several_sources_weighs_their_labels():
    labels = torch.tensor([3, 1, 2])
    source, weight = torch.tensor([[0, 1, 2], [1, 1, 0], [2, 0, 1]]), torch.tensor([[0.5, 0.3, 0.2]]).expand(3, 3)
    target = mix_target(labels, source, weight)
    assert target.label.tolist() == [[3, 1, 2], [1, 1, 3], [2, 3, 1]] and torch.equal(target.weight, weight)
    expected = torch.stack([sum(w * torch.eye(4)[labels[k]] for w, k in zip(ws, ks, strict=True))
                            for ws, ks in zip(weight, source, strict=True)])
    assert torch.allclose(target.dense(4), expected)
    dense = mix_target(torch.eye(4)[labels], source, weight)
    assert dense.label.shape == (3, 4), "as many columns as classes, however many sources"
    assert torch.allclose(dense.dense(4), expected)
    assert torch.allclose(mix_target(torch.eye(4)[labels].long(), source, weight).dense(4), expected)


def test_sources_and_weights_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"both be \(N, M\)"):
        mix_target(torch.arange(3), torch.zeros(3, 2).long(), torch.ones(3, 3))


def test_two_images_are_two_sources():
    details = dict(lam=torch.tensor([0.25, 1.0]), mask=torch.rand(2, 1, 4, 4), partner=torch.tensor([1, 0]))
    sources, weights, masks = as_sources(details)
    assert sources.tolist() == [[0, 1], [1, 0]] and weights.tolist() == [[0.25, 0.75], [1, 0]]
    assert torch.equal(masks, torch.cat([details["mask"], 1 - details["mask"]], 1))
    assert as_sources({**details, "mask": None})[2] is None
    many = dict(sources=torch.zeros(2, 5).long(), weights=torch.full((2, 5), 0.2), masks=None)
    assert as_sources(many) == (many["sources"], many["weights"], None)


def test_smoothing_equals_that_of_torch():
    logits, labels = torch.randn(4, 5), torch.tensor([0, 3, 2, 4])
    expected = F.cross_entropy(logits, labels, label_smoothing=0.1)
    assert torch.allclose(F.cross_entropy(logits, smooth(as_target(labels), 0.1, 5)), expected)


def test_smoothing_and_mixing_commute():
    labels, lam = torch.tensor([0, 3, 2]), torch.tensor([0.1, 0.5, 0.8])
    first = smooth(as_target(labels), 0.2, 5)
    expected = lam[:, None] * first + (1 - lam[:, None]) * first.roll(1, 0)
    assert torch.allclose(smooth(pair_target(labels, labels.roll(1), lam), 0.2, 5), expected)
