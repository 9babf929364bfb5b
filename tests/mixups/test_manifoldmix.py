import copy

import pytest
import torch
import torchvision
from torch import nn

from openmix.mixups import CutMix, ManifoldMix, MixUp, RandomChoice
from openmix.plan import draws_at
from openmix.probes import hook_point
from tests.mixups.learned import Tokens


class Parts(nn.Module):
    """Its layer ``split`` puts out a dict of a tuple, a list and numbers."""

    class Split(nn.Module):
        def forward(self, x):
            return dict(pair=(x, None), more=[x.mean((2, 3))], index=torch.arange(len(x)), size=3)

    def __init__(self):
        super().__init__()
        self.split, self.fc = self.Split(), nn.Linear(6, 10)

    def forward(self, images):
        out = self.split(images)
        assert out["size"] == 3 and out["pair"][1] is None and out["index"].tolist() == list(range(len(images)))
        return self.fc(torch.cat([out["pair"][0].mean((2, 3)), out["more"][0]], 1))


def draws_for(method, n, layer, seed=0):
    draws = method.draw(n, (32, 32), torch.Generator().manual_seed(seed))
    return {**draws, "layer": method.layers.index(layer)}


def recorded(criterion):
    """A criterion that keeps the logits and targets it was given."""
    seen = []

    def record(logits, target):
        seen.append((logits.detach(), target))
        return criterion(logits, target)

    return record, seen


def slow_mix(hidden, lam):
    """Example i with example i - 1, one at a time."""
    lam = lam.expand(len(hidden))
    return torch.stack([lam[i] * hidden[i] + (1 - lam[i]) * hidden[i - 1] for i in range(len(hidden))])


@pytest.mark.parametrize("options", [{}, dict(per_sample=True), dict(pairing="perm"), dict(prob=0.5, per_sample=True)])
def test_mixing_the_input_is_mixup(options, make_net, make_batch, criterion):
    images, labels = make_batch()
    method, mixup = ManifoldMix(alpha=1.0, **options), MixUp(alpha=1.0, **options)
    draws = draws_for(method, 6, "input")
    actual, expected = (m.loss(net, images, labels, criterion, draws)["loss"]
                       for m, net in ((method, make_net()), (mixup, make_net())))
    method.attach(make_net())
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("per_sample", [False, True])
def test_a_linear_net_gives_the_logits_of_mixup_at_any_layer(per_sample, make_batch, criterion):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, 2), nn.Flatten(), nn.Linear(4 * 14 * 14, 10))
    method = ManifoldMix(layers=("input", "0", "1", "2", "3"), per_sample=per_sample)
    method.attach(net)
    images, labels = make_batch(4)
    record, seen = recorded(criterion)
    for layer in method.layers:
        method.loss(net, images, labels, record, draws_for(method, 4, layer))
    expected = net(slow_mix(images, draws_for(method, 4, "input")["lam"]))
    for logits, target in seen:
        assert torch.allclose(logits, expected, atol=1e-5)
        assert torch.equal(target.weight, seen[0][1].weight)
    assert not torch.allclose(net(images), expected, atol=1e-2)


