"""Distillation: closed forms of the teacher's term, its target under hidden mixing, hints; training leaves it alone."""
import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.mixups import CutMix, Distill, ManifoldMix, MixUp, Vanilla
from openmix.mixups.distill import kd_loss
from tests.mixups.contract import generator


def logits_of(n=5, classes=7, scale=3.0, seed=0):
    return scale * torch.randn(n, classes, generator=generator(seed), dtype=torch.float64)


@pytest.fixture
def build(make_net):
    """``build(method, **options)``: a Distill with a TinyNet as teacher, attached to another TinyNet."""
    def make(method=None, **options):
        distill, net = Distill(make_net(7), method, **options), make_net(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            distill.attach(net)
        return distill, net
    return make


# -- the teacher's term -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_term_is_the_divergence_written_out(temperature):
    s, t = logits_of(seed=1), logits_of(seed=2)
    total = 0.0
    for a, b in zip(s.tolist(), t.tolist(), strict=True):
        ea, eb = ([math.exp(v / temperature) for v in row] for row in (a, b))
        total += sum(p / sum(eb) * math.log((p / sum(eb)) / (q / sum(ea))) for p, q in zip(eb, ea, strict=True))
    actual = kd_loss(s, (t / temperature).softmax(1).float(), temperature)
    assert actual.item() == pytest.approx(temperature ** 2 * total / len(s), rel=1e-5)


def test_with_a_high_temperature_the_gradient_is_that_of_half_the_squared_difference_of_logits():
    """Hinton et al., section 2.1: for logits of mean zero, (s - t) / (N C) = d/ds of sum (s - t)^2 / (2 N C)."""
    s, t = (x - x.mean(1, keepdim=True) for x in (logits_of(seed=1), logits_of(seed=2)))
    n, classes = s.shape
    s.requires_grad_()
    (expected,) = torch.autograd.grad((s - t).square().sum() / (2 * n * classes), s)
    errors = []
    for temperature in (30.0, 300.0):
        log_q = (s / temperature).log_softmax(1)
        loss = F.kl_div(log_q, (t / temperature).softmax(1), reduction="batchmean") * temperature ** 2
        errors.append((torch.autograd.grad(loss, s)[0] - expected).abs().max().item())
        assert kd_loss(s.detach(), (t / temperature).softmax(1), temperature).item() == pytest.approx(
            loss.item(), rel=1e-2 * temperature / 30)  # in float32
    assert errors[1] < 0.2 * errors[0] and errors[1] < 0.02 * expected.abs().max()


def test_equal_logits_give_a_term_of_zero():
    s = logits_of()
    assert kd_loss(s, (s / 4).softmax(1).float(), 4.0).abs() < 1e-6


def test_weight_0_is_the_loss_of_the_method_bit_by_bit(build, make_batch, criterion):
    for method in (Vanilla(), MixUp(), ManifoldMix()):
        distill, net = build(method, weight=0)
        images, labels = make_batch(4)
        draws = method.draw(4, (32, 32), generator(3))
        twin = copy.deepcopy(net)
        assert torch.equal(distill.loss(net, images, labels, criterion, draws)["loss"],
                           method.loss(twin, images, labels, criterion, draws)["loss"])


@pytest.mark.parametrize("method", [Vanilla(), MixUp(), CutMix(), ManifoldMix(layers="input")], ids=repr)
def test_the_teacher_sees_the_mixed_images_of_the_network(build, make_batch, criterion, method):
    distill, net = build(method, weight=0.7, temperature=3.0)
    (images, labels), draws = make_batch(4), method.draw(4, (32, 32), generator(3))
    mixed = images
    if not isinstance(method, Vanilla):
        batch = method if not isinstance(method, ManifoldMix) else MixUp()
        mixed = batch(images, labels, draws)[0]
    twin = copy.deepcopy(net)
    plain = method.loss(twin, images, labels, criterion, draws)["loss"]
    p = (distill.teacher.net(mixed) / 3).softmax(1)
    q = (copy.deepcopy(net)(mixed) / 3).log_softmax(1)
    expected = 0.3 * plain + 0.7 * 9 * (p * (p.log() - q)).sum(1).mean()
    losses = distill.loss(net, images, labels, criterion, draws)
    assert torch.allclose(losses["loss"], expected, atol=1e-5)
    assert torch.equal(losses["loss_method"], plain.detach())


# -- hidden mixing --------------------------------------------------------------------------------------------------


def term(distill, net, batch, criterion, draws):
    return distill.loss(net, *batch, criterion, draws)["loss_teacher"]


def test_under_hidden_mixing_the_probabilities_of_the_clean_images_are_mixed(build, make_batch, criterion):
    method = ManifoldMix(layers="layer2")
    distill, net = build(method, temperature=2.0)
    batch, draws, seen = make_batch(4), method.draw(4, (32, 32), generator(3)), []
    lam = draws["lam"]
    p = (distill.teacher.net(batch[0]) / 2).softmax(1)
    p = lam * p + (1 - lam) * p.roll(1, 0)
    handle = net.register_forward_hook(lambda m, args, out: seen.append(out))
    actual = term(distill, net, batch, criterion, draws)
    handle.remove()
    q = (seen[-1] / 2).log_softmax(1)
    assert torch.allclose(actual, 4 * (p * (p.log() - q)).sum(1).mean(), atol=1e-5)


@pytest.mark.parametrize("teacher_layers", [{}, dict(layer2="layer3")], ids=["same name", "named"])
def test_or_the_teacher_is_mixed_at_its_own_layer(build, make_batch, criterion, teacher_layers):
    method = ManifoldMix(layers="layer2")
    distill, net = build(method, temperature=2.0, hidden="layer", teacher_layers=teacher_layers)
    batch, draws, seen = make_batch(4), method.draw(4, (32, 32), generator(3)), []
    lam, own = draws["lam"], copy.deepcopy(distill.teacher.net)
    own.get_submodule(teacher_layers.get("layer2", "layer2")).register_forward_hook(
        lambda m, args, out: lam * out + (1 - lam) * out.roll(1, 0))
    handle = net.register_forward_hook(lambda m, args, out: seen.append(out))
    actual = term(distill, net, batch, criterion, draws)
    handle.remove()
    p, q = (own(batch[0]) / 2).softmax(1), (seen[-1] / 2).log_softmax(1)
    assert torch.allclose(actual, 4 * (p * (p.log() - q)).sum(1).mean(), atol=1e-5)


# -- hints ----------------------------------------------------------------------------------------------------------


def outputs(net, layer, images):
    seen = []
    handle = net.get_submodule(layer).register_forward_hook(lambda m, args, out: seen.append(out.clone()))
    net(images)
    handle.remove()
    return seen[-1]


def slow_hint(regressor, student, teacher):
    """Mean squared difference, position by position."""
    weight, bias = regressor.weight[:, :, 0, 0], regressor.bias
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        for y in range(t.shape[1]):
            for x in range(t.shape[2]):
                total = total + (weight @ s[:, y, x] + bias - t[:, y, x]).square().sum()
    return total / teacher.numel()


def test_the_loss_of_hints_is_the_sum_written_out(build, make_batch, criterion):
    distill, net = build(weight=0.5, hints=[("layer3", "layer3"), ("layer4", "layer4")], hint_weight=10.0)
    images, labels = make_batch(3)
    expected = sum(slow_hint(regressor, outputs(copy.deepcopy(net), name, images),
                             outputs(distill.teacher.net, name, images))
                   for regressor, name in zip(distill.hints.regressors, ("layer3", "layer4"), strict=True))
    losses = distill.loss(net, images, labels, criterion)
    assert torch.allclose(losses["loss_hint"], expected.detach(), rtol=1e-4)
    rest = 0.5 * losses["loss_method"] + 0.5 * losses["loss_teacher"]
    assert torch.allclose(losses["loss"], rest + 10 * losses["loss_hint"], rtol=1e-5)


def test_maps_of_other_sizes_and_vectors_are_compared_too(build, make_batch, criterion):
    distill, net = build(hints=[("layer2", "layer1"), ("fc", "fc")])
    losses = distill.loss(net, *make_batch(3), criterion)
    assert [tuple(r.weight.shape[:2]) for r in distill.hints.regressors] == [(8, 8), (10, 10)]
    own, its = outputs(net.eval(), "layer2", make_batch(3)[0]), outputs(distill.teacher.net, "layer1", make_batch(3)[0])
    assert own.shape[2:] == (16, 16) and its.shape[2:] == (32, 32) and losses["loss_hint"].isfinite()


@pytest.mark.parametrize("layer, mixed", [("layer1", False), ("layer3", True)])
def test_behind_the_mixed_layer_the_hints_are_mixed_too(build, make_batch, criterion, layer, mixed):
    method = ManifoldMix(layers="layer2")
    distill, net = build(method, hints=[(layer, layer)])
    batch, draws = make_batch(3), method.draw(3, (32, 32), generator(3))
    own, lam = copy.deepcopy(net), draws["lam"]
    own.layer2.register_forward_hook(lambda m, args, out: lam * out + (1 - lam) * out.roll(1, 0))
    teacher = outputs(distill.teacher.net, layer, batch[0])
    teacher = lam * teacher + (1 - lam) * teacher.roll(1, 0) if mixed else teacher
    expected = slow_hint(distill.hints.regressors[0], outputs(own, layer, batch[0]), teacher)
    assert torch.allclose(distill.loss(net, *batch, criterion, draws)["loss_hint"], expected.detach(), rtol=1e-4)


@pytest.mark.parametrize("as_tensor", [False, True])
def test_in_two_stages_the_hints_come_first_and_alone(build, make_batch, criterion, as_tensor):
    distill, net = build(hints=[("layer2", "layer2")], hint_weight=3.0, hint_stage=0.4)
    actual = []
    for progress in (0.0, 0.39, 0.4, 1.0):
        losses = distill.loss(net, *make_batch(3), criterion, {}, torch.tensor(progress) if as_tensor else progress)
        rest = 0.1 * losses["loss_method"] + 0.9 * losses["loss_teacher"]
        actual.append((losses["loss"].detach(), 3 * losses["loss_hint"], rest))
    for i, (loss, hint, rest) in enumerate(actual):
        assert torch.allclose(loss, hint if i < 2 else rest, rtol=1e-5)


# -- the teacher ----------------------------------------------------------------------------------------------------


def test_training_leaves_the_teacher_bit_identical_and_out_of_the_state(build, make_batch, criterion):
    distill, net = build(MixUp(), hints=[("layer2", "layer2")])
    before = copy.deepcopy(distill.teacher.net.state_dict())
    both = nn.ModuleDict(dict(net=net, distill=distill)).train()
    optimizer = torch.optim.SGD(both.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        distill.loss(net, *make_batch(4), criterion)["loss"].backward()
        optimizer.step()
        distill.after_step(net, 0.5)
    assert all(torch.equal(value, before[key]) for key, value in distill.teacher.net.state_dict().items())
    assert list(distill.state_dict()) == ["hints.regressors.0.weight", "hints.regressors.0.bias"]
    assert list(distill.networks(net)) == ["net"]


def test_what_does_not_fit_is_refused_readably(build, make_net, make_batch, criterion):
    with pytest.raises(ValueError, match="teacher is of 4 classes, the network of 10"):
        distill, net = Distill(make_net(num_classes=4)), make_net()
        distill.attach(net)
        distill.loss(net, *make_batch(3), criterion)
    for options, message in ((dict(hints=[("layer9", "layer1")]), "no layer 'layer9'"),
                             (dict(hints=[("layer1", "layer9")]), "no layer 'layer9'"),
                             (dict(hints=["layer1"]), "pairs of names"),
                             (dict(weight=1.5), "weight must lie in"), (dict(temperature=0), "temperature must lie in"),
                             (dict(hidden="images"), "hidden must be one of 'outputs', 'layer'"),
                             (dict(method=ManifoldMix(layers="layer2"), hidden="layer",
                                   teacher_layers=dict(layer2="conv9")), "no layer 'conv9'")):
        with pytest.raises(ValueError, match=message):
            build(**options)
    with pytest.raises(TypeError, match="teacher must be a network"):
        Distill("resnet18.pth")
    with pytest.raises(TypeError, match="method must be a mixing method"):
        Distill(make_net(), "MixUp")
