"""A frozen network: eval mode, no gradient, nothing in state dicts, whatever happens to its holder."""
import copy
import io

import pytest
import torch
from torch import nn

from openmix.frozen import Frozen, frozen


class Holder(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.fc, self.teacher = nn.Linear(2, 2), frozen(net)


def test_training_saving_and_loading_the_holder_does_not_reach_the_network(make_net):
    holder = Holder(make_net(1))
    before = copy.deepcopy(holder.teacher.net.state_dict())
    holder.train().requires_grad_(True)
    assert not any(m.training for m in holder.teacher.net.modules())
    assert not any(p.requires_grad for p in holder.teacher.net.parameters())
    assert list(holder.state_dict()) == ["fc.weight", "fc.bias"] == [name for name, _ in holder.named_parameters()]
    holder.load_state_dict({"fc.weight": torch.zeros(2, 2), "fc.bias": torch.zeros(2)})  # strict: misses nothing
    images = torch.randn(4, 3, 8, 8)
    assert torch.equal(holder.teacher(images), holder.teacher(images[:1].expand(4, -1, -1, -1) * 0 + images))
    assert all(torch.equal(v, before[k]) for k, v in holder.teacher.net.state_dict().items())


def test_it_is_moved_copied_and_pickled_with_its_holder(make_net):
    holder, images = Holder(make_net(1)), torch.randn(2, 3, 8, 8)
    logits = holder.teacher(images)
    other = copy.deepcopy(holder).double()
    assert torch.allclose(other.teacher(images.double()).float(), logits, atol=1e-5)
    assert next(holder.teacher.net.parameters()).dtype == torch.float32
    buffer = io.BytesIO()
    torch.save(holder, buffer)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer, weights_only=False).teacher(images), logits)


def test_gradients_pass_to_the_images_alone(make_net):
    teacher, images = Frozen(make_net(1)), torch.randn(2, 3, 8, 8, requires_grad=True)
    teacher(images).sum().backward()
    assert images.grad.abs().sum() > 0 and all(p.grad is None for p in teacher.net.parameters())


def test_features_are_the_last_map_or_that_of_the_layer_named(make_net):
    net, images = make_net(1).eval(), torch.randn(2, 3, 8, 8)
    last = net.layer4(net.layer3(net.layer2(net.layer1(net.stem(images)))))
    assert last.shape[-1] == 1  # one position: layer3 is the last map
    expected = net.layer3(net.layer2(net.layer1(net.stem(images))))
    assert torch.equal(Frozen(net).features(images), expected)
    assert torch.equal(Frozen(net, "layer1").features(images), net.layer1(net.stem(images)))
    with pytest.raises(ValueError, match="no layer 'layer9'"):
        Frozen(net, "layer9").features(images)


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match="teacher must be a network.*checkpoint"):
        frozen("resnet18.pth")
