import copy
import io

import pytest
import torch
from torch import nn

from openmix import probes


class Wrapped(nn.Module):
    """A backbone with stages and a head with a pooling and ``fc``, as the project's own networks."""

    def __init__(self, net):
        super().__init__()
        self.backbone = nn.Sequential()
        for name, child in net.named_children():
            if name != "fc":
                self.backbone.add_module(name, child)
        self.head = nn.Sequential()
        self.head.add_module("pool", nn.AdaptiveAvgPool2d(1))
        self.head.add_module("flatten", nn.Flatten())
        self.head.add_module("fc", net.fc)

    def forward(self, images):
        return self.head(self.backbone(images))


def double(output):
    return 2 * output


# -- names -------------------------------------------------------------------------------------------------------


def test_a_layer_is_found_by_name_also_inside_a_backbone_and_a_compiled_net(make_net):
    net = make_net()
    wrapped = Wrapped(net)
    for found in (net, wrapped, torch.compile(wrapped, backend="eager")):
        assert probes.find_layer(found, "layer1") is net.layer1
        assert probes.find_layer(found, "layer1.0") is net.layer1[0]


def test_the_error_of_an_unknown_layer_names_the_nearest(make_net):
    for name in ("layr2", "", "layer9"):
        with pytest.raises(ValueError, match="has no layer.*known:.*layer2"):
            probes.find_layer(Wrapped(make_net()), name)
    with pytest.raises(ValueError, match="did you mean 'layer2'"):
        probes.find_layer(Wrapped(make_net()), "layr2")


def test_the_classifier_is_the_last_linear_layer_or_the_named_one(make_net):
    net = make_net()
    assert probes.find_classifier(net) == ("fc", net.fc)
    assert probes.find_classifier(Wrapped(net)) == ("head.fc", net.fc)
    assert probes.find_classifier(Wrapped(net), "layer4.0") == ("backbone.layer4.0", net.layer4[0])
    with pytest.raises(ValueError, match="no nn.Linear.*classifier="):
        probes.find_classifier(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()))


def test_layer_shape_is_that_of_the_output_and_changes_nothing(make_net):
    net = make_net()
    net.layer1[1].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    assert probes.layer_shape(net, "layer3") == (12, 8, 8)
    assert probes.layer_shape(net, "layer2", (3, 16, 24)) == (8, 8, 12)
    assert modes == [m.training for m in net.modules()] and not net.layer3._forward_hooks
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_the_channels_of_a_layer_are_those_of_maps_and_of_tokens(make_net):
    assert probes.layer_channels(make_net(), "layer3") == 12
    assert probes.layer_channels(nn.Sequential(nn.Flatten(2), nn.Linear(9, 5)), "1", (4, 3, 3)) == 5
    with pytest.raises(ValueError, match="image_size or channels"):
        probes.layer_channels(make_net(), "layer3", (1, 32, 32))


def test_layer_shape_needs_one_tensor():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused, self.pair, self.fc = nn.Identity(), nn.LSTM(3, 3), nn.Linear(3, 2)

        def forward(self, images):
            return self.fc(self.pair(images.mean(3))[0])

    with pytest.raises(ValueError, match="got tuple"):
        probes.layer_shape(Odd(), "pair", (3, 3, 5))
    with pytest.raises(ValueError, match="did not run"):
        probes.layer_shape(Odd(), "unused", (3, 3, 5))


# -- hook points -------------------------------------------------------------------------------------------------


def test_a_point_acts_inside_the_context_only_and_leaves_the_state_dict_alone(make_net, make_batch):
    net, (images, _) = make_net().eval(), make_batch(3)
    keys, plain = list(net.state_dict()), net(images)
    for _ in range(3):
        probes.plant(net, "layer2")
    assert len(net.layer2._forward_hooks) == 1 and list(net.state_dict()) == keys
    assert torch.equal(net(images), plain)
    with probes.acting(net, "layer2", double):
        acted = net(images)
    x = net.layer1(net.stem(images))
    expected = net.fc(net.layer4(net.layer3(2 * net.layer2[:](x))).mean((2, 3)))
    assert torch.equal(acted, expected) and not torch.equal(acted, plain)
    assert torch.equal(net(images), plain)


