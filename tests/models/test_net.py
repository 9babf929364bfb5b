import numpy as np
import pytest
import torch
from torch import nn

from openmix.backbones import CifarResNet
from openmix.heads import LinearHead
from openmix.models import build_net
from openmix.models.net import Net


def test_logits_are_the_head_of_the_backbone():
    torch.manual_seed(0)
    net, images = build_net(dict(type="CifarResNet", depth=8), num_classes=4).eval(), torch.randn(2, 3, 16, 16)
    pooled = net.backbone(images).mean((2, 3))
    torch.testing.assert_close(net(images), pooled @ net.head.fc.weight.T + net.head.fc.bias)


def test_the_number_of_classes_may_stand_in_the_head():
    net = build_net(dict(type="CifarResNet", depth=8), dict(type="LinearHead", num_classes=6))
    assert net.head.fc.weight.shape == (6, 64)


def test_two_numbers_of_classes_that_differ_are_refused_and_equal_ones_are_one():
    head = dict(type="LinearHead", num_classes=6)
    with pytest.raises(ValueError, match="head.num_classes is 6, but the model's num_classes is 4"):
        build_net(dict(type="CifarResNet", depth=8), head, num_classes=4)
    for given in (6, np.int64(6)):
        assert build_net(dict(type="CifarResNet", depth=8), head, given).head.fc.out_features == 6
    assert head == dict(type="LinearHead", num_classes=6), "the config stays"


def test_modules_built_already_are_used_as_they_are():
    backbone, head = CifarResNet(8), LinearHead(64, 3)
    net = build_net(backbone, head)
    assert isinstance(net, Net) and net.backbone is backbone and net.head is head


@pytest.mark.parametrize("args, message", [
    ((dict(type="CifarResNet"),), "num_classes is missing"),
    ((dict(type="CifarResNeXt"), None, 10), "unknown type 'CifarResNeXt'; did you mean 'CifarResNet'"),
    ((dict(type="CifarResNet", dept=20), None, 10), "no key 'dept'; did you mean 'depth'"),
    ((dict(type="CifarResNet"), dict(type="LinearHead", inti_std=1), 10), "no key 'inti_std'; did you mean 'init_std'"),
    ((nn.Identity(), None, 10), "no attribute out_channels"),
])
def test_what_is_missing_or_misspelt_is_named(args, message):
    with pytest.raises(ValueError, match=message):
        build_net(*args)
