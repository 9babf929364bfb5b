"""Masks, losses and gradients of a step."""
import copy

import pytest
import torch
import torch.nn.functional as F

from openmix import probes
from openmix.mixups import AutoMix
from tests.mixups.learned import SIZE, attached, cross_entropy, draws_for, state


@pytest.fixture
def pair(make_net):
    """``pair(**options)``: an AutoMix attached to a TinyNet, and the net; equal each time."""
    return lambda **options: attached(make_net(), **options)


# -- lam and the mask --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam_concat", [False, True])
def test_defect_ledger_row_11_the_mask_depends_on_lam_if_and_only_if_the_block_sees_it(lam_concat, pair, make_batch):
    method, _ = pair(lam_concat=lam_concat)
    images, _ = make_batch()
    low, high = (method.details(images, draws_for(method, lam=lam))["mask"] for lam in (0.1, 0.9))
    assert torch.equal(low, high) is not lam_concat


def test_lam_is_shown_to_the_block_by_default():
    assert AutoMix().lam_concat is True


@pytest.mark.parametrize("per_sample", [False, True])
def test_a_lam_near_0_or_1_is_plain_mixup_for_the_classifier_alone(per_sample, pair, make_batch):
    method, _ = pair(per_sample=per_sample)
    images, _ = make_batch()
    for lam, plain in ((0.03, True), (0.0801, False), (0.5, False), (0.9199, False), (0.97, True)):
        draws = draws_for(method, lam=lam, lam_block=lam)
        features = method.features(images)
        mask, weight = method.classifier_mask(features, draws, SIZE)
        mask_block, _ = method.block_mask(features, draws, SIZE)
        assert torch.equal(weight, torch.full((6,), lam))
        assert torch.equal(mask, torch.full_like(mask, lam)) is plain
        assert mask_block.std() > 0 and mask_block.requires_grad and not mask.requires_grad


def test_one_lam_an_image_gives_each_its_own_mask_and_weight(pair, make_batch):
    method, net = pair(per_sample=True, mask_loss_per="sample", margin=0.0)
    images, labels = make_batch()
    draws = draws_for(method)
    assert draws["lam"].shape == draws["lam_block"].shape == (6,) and draws["lam"].unique().numel() == 6
    whole = method.details(images, draws)["mask"]
    for i in range(6):  # only image i keeps its lam: only its mask stays
        changed = {**draws, "lam": torch.where(torch.arange(6) == i, draws["lam"], 0.45)}
        same_mask = (method.details(images, changed)["mask"] == whole).flatten(1).all(1)
        assert same_mask.tolist() == [j == i for j in range(6)]
    with probes.keeping_buffers(method.teacher):
        mask, lam = method.block_mask(method.features(images), draws, SIZE)
    expected = sum(abs(mask[i].mean() - lam[i]) for i in range(6)) / 6
    assert torch.allclose(method.mask_error(mask, lam), expected)


def test_the_mask_loss_is_the_published_one(pair):
    method, _ = pair()
    lam, mask = torch.full((2,), 0.3), torch.stack([torch.full((1, 4, 4), 0.2), torch.full((1, 4, 4), 0.9)])
    # share of the partner m = 1 - mask: max(|1 - mean(m) - lam| - 0.1, 0) over the whole batch
    assert method.mask_error(mask, lam).item() == pytest.approx(abs(1 - 0.45 - 0.3) - 0.1)
    assert method.mask_error(mask - 0.25, lam).item() == 0
    assert pair(mask_loss_per="sample")[0].mask_error(mask, lam).item() == pytest.approx((0 + 0.5) / 2)


def test_the_mask_loss_can_fall_to_zero_along_the_run(pair, make_batch):
    images, labels = make_batch()
    actual = []
    for progress in (0.0, 0.5, 1.0):
        method, net = pair(anneal_mask_loss=True, margin=0.0)
        actual.append(method.loss(net, images, labels, cross_entropy, draws_for(method), progress)["loss_mask"].item())
    assert actual[0] > 0 and actual[1] == pytest.approx(actual[0] / 2) and actual[2] == pytest.approx(0)


# -- a step ------------------------------------------------------------------------------------------------------


