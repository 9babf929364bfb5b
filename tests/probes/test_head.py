import copy

import pytest
import torch
from torch import nn

from openmix import probes

from .nets import Wrapped


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
    actual = probes.both_heads(outer, head, name, images)
    assert len(seen) == passes and not own._forward_hooks
    assert all(torch.equal(a, b) for a, b in zip(actual, expected, strict=True))
    assert not torch.equal(*actual)


def test_a_net_with_another_head_publishes_a_plain_state_dict(make_net, make_batch):
    net, other, (images, _) = Wrapped(make_net()), Wrapped(make_net(1)), make_batch(3)
    head = nn.Linear(16, 10)
    joined = probes.WithHead(net, head, "head.fc").eval()
    assert not net.training
    other.load_state_dict(joined.state_dict())
    assert torch.equal(other.eval()(images), joined(images))
    assert not torch.equal(net(images), joined(images))