def test_a_point_is_disarmed_after_an_exception(make_net, make_batch):
    net, (images, _) = make_net().eval(), make_batch(2)
    probes.plant(net, "layer1")
    with pytest.raises(ZeroDivisionError), probes.acting(net, "layer1", lambda output: 1 / 0):
        net(images)
    with pytest.raises(KeyError), probes.acting(net, "layer1", double):
        raise KeyError
    assert torch.equal(net(images), make_net().eval()(images))


def test_a_layer_that_does_not_run_once_is_an_error_that_says_so(make_net, make_batch):
    net, (images, _) = make_net(), make_batch(2)
    probes.plant(net, "layer1")
    for times in (0, 2):
        with pytest.raises(ValueError, match=f"exactly once.*ran {times} times"):
            with probes.acting(net, "layer1", double):
                for _ in range(times):
                    net(images)
    with pytest.raises(ValueError, match="attach"):
        with probes.acting(net, "layer3", double):
            net(images)


def test_copies_and_pickles_have_points_of_their_own(make_net, make_batch):
    net, (images, _) = make_net().eval(), make_batch(2)
    probes.plant(net, "layer2")
    stored = io.BytesIO()
    torch.save(net, stored)
    stored.seek(0)
    plain = net(images)
    for twin in (copy.deepcopy(net), torch.load(stored, weights_only=False)):
        assert len(twin.layer2._forward_hooks) == 1
        assert probes.hook_point(twin.layer2) is not probes.hook_point(net.layer2)
        with probes.acting(net, "layer2", double):
            acted = net(images)
            assert torch.equal(twin(images), plain)
        with probes.acting(twin, "layer2", double):
            assert torch.equal(twin(images), acted)
            assert torch.equal(net(images), plain)
        probes.plant(twin, "layer2")
        assert len(twin.layer2._forward_hooks) == 1


def test_a_compiled_net_acts_without_compiling_anew_for_each_batch(make_net, make_batch):
    net, (images, _) = make_net().eval(), make_batch(2)
    probes.plant(net, "layer2")
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(net, backend=backend)
    for factor in torch.rand(4):
        def scale(output, factor=factor):
            return factor * output

        assert torch.equal(compiled(images), net(images))
        with probes.acting(compiled, "layer2", scale):
            acted = compiled(images)
        with probes.acting(net, "layer2", scale):
            assert torch.equal(acted, net(images))
    assert len(graphs) == 2, "one with and one without the action"


def test_watch_returns_what_left_the_layer_even_if_the_next_works_in_place():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))
    probes.plant(net, "0")
    x = torch.randn(5, 3)
    seen = probes.watch(net, "0", lambda: net(x))
    assert torch.equal(seen, net[0](x)) and (seen < 0).any()


def test_tokens_become_a_map_row_by_row_without_those_in_front():
    tokens = torch.arange(2 * 11 * 4.0).reshape(2, 11, 4)  # two in front, then 3 x 3
    found = probes.as_map(tokens)
    assert found.shape == (2, 4, 3, 3)
    for row in range(3):
        for column in range(3):
            assert torch.equal(found[:, :, row, column], tokens[:, 2 + 3 * row + column])
    assert probes.as_map(found) is found
    with pytest.raises(ValueError, match="name another layer"):
        probes.as_map(torch.zeros(2, 3))


def test_what_enters_a_layer_is_seen(make_net, make_batch):
    net, (images, _) = make_net().eval(), make_batch(3)
    probes.plant(net, "fc")
    logits = []
    features = probes.watch_input(net, "fc", lambda: logits.append(net(images)))
    assert torch.equal(net.fc(features), logits[0]) and features.requires_grad
    assert probes.hook_point(net.fc).inputs == (), "no batch is held for longer than the pass"


# -- the last map --------------------------------------------------------------------------------------------------


class PooledTokens(nn.Module):
    """Tokens of patches, and a classifier of their mean."""

    def __init__(self):
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, 12, 8, 8), nn.LayerNorm(12)
        self.fc = nn.Linear(12, 7)

    def forward(self, images):
        tokens = self.norm(self.patch(images).flatten(2).transpose(1, 2))
        return self.fc(tokens.mean(1))


