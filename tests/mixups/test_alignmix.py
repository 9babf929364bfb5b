"""Aligned interpolation against a float64 loop, and cases with a known matching."""
import pytest
import torch
from torch import nn

from openmix.mixups import AlignMix
from openmix.probes import watch
from tests.mixups.learned import SIZE, Tokens, cross_entropy


def draws_with(method, n=6, lam=0.3, direction=0):
    draws = method.draw(n, SIZE, torch.Generator().manual_seed(0))
    return {**draws, "lam": torch.full_like(draws["lam"], lam), "direction": direction}


def scaled_plan(a, b, epsilon, rounds, scale):
    """R of two sets of positions (L, C), by scaling the kernel's logarithm in float64."""
    cost = torch.stack([torch.stack([(x - y).square().sum() for y in b]) for x in a])
    cost = cost / cost.mean() if scale else cost
    kernel, size = -cost / epsilon, len(a)
    g = torch.zeros(size, dtype=torch.float64)
    for _ in range(rounds):
        f = torch.stack([-(kernel[i] + g).exp().sum().log() for i in range(size)]) - torch.tensor(size).log()
        g = torch.stack([-(kernel[:, j] + f).exp().sum().log() for j in range(size)]) - torch.tensor(size).log()
    return size * (kernel + f[:, None] + g).exp()


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("rounds, scale", [(5, "mean"), (100, None)])
def test_mixed_maps_are_those_of_a_loop(direction, rounds, scale):
    method = AlignMix(iterations=rounds, cost_scale=scale, per_sample=True)
    features = 0.4 * torch.randn(3, 5, 2, 3, dtype=torch.float64)
    draws = draws_with(method, 3, direction=direction)
    draws["lam"] = torch.tensor([0.2, 0.5, 0.9])
    mixed = method.mix(features, draws)
    assert mixed.shape == features.shape and mixed.dtype == features.dtype
    for i, lam in enumerate((0.2, 0.5, 0.9)):
        a, b = (features[k].flatten(1).T for k in (i, i - 1))
        plan = scaled_plan(a, b, 0.1, rounds, scale)
        expected = lam * a + (1 - lam) * plan @ b if direction == 0 else lam * plan.T @ a + (1 - lam) * b
        assert torch.allclose(mixed[i].flatten(1).T, expected, atol=1e-6)


def test_columns_sum_to_1_and_scaled_rows_nearly_after_20_rounds():
    features = torch.randn(2, 8, 16, 64).relu()
    plan = AlignMix(iterations=20, cost_scale="mean").plan(*features)
    assert torch.allclose(plan.sum(1), torch.ones(8, 16), atol=1e-5)
    assert (plan.sum(2) - 1).abs().max() < 0.03


def test_permuted_positions_are_put_back():
    method = AlignMix(epsilon=0.01, cost_scale="mean")
    one = torch.randn(1, 32, 16)
    order = torch.randperm(16)
    pair = torch.cat([one, one[:, :, order]]).view(2, 32, 4, 4)
    aligned = method.mix(pair, draws_with(method, 2, lam=0.0))
    assert torch.allclose(aligned[0], pair[0], atol=1e-4) and torch.allclose(aligned[1], pair[1], atol=1e-4)
    plan = method.plan(one.mT, one.mT)
    assert torch.allclose(plan, torch.eye(16), atol=1e-4), "equal maps stay where they are"


def test_lam_1_keeps_the_image_and_lam_0_the_partner_each_in_its_direction():
    method, features = AlignMix(), torch.randn(4, 6, 3, 3)
    assert torch.equal(method.mix(features, draws_with(method, 4, 1.0, 0)), features)
    assert torch.equal(method.mix(features, draws_with(method, 4, 0.0, 1)), features.roll(1, 0))


def test_an_image_left_alone_keeps_its_features_in_both_directions():
    method, features = AlignMix(prob=0.5, per_sample=True), torch.randn(4, 6, 3, 3)
    on = torch.tensor([True, False, False, True])
    for direction in (0, 1):
        mixed = method.mix(features, {**draws_with(method, 4, 0.4, direction), "on": on})
        assert torch.equal(mixed[~on], features[~on]) and not torch.isclose(mixed[on], features[on]).all()


def test_no_gradient_passes_through_the_matching():
    method = AlignMix()
    features = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    draws = draws_with(method, 2)
    weight = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    (actual,) = torch.autograd.grad((method.mix(features, draws) * weight).sum(), features)
    a = features.detach().flatten(2).mT
    plan, w = method.plan(a, a.roll(1, 0)), weight.flatten(2).mT
    expected = 0.3 * w + 0.7 * (plan.mT @ w).roll(-1, 0)  # the image itself, and as the partner of the one after
    assert torch.allclose(actual.flatten(2).mT, expected, atol=1e-6)


def test_the_last_map_is_mixed_and_labels_by_lam(make_net, make_batch):
    method, net = AlignMix(), make_net()
    method.attach(net)
    assert method.acts_at == "layer4"
    images, labels = make_batch()
    seen, targets = [], []
    draws = draws_with(method)
    clean = watch(net, "layer4", lambda: net(images))
    net.fc.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    method.loss(net, images, labels, lambda logits, t: targets.append(t) or cross_entropy(logits, t), draws)
    assert torch.allclose(seen[0], method.mix(clean, draws).mean((2, 3)), atol=1e-5)
    assert torch.allclose(targets[0].weight, torch.tensor([0.3, 0.7]).expand(6, 2))
    assert torch.equal(targets[0].label[:, 1], labels.roll(1))
    net(images)
    assert torch.equal(seen[1], seen[1]) and not torch.allclose(seen[1], seen[0])


@pytest.mark.parametrize("layer", [None, "blocks.0"])
def test_tokens_are_aligned_and_those_in_front_interpolated(layer, make_batch):
    net, method = Tokens(), AlignMix(layer=layer)
    method.attach(net)
    method.loss(net, *make_batch(), cross_entropy, draws_with(method))["loss"].backward()
    tokens = torch.randn(3, 17, 8)  # a class token and a map of 4 x 4
    mixed = method.mix(tokens, draws_with(method, 3))
    assert torch.allclose(mixed[:, 0], 0.3 * tokens[:, 0] + 0.7 * tokens.roll(1, 0)[:, 0], atol=1e-6)
    grid = method.mix(tokens[:, 1:].mT.reshape(3, 8, 4, 4), draws_with(method, 3))
    assert torch.allclose(mixed[:, 1:], grid.flatten(2).mT, atol=1e-5)


def test_networks_without_a_map_and_a_loss_before_attach_are_refused(make_net, make_batch):
    with pytest.raises(ValueError, match="more than one position"):
        AlignMix().attach(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)))
    with pytest.raises(ValueError, match="attach"):
        AlignMix().loss(make_net(), *make_batch(), cross_entropy)
    for wrong in (dict(epsilon=0), dict(iterations=0), dict(cost_scale="max")):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            AlignMix(**wrong)