def test_the_output_of_the_named_layer_is_what_is_mixed(make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch()
    method = ManifoldMix()
    method.attach(net)
    draws = draws_for(method, 6, "layer2")
    record, seen = recorded(criterion)
    method.loss(net, images, labels, record, draws)
    hidden = slow_mix(net.layer2(net.layer1(net.stem(images))), draws["lam"])
    assert torch.allclose(seen[0][0], net.fc(net.layer4(net.layer3(hidden)).mean((2, 3))), atol=1e-5)


def test_one_layer_by_name_is_mixed_in_every_batch(make_net, make_batch, criterion):
    """Equal to the one of that name in a tuple; a layer of the backbone may be named without its prefix."""
    method, other = ManifoldMix(layers="layer2"), ManifoldMix(layers=("layer2",))
    assert method.layers == other.layers == ("layer2",)
    net, (images, labels) = make_net(), make_batch()
    method.attach(net.eval())
    steps = method.draw(6, (32, 32), torch.Generator().manual_seed(0), steps=(50,))
    assert set(steps["layer"]) == {0}
    record, seen = recorded(criterion)
    draws = draws_at(steps, 0)
    method.loss(net, images, labels, record, draws)
    hidden = slow_mix(net.layer2(net.layer1(net.stem(images))), draws["lam"])
    assert torch.allclose(seen[0][0], net.fc(net.layer4(net.layer3(hidden)).mean((2, 3))), atol=1e-5)


def test_mix_rate_mixes_so_many_states_of_a_batch_and_their_labels(make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch(6)
    method = ManifoldMix(layers="layer1", mix_rate=0.5)
    method.attach(net)
    record, seen = recorded(criterion)
    draws = method.draw(6, (32, 32), torch.Generator().manual_seed(0))
    method.loss(net, images, labels, record, draws)
    logits, target = seen[0]
    on = draws["on"]
    assert on.sum() == 3 and torch.equal(target.weight[:, 0], torch.where(on, draws["lam"], 1.0))
    assert torch.allclose(logits[~on], net(images)[~on], atol=1e-5)
    assert not torch.allclose(logits[on], net(images)[on], atol=1e-3)


def test_labels_weigh_the_drawn_lam(make_net, make_batch, criterion):
    net, (images, labels) = make_net(), make_batch()
    method = ManifoldMix()
    method.attach(net)
    record, seen = recorded(criterion)
    draws = draws_for(method, 6, "layer1")
    method.loss(net, images, labels, record, draws)
    target, details = seen[0][1], method.details(images, draws)
    assert torch.equal(target.weight[:, 0], draws["lam"].expand(6)) and torch.equal(details["lam"], target.weight[:, 0])
    assert torch.equal(target.label[:, 1], labels.roll(1)) and torch.equal(labels[details["partner"]], labels.roll(1))
    assert details["mask"] is None


def test_early_layers_learn_from_both_partners(make_net, make_batch):
    """The gradient of one example's loss reaches its own image and its partner's, in the shares lam and 1 - lam."""
    net, (images, labels) = make_net().eval(), make_batch(4)
    method = ManifoldMix(layers=("layer2",))
    method.attach(net)
    images.requires_grad_()
    draws = {**method.draw(4, (32, 32)), "lam": torch.tensor([0.7])}
    loss = method.loss(net, images, labels, lambda logits, target: logits[2].sum(), draws)["loss"]
    (gradient,) = torch.autograd.grad(loss, images, retain_graph=True)
    reached = gradient.flatten(1).abs().sum(1) > 0
    assert reached.tolist() == [False, True, True, False]  # examples 2 and its partner 1
    assert all(p.abs().sum() > 0 for p in torch.autograd.grad(loss, list(net.layer1.parameters())))


def test_nothing_is_mixed_outside_the_loss_nor_after_an_exception(make_net, make_batch, criterion):
    net, plain, (images, labels) = make_net(), make_net(), make_batch(4)
    method = ManifoldMix(layers=("layer1",))
    method.attach(net)

    def untouched():
        for mode in (True, False):
            assert torch.equal(net.train(mode)(images), plain.train(mode)(images))

    untouched()
    method.loss(net.eval(), images, labels, criterion)
    untouched()

    def broken(logits, target):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        method.loss(net.eval(), images, labels, broken)
    untouched()
    net.layer2.register_forward_pre_hook(lambda module, inputs: broken(0, 0))
    with pytest.raises(ZeroDivisionError):
        method.loss(net, images, labels, criterion)
    assert hook_point(net.layer1).action is None


def test_two_methods_attached_twice_still_mix_once(make_net, make_batch, criterion):
    once, often, (images, labels) = make_net().eval(), make_net().eval(), make_batch(4)
    method = ManifoldMix(layers=("layer1",))
    method.attach(once)
    mix = RandomChoice([ManifoldMix(layers=("layer1",)), ManifoldMix(layers=("layer1", "layer2"))])
    for _ in range(2):
        mix.attach(often)
    draws = method.draw(4, (32, 32))
    expected = method.loss(once, images, labels, criterion, draws)["loss"]
    for member in mix.methods:
        assert torch.equal(member.loss(often, images, labels, criterion, draws)["loss"], expected)
    assert list(often.state_dict()) == list(make_net().state_dict())


def test_a_copy_of_the_net_is_not_mixed_while_the_net_is(make_net, make_batch, criterion):
    """An average of the weights, or a teacher, is a deep copy; here it runs in the middle of a mixed pass."""
    net, (images, labels) = make_net().eval(), make_batch(4)
    method = ManifoldMix(layers=("layer1",))
    method.attach(net)
    twin, plain, seen = copy.deepcopy(net), net(images), []

    handle = net.stem.register_forward_hook(lambda module, inputs, output: seen.append(twin(images)))
    draws = method.draw(4, (32, 32))
    expected = method.loss(net, images, labels, criterion, draws)["loss"]
    handle.remove()
    assert len(seen) == 1 and torch.equal(seen[0], plain)
    assert torch.equal(method.loss(twin, images, labels, criterion, draws)["loss"], expected)
    pair_method, pair_net = copy.deepcopy((method, net))
    assert torch.equal(pair_method.loss(pair_net, images, labels, criterion, draws)["loss"], expected)


def test_an_unmodified_torchvision_resnet_is_mixed_at_its_layers(criterion):
    net = torchvision.models.resnet18(num_classes=10).eval()
    method = ManifoldMix()
    method.attach(net)
    images, labels = torch.randn(4, 3, 32, 32), torch.arange(4)
    record, seen = recorded(criterion)
    draws = draws_for(method, 4, "layer2")
    method.loss(net, images, labels, record, draws)["loss"].backward()
    hidden = net.layer2(net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(images))))))
    hidden = net.layer4(net.layer3(slow_mix(hidden, draws["lam"])))
    assert torch.allclose(seen[0][0], net.fc(net.avgpool(hidden).flatten(1)), atol=1e-4)
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize("per_sample", [False, True])
def test_a_transformer_is_mixed_token_by_token(per_sample, make_batch, criterion):
    net, (images, labels) = Tokens(), make_batch(4)
    method = ManifoldMix(layers=("blocks.0",), per_sample=per_sample)
    method.attach(net)
    seen = []
    net.blocks[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    net(images)
    draws = method.draw(4, (32, 32))
    method.loss(net, images, labels, criterion, draws)
    assert seen[0].shape == (4, 17, 12)
    assert torch.allclose(seen[1], slow_mix(seen[0], draws["lam"]), atol=1e-6)


def test_every_floating_tensor_of_a_layer_is_mixed_and_the_rest_stays(make_batch, criterion):
    net, (images, labels) = Parts(), make_batch(4)
    method = ManifoldMix(layers=("split",))
    method.attach(net)
    record, seen = recorded(criterion)
    draws = method.draw(4, (32, 32))
    method.loss(net, images, labels, record, draws)
    assert torch.allclose(seen[0][0], net(slow_mix(images, draws["lam"])), atol=1e-5)


def test_a_compiled_net_gives_the_loss_of_the_eager_one(make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch(4)
    method = ManifoldMix()
    method.attach(net)
    compiled = torch.compile(net, backend="eager")
    for seed, layer in enumerate(("layer1", "input", "layer2", "layer1")):
        draws = draws_for(method, 4, layer, seed)
        eager = method.loss(net, images, labels, criterion, draws)["loss"]
        assert torch.allclose(method.loss(compiled, images, labels, criterion, draws)["loss"], eager)


def test_half_precision_mixes_the_hidden_state_in_its_own_type(make_net, make_batch, criterion):
    net, (images, labels) = make_net(), make_batch(4)
    method = ManifoldMix(layers=("layer2.0",))  # a convolution: bfloat16 under autocast
    method.attach(net)
    dtypes = []
    net.layer2[1].register_forward_pre_hook(lambda module, inputs: dtypes.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        assert method.loss(net, images, labels, criterion)["loss"].isfinite()
    assert dtypes == [torch.bfloat16]


def test_layers_are_drawn_evenly_on_the_host():
    method = ManifoldMix(layers=("input", "a", "b"))
    layers = method.draw(5, (8, 8), torch.Generator().manual_seed(0), steps=(3000,))["layer"]
    assert all(type(layer) is int for layer in layers)
    counts = [layers.count(i) for i in range(3)]
    assert sum(counts) == 3000 and all(abs(count - 1000) < 130 for count in counts)  # 5 standard deviations


def test_mistakes_are_reported_with_a_way_out(make_net, make_batch, criterion):
    images, labels = make_batch(4)
    for layers in ((), "", ("layer1", 2), ("",)):
        with pytest.raises(ValueError, match="layers must be"):
            ManifoldMix(layers=layers)
    with pytest.raises(TypeError, match="attach"):
        ManifoldMix()(images, labels)
    with pytest.raises(ValueError, match="did you mean 'layer1'"):
        ManifoldMix(layers=("layr1",)).attach(make_net())
    with pytest.raises(ValueError, match="attach"):
        ManifoldMix(layers=("layer1",)).loss(make_net(), images, labels, criterion)
    with pytest.raises(ValueError, match="labels must be"):
        ManifoldMix(layers=("input",)).loss(make_net(), images, labels[:3], criterion)


def test_a_layer_without_the_batch_in_front_or_run_twice_is_an_error(make_batch, criterion):
    images, labels = make_batch(4)
    shared = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10), relu := nn.ReLU(), nn.Linear(10, 10), relu)
    method = ManifoldMix(layers=("2",))
    method.attach(shared)
    with pytest.raises(ValueError, match="exactly once.*2 times"):
        method.loss(shared, images, labels, criterion)

    class TimeFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.turn, self.fc = nn.Identity(), nn.Linear(96, 10)

        def forward(self, images):
            return self.fc(self.turn(images.flatten(1, 2).permute(2, 0, 1)).permute(1, 2, 0).mean(2))

    net, method = TimeFirst(), ManifoldMix(layers=("turn",))
    method.attach(net)
    with pytest.raises(ValueError, match="must be the batch of 4.*\\(32, 4, 96\\)"):
        method.loss(net, images, labels, criterion)


def test_it_takes_part_in_a_random_choice(make_net, make_batch, criterion):
    net, mix = make_net(), RandomChoice([ManifoldMix(), CutMix()])
    mix.attach(net)
    steps = mix.draw(4, (32, 32), torch.Generator().manual_seed(0), steps=(8,))
    for i in range(8):
        assert mix.loss(net, *make_batch(4), criterion, draws_at(steps, i))["loss"].isfinite()


def test_a_graph_that_torch_compile_kept_of_a_network_without_points_is_not_taken(make_net, make_batch, criterion):
    """torch.compile does not guard hooks: networks of one class share graphs, with and without them."""
    torch._dynamo.reset()
    draws = dict(lam=torch.tensor([0.3]), layer=0)
    losses = []
    for method, given in ((MixUp(), dict(lam=draws["lam"])), (ManifoldMix(layers=("layer1",)), draws)):
        net = make_net()
        method.attach(net)
        compiled = torch.compile(net, backend="eager")
        losses.append(method.loss(compiled, *make_batch(4), criterion, given)["loss"])
    net = make_net()
    method.attach(net)
    assert torch.allclose(losses[1], method.loss(net, *make_batch(4), criterion, draws)["loss"], atol=1e-5)
    assert not torch.allclose(*losses)


def test_a_network_that_was_compiled_and_run_may_be_attached_later(make_net, make_batch, criterion):
    torch._dynamo.reset()
    net, method = make_net(), ManifoldMix(layers=("layer1",))
    compiled = torch.compile(net, backend="eager")
    compiled(make_batch(4)[0])
    method.attach(compiled)
    assert method.loss(compiled, *make_batch(4), criterion)["loss"].isfinite()