@pytest.mark.parametrize("wrap", [lambda net: net, Wrapped, lambda net: torch.compile(net, backend="eager")],
                         ids=["plain", "backbone and head", "compiled"])
def test_the_last_map_is_the_last_output_of_more_than_one_position(wrap, make_net):
    net = wrap(make_net())
    name, channels, classes = probes.last_map(net)
    assert name.split(".")[-1] in ("layer4", "backbone") and (channels, classes) == (16, 10)
    probes.plant(net, name)
    features = probes.watch(net, name, lambda: net(torch.randn(2, 3, 32, 32)))
    assert features.shape == (2, 16, 4, 4)


def test_the_last_map_of_other_sizes_layers_and_tokens(make_net):
    net = make_net()
    assert probes.last_map(net, (3, 8, 8))[:2] == ("layer3", 12), "layer4 has one position there"
    assert probes.last_map(net, layer="layer2") == ("layer2", 8, 10)
    assert probes.last_map(net, (3, 8, 8), "layer4") == ("layer4", 16, 10), "one that is named may have one position"
    assert probes.last_map(PooledTokens()) == ("norm", 12, 7)


def test_looking_for_the_last_map_changes_nothing(make_net):
    net = make_net()
    net.layer1[1].eval()
    before = copy.deepcopy(net.state_dict()), [(m.training, len(m._forward_hooks)) for m in net.modules()]
    probes.last_map(net)
    assert [(m.training, len(m._forward_hooks)) for m in net.modules()] == before[1]
    assert all(torch.equal(before[0][k], v) for k, v in net.state_dict().items())


def test_a_network_without_maps_or_without_the_named_layer_is_refused(make_net):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
    with pytest.raises(ValueError, match="Sequential has no layer with feature maps.*name the layer"):
        probes.last_map(flat, (3, 4, 4))
    with pytest.raises(ValueError, match="did you mean 'layer4'"):
        probes.last_map(make_net(), layer="layr4")
    with pytest.raises(ValueError, match="feature maps"):
        probes.last_map(make_net(), layer="fc")


# -- another head ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["plain", "wrapped", "compiled"])
def test_another_head_sees_the_same_features_and_the_own_one_gets_no_gradient(form, make_net, make_batch):
    net, (images, _) = make_net().eval(), make_batch(3)
    inner = net if form == "plain" else Wrapped(net)
    outer = torch.compile(inner, backend="eager") if form == "compiled" else inner
    name, own = probes.find_classifier(outer)
    head = copy.deepcopy(own)
    nn.init.normal_(head.weight)
    features = []
    handle = own.register_forward_pre_hook(lambda module, inputs: features.append(inputs[0]))
    inner(images)
    handle.remove()
    logits = probes.with_head(outer, head, name, images)
    assert torch.allclose(logits, features[0] @ head.weight.T + head.bias, atol=1e-6)
    logits.sum().backward()
    assert own.weight.grad is None and head.weight.grad is not None and net.layer1[0].weight.grad is not None


@pytest.mark.parametrize("form, passes", [("plain", 1), ("wrapped", 1), ("compiled", 1), ("followed", 2)])
def test_both_heads_are_the_two_networks_and_share_a_pass_where_the_head_is_the_end(form, passes, make_net, make_batch):
    net, (images, _) = make_net().eval(), make_batch(3)
    outer = dict(plain=net, wrapped=Wrapped(net), compiled=torch.compile(Wrapped(net), backend="eager"),
                 followed=nn.Sequential(net, nn.Softmax(1)))[form]
    name, own = probes.find_classifier(outer)
    head = nn.Linear(16, 10)
    expected = outer(images), probes.with_head(outer, head, name, images)
    seen = []
    net.layer1.register_forward_hook(lambda *args: seen.append(args))
    found = probes.both_heads(outer, head, name, images)
    assert len(seen) == passes and not own._forward_hooks
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert not torch.equal(*found)


