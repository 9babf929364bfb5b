"""The block, the mask loss, and SAMix-P: parts of a finished run that stay frozen."""
import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.mixups import AutoMix, SAMix
from openmix.mixups.samix import SAMixBlock, stretched
from tests.mixups.learned import attached, cross_entropy, draws_for, same, state, trainable


@pytest.fixture
def pair(make_net):
    """``pair(**options)``: a SAMix attached to a TinyNet, and the net; equal each time."""
    return lambda **options: attached(make_net(), SAMix, **options)


@pytest.fixture
def finished(pair, make_batch, tmp_path):
    """A SAMix after a step, and the path of its checkpoint in the form of a run's."""
    method, net = pair()
    method.loss(net, *make_batch(), cross_entropy, draws_for(method))["loss"].backward()
    torch.optim.SGD(trainable(method, net), 0.1).step()
    method.after_step(net, 0.5)
    path = tmp_path / "epoch_1.pth"
    owner = nn.ModuleDict(dict(net=net, mixup=method))
    torch.save(dict(state_dict=owner.state_dict(), meta=dict(epoch=1)), path)
    return method, path


# -- the block ---------------------------------------------------------------------------------------------------


def test_lam_is_stretched_as_published():
    lam = torch.tensor([0, 0.1, 0.25, 0.5, 0.75, 0.9, 1], dtype=torch.float64)
    expected = torch.tensor([0, 0.1823, 0.3571, 0.5, 0.6429, 0.8177, 1], dtype=torch.float64)
    assert torch.allclose(stretched(lam, 0.25), expected, atol=5e-5)
    assert torch.equal(stretched(lam, None), lam)


@pytest.mark.parametrize("k", [0, 0.25, 3, 1000])
def test_the_curve_rises_and_is_symmetric_about_one_half(k):
    lam = torch.linspace(0, 1, 101, dtype=torch.float64)
    curve = stretched(lam, k)
    assert (curve.diff() > 0).all() and torch.allclose(1 - curve, stretched(1 - lam, k))
    assert torch.allclose(curve[[0, 50, 100]], lam[[0, 50, 100]])
    assert k < 1000 or torch.allclose(curve, lam, atol=1e-3)


@pytest.mark.parametrize("channels, count", [(256, 164_480), (1024, 2_624_000)])
def test_parameter_counts_of_the_block_are_the_published_ones(channels, count):
    assert sum(p.numel() for p in SAMixBlock(channels).parameters()) == count


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("k", [0.25, None])
def test_masks_are_those_of_the_formula(k, training):
    """In float64, with every convolution as a product of matrices and batch norm written out."""
    block = SAMixBlock(6, k).double().train(training)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    nn.init.uniform_(block.value[1].running_var, 0.5, 2)
    first, second = torch.randn(2, 3, 6, 2, 3, dtype=torch.float64)
    lam = torch.tensor([0.1, 0.5, 0.8], dtype=torch.float64)
    mean, variance = block.value[1].running_mean.clone(), block.value[1].running_var.clone()
    masks = block(first, second, lam, (8, 12))
    assert masks.shape == (3, 1, 8, 12) and masks.dtype == torch.float64

    share = lam if k is None else (4 / 3 * lam**3 - 2 * lam**2 + (1 + k) * lam) / (1 + k - 2 / 3)
    a = (first * (1 + share).view(3, 1, 1, 1)).flatten(2)
    b = (second * (1 + 1 - share).view(3, 1, 1, 1)).flatten(2)
    both = torch.cat([a, b], 1)
    query, key = (layer.weight.flatten(1) @ both + layer.bias[:, None] for layer in (block.query, block.key))
    small = block.value[0].weight.flatten(1) @ b  # (N, C / 2, positions)
    if training:
        mean, variance = small.mean((0, 2)), small.var((0, 2), unbiased=False)
    small = (small - mean[:, None]) / (variance[:, None] + 1e-5).sqrt()
    small = small * block.value[1].weight[:, None] + block.value[1].bias[:, None]
    value = block.value[3].weight.flatten(1) @ torch.where(small > 0, small, small.exp() - 1)
    scores = (query.transpose(1, 2) @ key / 3**0.5).exp()
    logits = (scores / scores.sum(2, keepdim=True)) @ value.transpose(1, 2)
    of_second = torch.sigmoid(F.interpolate(logits.view(3, 1, 2, 3), (8, 12), mode="bilinear"))
    assert torch.allclose(masks, 1 - of_second, atol=1e-12)


