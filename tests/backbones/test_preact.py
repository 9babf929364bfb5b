import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.backbones import PreActResNet, WideResNet
from openmix.backbones.preact import PreActBlock


def test_a_block_is_the_formula_of_the_paper():
    torch.manual_seed(0)
    block = PreActBlock(4, 6, stride=2).eval()
    x = torch.randn(2, 4, 8, 8)
    y = F.relu(F.batch_norm(x, torch.zeros(4), torch.ones(4), torch.ones(4), torch.zeros(4)))
    residual = F.conv2d(y, block.conv1.weight, stride=2, padding=1)
    residual = F.relu(F.batch_norm(residual, torch.zeros(6), torch.ones(6)))
    expected = F.conv2d(residual, block.conv2.weight, padding=1) + F.conv2d(y, block.shortcut.weight, stride=2)
    before = x.clone()
    torch.testing.assert_close(block(x), expected)
    assert x.equal(before)


def test_a_block_of_equal_shape_adds_its_raw_input():
    block = PreActBlock(4, 4)
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(block(x), x)


def test_dropout_sits_between_the_convolutions_and_spares_the_shortcut():
    block = PreActBlock(4, 4, dropout=1.0).train()
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(block(x), x)  # all of the residual is dropped
    assert not torch.allclose(block.eval()(x), x)


@pytest.mark.parametrize("net", [PreActResNet(dropout=0.3), WideResNet(10, 1, dropout=0.3)])
def test_the_dropout_rate_reaches_every_block(net):
    blocks = [m for m in net.modules() if isinstance(m, PreActBlock)]
    assert {b.dropout.p for b in blocks} == {0.3}


def test_the_final_norm_adds_its_parameters_and_a_relu():
    with torch.device("meta"):
        counts = [sum(p.numel() for p in PreActResNet(final_norm=f).parameters()) for f in (False, True)]
    assert counts[1] - counts[0] == 2 * 512
    net = PreActResNet(final_norm=True).eval()
    assert net(torch.randn(2, 3, 8, 8)).min() == 0


def test_a_raw_shortcut_takes_the_input_before_norm_and_activation():
    torch.manual_seed(0)
    block, x = PreActBlock(4, 6, stride=2, raw_shortcut=True).eval(), torch.randn(2, 4, 8, 8)
    nn.init.zeros_(block.conv2.weight)
    torch.testing.assert_close(block(x), F.conv2d(x, block.shortcut.weight, stride=2))


@pytest.mark.parametrize("stem_norm", [False, True])
def test_the_first_stage_takes_the_output_of_the_stem(stem_norm):
    torch.manual_seed(0)
    net, images, seen = PreActResNet(stem_norm=stem_norm).eval(), torch.randn(2, 3, 8, 8), []
    net.layer1.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    net(images)
    expected = F.conv2d(images, net.conv1.weight, padding=1)
    if stem_norm:
        nn.init.constant_(net.stem[0].bias, 0.3)
        net(images)
        expected = F.relu(expected / (1 + net.stem[0].eps) ** 0.5 + 0.3)
    torch.testing.assert_close(seen[-1], expected)


def test_without_a_stem_norm_mixing_behind_the_stem_is_mixing_the_images():
    torch.manual_seed(0)
    images = torch.randn(4, 3, 8, 8)
    mixed = 0.3 * images + 0.7 * images.flip(0)
    for stem_norm, same in ((False, True), (True, False)):
        net = PreActResNet(stem_norm=stem_norm).eval()
        hidden = [net.stem(net.conv1(x)) for x in (images, images.flip(0), mixed)]
        assert torch.allclose(0.3 * hidden[0] + 0.7 * hidden[1], hidden[2], atol=1e-5) == same


def test_weights_start_kaiming_normal_or_as_pytorch_makes_them():
    torch.manual_seed(0)
    weight = PreActResNet().layer3[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.03) and weight.max() > 3 * weight.std()
    weight = PreActResNet(init="torch").layer3[1].conv2.weight
    bound = (256 * 9) ** -0.5  # uniform, variance a third of 1 / fan_in
    assert weight.abs().max().item() == pytest.approx(bound, rel=0.001)
    assert weight.std().item() == pytest.approx(bound / 3 ** 0.5, rel=0.01)


def test_every_parameter_gets_a_gradient():
    net = PreActResNet(stem_norm=True, final_norm=True, init="torch")
    net(torch.randn(4, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("options, message", [
    (dict(depth=20), r"depth must be one of \(18, 34\), got 20"),
    (dict(init="default"), r"init must be one of \('kaiming', 'torch'\), got 'default'"),
])
def test_unknown_options_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        PreActResNet(**options)
