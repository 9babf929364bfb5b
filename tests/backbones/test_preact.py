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


def test_an_unknown_depth_is_an_error():
    with pytest.raises(ValueError, match=r"depth must be one of \(18, 34\), got 20"):
        PreActResNet(20)