def test_a_net_with_another_head_publishes_a_plain_state_dict(make_net, make_batch):
    net, other, (images, _) = Wrapped(make_net()), Wrapped(make_net(1)), make_batch(3)
    head = nn.Linear(16, 10)
    joined = probes.WithHead(net, head, "head.fc").eval()
    assert not net.training
    other.load_state_dict(joined.state_dict())
    assert torch.equal(other.eval()(images), joined(images))
    assert not torch.equal(net(images), joined(images))


# -- gradients ---------------------------------------------------------------------------------------------------


def test_buffers_are_kept_over_passes_also_over_one_that_fails(make_net, make_batch):
    net, images = make_net(), make_batch()[0]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ZeroDivisionError), probes.keeping_buffers(net):
        net(images)
        assert not torch.equal(net.stem[1].running_mean, before["stem.1.running_mean"])
        raise ZeroDivisionError
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    output = net(images).sum()
    with probes.keeping_buffers(net):
        net(images)
    output.backward()  # statistics that went back disturb no gradient
    assert net.stem[1].num_batches_tracked == 1


def test_input_gradient_is_the_closed_form_of_a_linear_net():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 2 * 5, 4))
    images = torch.randn(6, 3, 2, 5)
    saliency = probes.input_gradient(net, images, torch.zeros(6), lambda logits, labels: logits[:, 1].sum())
    expected = net[1].weight[1].reshape(3, 2, 5).square().mean(0).sqrt()
    assert torch.allclose(saliency, expected.expand(6, 2, 5), atol=1e-6)
    assert net[1].weight.grad is None and not images.requires_grad


def test_a_net_on_copies_takes_the_statistics_of_the_batch_and_stores_none(make_net, make_batch):
    net, (images, _) = make_net(), make_batch(3)
    before = copy.deepcopy(net.state_dict())
    found = probes.on_copies(net)(images)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert torch.equal(found, net(images)) and net.stem[1].num_batches_tracked == 1
    assert probes.on_copies(torch.sin) is torch.sin
    (found.sum() + net(images).sum()).backward()  # nothing that a backward pass needs was overwritten


def test_a_clean_pass_gives_the_logits_and_the_saliency_of_one_pass_in_the_own_mode(make_net, make_batch, criterion):
    net, (images, labels) = make_net(), make_batch(4)
    twin, seen = copy.deepcopy(net), []
    net.register_forward_hook(lambda *args: seen.append(args))
    logits, saliency = probes.clean_pass(net, images, labels, criterion)
    x = images.clone().requires_grad_()
    expected = twin(x)
    (gradient,) = torch.autograd.grad(criterion(expected, labels), x, retain_graph=True)
    assert len(seen) == 1 and torch.equal(logits, expected)
    assert torch.allclose(saliency, gradient.square().mean(1).sqrt(), atol=1e-7) and not saliency.requires_grad
    assert all(p.grad is None for p in net.parameters()) and not images.requires_grad
    for a, b in zip(net.buffers(), twin.buffers(), strict=True):
        assert torch.equal(a, b), "statistics move once"
    (logits.square().sum() + net(images).sum()).backward()
    (expected.square().sum() + twin(images).sum()).backward()
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-5)


def test_a_listener_hears_every_pass_while_it_is_listened_to(make_net):
    net, images, heard = make_net(), torch.randn(2, 3, 8, 8), []
    probes.listener(net.layer1)
    assert probes.listener(net.layer1) is probes.listener(net.layer1) and len(net.layer1._forward_hooks) == 1
    with probes.listening({net.layer1: lambda inputs, output: heard.append((inputs[0].shape, output.shape))}):
        net(images), net(images)
    net(images)
    assert len(heard) == 2 and heard[0][0] == (2, 8, 8, 8)


def test_the_layer_that_acts_is_known_where_its_output_was_replaced(make_net):
    net, images, seen = make_net(), torch.randn(2, 3, 8, 8), []
    for name in ("layer1", "layer2"):
        probes.plant(net, name)
    note = {net: lambda inputs, output: seen.append(probes.acted_layer(net))}
    with probes.listening(note):
        with probes.acting(net, "layer2", lambda output: 2 * output):
            net(images)
        probes.watch(net, "layer1", lambda: net(images))  # looks and replaces nothing
        net(images)
    assert seen == ["layer2", None, None]