def test_masks_start_near_one_half(make_net, make_batch):
    method = SAMix()
    method.attach(make_net())
    mask = method.details(make_batch()[0], draws_for(method, lam=0.7))["mask"]
    assert 0 < (mask - 0.5).abs().max() <= 0.05


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_masks_are_float32_and_finite_under_autocast(dtype):
    block = SAMixBlock(64)
    first, second = (300 * torch.randn(2, 2, 64, 8, 8)).to(dtype)
    nn.init.normal_(block.query.weight)  # scores beyond the range of float16
    lam = torch.tensor([0.2, 0.9])
    with torch.autocast("cpu", dtype):
        masks = block(first, second, lam, (32, 32))
        outside = copy.deepcopy(block)(first.float(), second.float(), lam, (32, 32))
    assert masks.dtype == torch.float32 and masks.isfinite().all() and torch.equal(masks, outside)


# -- the mask loss -----------------------------------------------------------------------------------------------


def test_the_mask_loss_rewards_masks_that_vary(pair):
    """A mask of zeros and ones, half and half, at lam = 1/2: no distance, and a variance of 1/4."""
    method, _ = pair()
    half = torch.cat([torch.zeros(2, 1, 4, 8), torch.ones(2, 1, 4, 8)], 2)
    lam = torch.full((2,), 0.5)
    assert method.mask_error(half, lam).item() == -0.5
    assert method.mask_error(torch.full_like(half, 0.5), lam).item() == 0
    one = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)])  # each mask is constant, the batch is not
    assert method.mask_error(one, lam).item() == -0.5
    each = pair(mask_loss_per="sample")[0]
    assert each.mask_error(one, lam).item() == pytest.approx(0.4)
    mask = torch.rand(2, 1, 4, 4)
    of_second = 1 - mask  # as the authors write it
    expected = max(abs(1 - of_second.mean() - 0.9) - 0.1, 0) - 2 * ((of_second - of_second.mean())**2).mean()
    assert method.mask_error(mask, torch.full((2,), 0.9)).item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_step_is_that_of_automix_with_another_block(pair, make_net, make_batch):
    """With AutoMix's block and no reward the two methods are equal bit by bit."""
    automix, net = attached(make_net(), AutoMix, upsample="bilinear")
    method, twin = pair()
    method.block, method.mask_error = copy.deepcopy(automix.block), automix.mask_error
    method.head_mix.load_state_dict(automix.head_mix.state_dict())
    method.head_mix_k.load_state_dict(automix.head_mix_k.state_dict())
    draws = draws_for(automix)
    expected = automix.loss(net, *make_batch(), cross_entropy, draws)
    actual = method.loss(twin, *make_batch(), cross_entropy, draws)
    assert actual.keys() == expected.keys() and all(torch.equal(actual[k], v) for k, v in expected.items())


def test_the_two_mixtures_of_a_step_have_batch_statistics_of_their_own(pair, make_batch):
    method, net = pair()
    method.loss(net, *make_batch(), cross_entropy, draws_for(method))
    assert method.block.value[1].num_batches_tracked == 2


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), "1"])
def test_a_bend_below_0_is_refused(wrong):
    with pytest.raises(ValueError, match="lam_mul_k"):
        SAMix(lam_mul_k=wrong)


# -- SAMix-P -----------------------------------------------------------------------------------------------------


