"""Masks of three images, the two phases, and the losses of a step."""
import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.mixups import AdAutoMix
from openmix.mixups.adautomix import AdaptiveMask
from openmix.target import as_sources
from tests.mixups.learned import SIZE, attached, cross_entropy


@pytest.fixture
def pair(make_net):
    """``pair(**options)``: an AdAutoMix attached to a TinyNet, and the net; equal each time."""
    return lambda **options: attached(make_net(), AdAutoMix, **options)


def draws_with(method, n=6, lam=(0.5, 0.3, 0.2), adversarial=True):
    draws = method.draw(n, SIZE, torch.Generator().manual_seed(0))
    return {**draws, "lam": torch.tensor([lam]), "adversarial": torch.tensor([adversarial])}


# -- the block ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [2, 3, 4])
def test_masks_are_those_of_a_loop_over_pairs_of_images(slots):
    block = AdaptiveMask(6).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    features = torch.randn(3, slots, 6, 2, 3, dtype=torch.float64)
    masks = block(features, (8, 12))
    assert masks.shape == (3, slots, 8, 12) and torch.allclose(masks.sum(1), torch.ones((), dtype=torch.float64))
    for i in range(3):
        logits = []
        for m in range(slots):
            scores = 0
            query = block.query(features[i, m][None]).flatten(2)[0].T
            for other in range(slots):
                if other != m:
                    scores = scores + query @ block.key(features[i, other][None]).flatten(2)[0] / 3**0.5
            value = block.value(features[i, m][None]).flatten()
            logits.append((scores.softmax(1) @ value).view(1, 1, 2, 3))
        expected = F.interpolate(torch.cat(logits, 1), (8, 12), mode="bilinear").softmax(1)[0]
        assert torch.allclose(masks[i], expected, atol=1e-12)


def test_masks_start_near_one_third(make_net, make_batch):
    method = AdAutoMix()
    method.attach(make_net())
    masks = method.details(make_batch()[0], draws_with(method))["masks"]
    assert 0 < (masks - 1 / 3).abs().max() <= 0.02


def test_masks_are_float32_and_finite_under_autocast():
    block = AdaptiveMask(64)
    nn.init.normal_(block.query[0].weight), nn.init.normal_(block.key[0].weight)
    features = (300 * torch.randn(2, 3, 64, 8, 8)).half()
    with torch.autocast("cpu", torch.bfloat16):
        masks = block(features, SIZE)
    assert masks.dtype == torch.float32 and masks.isfinite().all()


# -- draws -------------------------------------------------------------------------------------------------------


def test_weights_sum_to_1_and_every_second_step_is_adversarial_from_the_first_on():
    for per_sample, rows in ((False, 1), (True, 6)):
        draws = AdAutoMix(per_sample=per_sample).draw(6, SIZE, torch.Generator().manual_seed(0), steps=(4,))
        assert draws["lam"].shape == (4, rows, 3) and torch.allclose(draws["lam"].sum(-1), torch.ones(()))
        assert draws["adversarial"].tolist() == [[True], [False], [True], [False]]


def test_of_batches_drawn_one_by_one_half_are_adversarial():
    generator = torch.Generator().manual_seed(0)
    drawn = [AdAutoMix().draw(6, SIZE, generator)["adversarial"] for _ in range(200)]
    assert all(value.shape == (1,) and value.dtype == torch.bool for value in drawn)
    assert 70 < sum(map(bool, drawn)) < 130


def test_weights_are_quotients_of_uniform_numbers():
    """P(the first is the largest) = 1/3 and E = 1/3; their variance is that of 10^6 quotients, 0.0363."""
    lam = AdAutoMix().draw(1, SIZE, torch.Generator().manual_seed(0), steps=(20_000,))["lam"][:, 0]
    assert lam.mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.006)
    uniform = torch.rand(200_000, 3, generator=torch.Generator().manual_seed(1))
    assert lam.std().item() == pytest.approx((uniform / uniform.sum(1, keepdim=True)).std().item(), abs=0.004)


# -- a step ------------------------------------------------------------------------------------------------------


def body(net, x, upto=4):
    x = net.stem(x)
    for i in range(1, upto + 1):
        x = getattr(net, f"layer{i}")(x)
    return x if upto < 4 else x.mean((2, 3))


