import copy
import io

import pytest
import torch
from torch import nn

from openmix import probes


def double(output):
    return 2 * output


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


def test_a_layer_that_does_not_run_once_is_an_error_with_its_count(make_net, make_batch):
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


def test_what_enters_a_layer_is_seen(make_net, make_batch):
    net, (images, _) = make_net().eval(), make_batch(3)
    probes.plant(net, "fc")
    logits = []
    features = probes.watch_input(net, "fc", lambda: logits.append(net(images)))
    assert torch.equal(net.fc(features), logits[0]) and features.requires_grad
    assert probes.hook_point(net.fc).inputs == (), "no batch is held for longer than the pass"


def test_a_listener_sees_every_pass_inside_the_context(make_net):
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