def test_frozen_parts_are_those_of_the_run_and_stay_bit_equal(finished, make_net, make_batch):
    source, path = finished
    net, method = make_net(seed=4), SAMix(pretrained=str(path))
    method.attach(net)
    nn.ModuleDict(dict(net=net, mixup=method)).train()
    frozen = [getattr(method, name) for name in ("block", "teacher", "head_mix_k")]
    for part, name in zip(frozen, ("block", "teacher", "head_mix_k"), strict=True):
        assert same(state(part), state(getattr(source, name)))
        assert not any(m.training for m in part.modules())
    before = [state(part) for part in frozen]
    optimizer = torch.optim.SGD(trainable(method, net), 0.5)
    student = state(net)
    for seed in range(2):
        losses = method.loss(net, *make_batch(), cross_entropy, draws_for(method, seed=seed))
        assert list(losses) == ["loss", "loss_one_q", "loss_mix_q"]
        losses["loss"].backward()
        optimizer.step()
        method.after_step(net, 0.5)
    assert all(same(old, state(part)) for old, part in zip(before, frozen, strict=True))
    assert all(p.grad is None for part in frozen for p in part.parameters())
    assert not same(student, state(net)) and {n.split(".")[0] for n, p in method.named_parameters()
                                              if p.requires_grad} == {"head_mix"}
    method.attach(net)
    assert same(before[1], state(method.teacher)), "nothing is copied into a frozen teacher"


def test_a_work_dir_stands_for_its_last_checkpoint(finished, make_net, tmp_path):
    source, path = finished
    (tmp_path / "epoch_0.pth").write_text("an older one")
    method = SAMix(pretrained=str(tmp_path))
    method.attach(make_net(seed=4))
    assert same(state(method.block), state(source.block))


def test_a_dry_build_needs_no_finished_run(make_net):
    with torch.device("meta"):
        method = SAMix(pretrained="/never/made", channels=64)
        method.attach(make_net())
    assert {n.split(".")[0] for n, p in method.named_parameters() if p.requires_grad} == {"head_mix"}


def test_frozen_masks_are_those_of_the_finished_run_in_eval_mode(finished, make_net, make_batch):
    source, path = finished
    method = SAMix(pretrained=path)
    method.attach(make_net(seed=4))
    images, draws = make_batch()[0], draws_for(source, lam=0.4)
    assert torch.equal(method.details(images, draws)["mask"], source.eval().details(images, draws)["mask"])


def test_the_networks_of_samix_p_are_those_that_learn(finished, make_net, make_batch):
    net, method = make_net(seed=4), SAMix(pretrained=finished[1])
    method.attach(net)
    nn.ModuleDict(dict(net=net, mixup=method)).eval()
    images = make_batch()[0]
    networks, logits = method.networks(net), method.predict(net, images)
    assert list(networks) == list(logits) == ["mix_q", "one_q"]
    assert all(torch.allclose(networks[name](images), logits[name], atol=1e-6) for name in networks)


def test_other_files_are_refused_and_never_run(finished, make_net, tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    _, path = finished
    with pytest.raises(FileNotFoundError, match="no such checkpoint; train with SAMix first"):
        SAMix(pretrained=str(tmp_path / "absent.pth")).attach(make_net())
    content = torch.load(path, weights_only=True)
    plain = {k: v for k, v in content["state_dict"].items() if k.startswith("net.")}
    for name, wrong, message in (("code", Harmful(), "plain data"), ("net", dict(state_dict=plain), "mixup.block"),
                                 ("list", [1], "mixup.block")):
        torch.save(wrong, tmp_path / name)
        with pytest.raises(ValueError, match=message):
            SAMix(pretrained=str(tmp_path / name)).attach(make_net())
    assert not (tmp_path / "made").exists()
    (tmp_path / "text").write_text("no checkpoint")
    with pytest.raises(ValueError, match="plain data"):
        SAMix(pretrained=str(tmp_path / "text")).attach(make_net())
    with pytest.raises(ValueError, match="as many classes"):
        SAMix(pretrained=str(path)).attach(make_net(num_classes=7))