def written_out(method, net, images, labels, lam, adversarial):
    """The parts of the loss with plain passes of copies and loops over images."""
    n = len(images)
    student, teacher, block = copy.deepcopy(net), copy.deepcopy(method.teacher), method.block

    def of(k, values):
        return torch.stack([values[(i - k) % n] for i in range(n)])

    def mixture(logits, rolls):
        return sum(share * F.cross_entropy(logits, of(k, labels)) for share, k in zip(lam, rolls, strict=True))

    features = body(teacher, images, upto=3)
    logits = method.head_mix_k(body(copy.deepcopy(method.teacher), images)).detach()
    masks = {rolls: block(torch.stack([of(k, features) for k in rolls], 1), SIZE) for rolls in ((0, 1, 2), (0, 3, 4))}
    mixed = {rolls: sum(mask[:, i:i + 1] * of(k, images) for i, k in enumerate(rolls))
             for rolls, mask in masks.items()}
    plain = sum(share * of(k, images) for share, k in zip(lam, (0, 1, 2), strict=True))
    teacher = copy.deepcopy(method.teacher)
    mix_k = method.head_mix_k(body(teacher, mixed[0, 3, 4]))
    cosine = sum(share * F.cosine_similarity(mix_k, of(k, logits)) for share, k in zip(lam, (0, 3, 4), strict=True))
    error = mixture(mix_k, (0, 3, 4))
    return dict(
        loss_one_q=0.5 * F.cross_entropy(student.fc(body(student, images)), labels),
        loss_mixup_q=0.5 * mixture(method.head_mix(body(student, plain)), (0, 1, 2)),
        loss_mix_q=mixture(method.head_mix(body(student, mixed[0, 1, 2].detach())), (0, 1, 2)),
        loss_mix_k=-0.3 * error if adversarial else error,
        loss_cosine=0.7 * cosine.mean() if adversarial else 0 * cosine.mean())


@pytest.mark.parametrize("adversarial", [True, False])
def test_losses_and_the_gradient_of_the_block_are_the_published_ones(adversarial, pair, make_batch):
    method, net = pair()
    images, labels = make_batch()
    lam = (0.5, 0.3, 0.2)
    expected = written_out(method, net, images, labels, lam, adversarial)
    gradients = torch.autograd.grad(sum(expected.values()), list(method.block.parameters()))
    losses = method.loss(net, images, labels, cross_entropy, draws_with(method, lam=lam, adversarial=adversarial))
    assert list(losses) == ["loss", *expected]
    for name, value in expected.items():
        assert torch.allclose(losses[name], value, atol=1e-5), name
    assert torch.allclose(losses["loss"], sum(expected.values()), atol=1e-5)
    for actual, wanted in zip(torch.autograd.grad(losses["loss"], list(method.block.parameters())), gradients,
                             strict=True):
        assert torch.allclose(actual, wanted, atol=1e-5) and wanted.abs().sum() > 0


def test_the_cosine_can_be_maximised(pair, make_batch):
    actual = []
    for maximise in (False, True):
        method, net = pair(maximise_cosine=maximise)
        actual.append(method.loss(net, *make_batch(), cross_entropy, draws_with(method))["loss_cosine"].item())
    assert actual[0] == -actual[1] != 0


def test_the_teacher_sees_the_clean_batch_once(pair, make_batch):
    method, net = pair()
    seen = []
    method.teacher.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images, labels = make_batch()
    method.loss(net, images, labels, cross_entropy, draws_with(method))
    assert len(seen) == 2 and torch.equal(seen[0], images) and seen[1].requires_grad
    assert method.teacher.stem[1].num_batches_tracked == 2 and net.stem[1].num_batches_tracked == 3


@pytest.mark.parametrize("lam, plain", [((0.03, 0.5, 0.47), True), ((0.031, 0.5, 0.469), False),
                                        ((0.97, 0.02, 0.01), True), ((0.5, 0.5, 0.0), False)])
def test_a_first_weight_near_0_or_1_gives_constant_masks(lam, plain, pair, make_batch):
    method, _ = pair()
    details = method.details(make_batch()[0], draws_with(method, lam=lam))
    constant = torch.tensor(lam).view(1, 3, 1, 1).expand(6, 3, *SIZE)
    assert torch.allclose(details["masks"], constant) is plain
    assert torch.allclose(details["weights"], torch.tensor(lam).expand(6, 3))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_images_than_weights_are_mixed_with_themselves(n, pair, make_batch):
    method, net = pair()
    images, labels = make_batch(n)
    draws = draws_with(method, n)
    sources, weights, masks = as_sources(method.details(images, draws))
    assert sources.tolist() == [[(i - k) % n for k in range(3)] for i in range(n)]
    assert torch.allclose(masks.sum(1), torch.ones(()))
    targets = []
    method.loss(net, images, labels, lambda logits, t: targets.append(t) or cross_entropy(logits, t), draws)
    assert torch.equal(targets[-1].weight, weights)
    assert targets[-1].label.tolist() == [[labels[(i - k) % n].item() for k in (0, 3, 4)] for i in range(n)]


def test_images_left_alone_are_clean_for_the_classifier(pair, make_batch):
    method, _ = pair(prob=0.5, per_sample=True)
    on = torch.tensor([True, False, True, True, False, True])
    draws = {**method.draw(6, SIZE, torch.Generator().manual_seed(0)), "on": on}
    details = method.details(make_batch()[0], draws)
    first = torch.tensor([1.0, 0, 0])
    assert torch.equal(details["weights"], torch.where(on[:, None], draws["lam"], first))
    assert torch.equal(details["masks"][~on], first.view(1, 3, 1, 1).expand(2, 3, *SIZE))


@pytest.mark.parametrize("wrong", [dict(beta=1.5), dict(lam_margin=0.7), dict(maximise_cosine=1), dict(upsample="x")])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AdAutoMix(**wrong)
    with pytest.raises(TypeError, match="AdAutoMix has no option 'mask_loss'"):
        AdAutoMix(mask_loss=0.1)