def test_the_four_losses_are_the_published_ones(pair, make_batch):
    """Written out with plain passes of copies: the features, the two pairings, the two heads."""
    method, net = pair()
    images, labels = make_batch()
    draws = draws_for(method, lam=0.3, lam_block=0.6)
    student, teacher, block = copy.deepcopy(net), copy.deepcopy(method.teacher), copy.deepcopy(method.block)

    def body(net, x, upto=4):
        x = net.stem(x)
        for i in range(1, upto + 1):
            x = getattr(net, f"layer{i}")(x)
        return x if upto < 4 else x.mean((2, 3))

    def mixture(logits, k, lam):
        own, other = (F.cross_entropy(logits, torch.stack([y[i - shift] for i in range(6)]))
                      for y, shift in ((labels, 0), (labels, k)))
        return lam * own + (1 - lam) * other

    def mix(x, mask, k):
        return torch.stack([mask[i] * x[i] + (1 - mask[i]) * x[i - k] for i in range(6)])

    seen = body(teacher, images, upto=3)
    mask_q, mask_k = (block(seen, torch.stack([seen[i - k] for i in range(6)]), torch.full((6,), lam), SIZE)
                      for k, lam in ((1, 0.3), (2, 0.6)))
    expected = dict(
        loss_one_q=F.cross_entropy(student.fc(body(student, images)), labels),
        loss_mix_q=mixture(method.head_mix(body(student, mix(images, mask_q, 1))), 1, 0.3),
        loss_mix_k=mixture(method.head_mix_k(body(teacher, mix(images, mask_k, 2))), 2, 0.6),
        loss_mask=0.1 * F.relu((mask_k.mean() - 0.6).abs() - 0.1),
    )
    losses = method.loss(net, images, labels, cross_entropy, draws)
    for name, value in expected.items():
        assert torch.allclose(losses[name], value, atol=1e-5), name
        assert not losses[name].requires_grad
    assert torch.allclose(losses["loss"], sum(expected.values()), atol=1e-5)
    assert list(losses) == ["loss", "loss_one_q", "loss_mix_q", "loss_mix_k", "loss_mask"]
    details = method.details(images, draws)
    assert torch.allclose(details["mask"], mask_q, atol=1e-6) and details["lam"].tolist() == [pytest.approx(0.3)] * 6
    assert details["partner"].tolist() == [5, 0, 1, 2, 3, 4]


def test_batch_norm_statistics_of_the_teacher_come_from_its_own_passes(pair, make_batch):
    method, net = pair(momentum=0.0)
    images, labels = make_batch()
    net.stem[0].weight.data.mul_(3)  # the networks differ, so do their statistics
    method.loss(net, images, labels, cross_entropy)
    assert method.teacher.stem[1].num_batches_tracked == net.stem[1].num_batches_tracked == 2
    before = dict(state(method.teacher))
    method.after_step(net, 0.0)
    for name, buffer in method.teacher.named_buffers():
        assert torch.equal(buffer, before[name])
    assert not torch.allclose(method.teacher.stem[1].running_var, net.stem[1].running_var)


def test_the_batch_is_seen_by_the_teacher_once_before_and_once_after_mixing(pair, make_batch):
    method, net = pair()
    seen = dict(net=[], teacher=[])
    for name, module in (("net", net), ("teacher", method.teacher)):
        module.register_forward_pre_hook(lambda module, inputs, name=name: seen[name].append(inputs[0]))
    images, labels = make_batch()
    method.loss(net, images, labels, cross_entropy)
    for name in seen:
        assert len(seen[name]) == 2 and torch.equal(seen[name][0], images)
    assert seen["teacher"][1].requires_grad and not seen["net"][1].requires_grad


def test_prob_leaves_the_classifier_alone_and_the_block_at_work(pair, make_batch):
    images, labels = make_batch()
    method, net = pair(prob=0.5, per_sample=True, margin=0.0)
    on = torch.tensor([True, False, True, False, False, True])
    draws = {**draws_for(method, lam=0.5), "on": on}
    details = method.details(images, draws)
    assert details["lam"].tolist() == [0.5, 1, 0.5, 1, 1, 0.5]
    assert (details["mask"] == 1).flatten(1).all(1).tolist() == (~on).tolist()
    losses = method.loss(net, images, labels, cross_entropy, {**draws, "on": torch.zeros(6, dtype=torch.bool)})
    twin = pair()[1]
    twin(images)
    assert torch.allclose(losses["loss_mix_q"], cross_entropy(
        method.head_mix(twin.layer4(twin.layer3(twin.layer2(twin.layer1(twin.stem(images))))).mean((2, 3))),
        F.one_hot(labels, 10).float()), atol=1e-5)
    losses["loss"].backward()
    assert all(p.grad.abs().sum() > 0 for p in method.block.parameters())


def test_random_pairings_are_two_independent_ones(pair, make_batch):
    method, net = pair(pairing="perm")
    images, labels = make_batch()
    draws = draws_for(method)
    order = draws["order"].argsort(0)
    assert draws["order"].shape == (6, 2) and not torch.equal(order[:, 0], order[:, 1])
    assert torch.equal(method.details(images, draws)["partner"], order[:, 0])
    targets = []
    method.loss(net, images, labels, lambda logits, t: targets.append(t) or cross_entropy(logits, t), draws)
    for target, k in zip(targets[1:], (0, 1), strict=True):
        assert torch.equal(target.label[:, 1], labels[order[:, k]])
