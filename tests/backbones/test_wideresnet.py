import pytest
import torch
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
