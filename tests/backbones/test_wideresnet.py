import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.backbones import WideResNet


def modules(net, kind):
    return [m for m in net.modules() if isinstance(m, kind)]


@pytest.mark.parametrize("depth", [10, 16, 28])
def test_depth_counts_the_3x3_convolutions_the_shortcuts_and_the_classifier(depth):
    with torch.device("meta"):
        convolutions = modules(WideResNet(depth, 1), nn.Conv2d)
    # three stages of 2n convolutions and one shortcut each (the first only where 16 channels do not suffice), a stem
    by_size = [sum(c.kernel_size == (k, k) for c in convolutions) for k in (3, 1)]
    assert by_size == [depth - 3, 2]  # widen_factor 1: the first stage keeps 16 channels


def test_table_settings_are_the_default():
    net = WideResNet(10, 2)
    assert all(c.bias is not None and not c.bias.any() for c in modules(net, nn.Conv2d))
    assert {(b.momentum, b.eps) for b in modules(net, nn.BatchNorm2d)} == {(0.001, 0.001)}
    assert {a.negative_slope for a in modules(net, nn.LeakyReLU)} == {0.1}


def test_paper_settings_are_options():
    net = WideResNet(10, 2, conv_bias=False, leaky_slope=0.0, bn_momentum=0.1, bn_eps=1e-5)
    assert all(c.bias is None for c in modules(net, nn.Conv2d))
    assert {(b.momentum, b.eps) for b in modules(net, nn.BatchNorm2d)} == {(0.1, 1e-5)}
    assert net(torch.randn(2, 3, 16, 16)).min() == 0  # a plain ReLU at the end


def test_every_parameter_gets_a_gradient():  # published variants leave some BN unused, which stalls DDP
    net = WideResNet(10, 2)
    net(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_depth_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match=r"6n \+ 4 .* got 27"):
        WideResNet(27)


class TablesBlock(nn.Module):
    """A block of the tables' network, from its definition: what the shortcut takes depends on the stage."""

    def __init__(self, inputs, width, stride, stage):
        super().__init__()
        self.bn1, self.bn2 = (nn.BatchNorm2d(c, momentum=0.001, eps=0.001) for c in (inputs, width))
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, width, 1, stride) if inputs != width else None
        self.stage = stage

    def forward(self, x):
        y = F.leaky_relu(self.bn1(x), 0.1)
        out = self.conv2(F.leaky_relu(self.bn2(self.conv1(y)), 0.1))
        if self.shortcut is None:
            return out + x
        return out + (self.shortcut(y) if self.stage == 1 else self.shortcut(x))


class TablesNetwork(nn.Module):
    def __init__(self, blocks, factor):
        super().__init__()
        self.conv1, channels = nn.Conv2d(3, 16, 3, 1, 1), 16
        for stage in (1, 2, 3):
            width, layers = 16 * factor * 2 ** (stage - 1), []
            for i in range(blocks):
                layers.append(TablesBlock(channels, width, 2 if stage > 1 and i == 0 else 1, stage))
                channels = width
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.bn1 = nn.BatchNorm2d(channels, momentum=0.001, eps=0.001)

    def forward(self, x):
        return F.leaky_relu(self.bn1(self.layer3(self.layer2(self.layer1(self.conv1(x))))), 0.1)


def trained_once(net, images):
    """Features, gradients of images and parameters, and buffers by name, after one pass in training mode."""
    images = images.clone().requires_grad_()
    features = net.train()(images)
    (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
    gradients = {f"gradient of {name}": p.grad for name, p in net.named_parameters()}
    return dict(features=features, images=images.grad, **gradients, **dict(net.named_buffers()))


def test_it_is_the_network_of_the_tables_bit_by_bit():
    torch.manual_seed(0)
    reference, images = TablesNetwork(2, 2), torch.randn(4, 3, 16, 16)
    for norm in modules(reference, nn.BatchNorm2d):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    expected = {}
    for name, options in dict(tables={}, paper=dict(raw_shortcut=())).items():
        net = WideResNet(16, 2, **options)
        net.load_state_dict(reference.state_dict())
        expected[name] = trained_once(net, images)
    actual = trained_once(reference, images)
    assert actual.keys() == expected["tables"].keys()
    assert [name for name, value in actual.items() if not torch.equal(value, expected["tables"][name])] == []
    assert not torch.allclose(actual["features"], expected["paper"]["features"], rtol=0.1)  # another network


@pytest.mark.parametrize("raw", [(), (1,), (2, 3), [1, 2, 3]])
def test_the_shortcuts_of_the_named_stages_take_the_raw_input(raw):
    net = WideResNet(10, 2, raw_shortcut=raw)
    assert [net.get_submodule(f"layer{k}")[0].raw_shortcut for k in (1, 2, 3)] == [k in raw for k in (1, 2, 3)]


@pytest.mark.parametrize("raw", [(0,), (4,), 2, None, "23"])
def test_a_stage_that_does_not_exist_is_an_error(raw):
    with pytest.raises(ValueError, match="raw_shortcut must list stages among 1, 2 and 3"):
        WideResNet(10, 1, raw_shortcut=raw)
