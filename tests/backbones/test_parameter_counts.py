"""Numbers of parameters of the benchmark's networks (no memory is used: everything lives on the meta device)."""
import pytest
import torch

from openmix.models import build_net

COUNTS = [
    (dict(type="ResNet", depth=18), 10, 11_173_962),
    (dict(type="ResNet", depth=18), 100, 11_220_132),
    (dict(type="ResNet", depth=18), 200, 11_271_432),
    (dict(type="ResNet", depth=34), 100, 21_328_292),
    (dict(type="ResNet", depth=50), 100, 23_705_252),
    (dict(type="ResNet", depth=101), 100, 42_697_380),
    (dict(type="ResNeXt", depth=50), 10, 22_992_714),
    (dict(type="ResNeXt", depth=50), 100, 23_177_124),
    (dict(type="ResNeXt", depth=50), 200, 23_382_024),
    (dict(type="WideResNet", depth=28, widen_factor=8), 100, 23_409_092),
    (dict(type="WideResNet", depth=28, widen_factor=8, conv_bias=False), 100, 23_401_012),
    (dict(type="WideResNet", depth=28, widen_factor=10), 100, 36_546_980),
    (dict(type="WideResNet", depth=28, widen_factor=10, conv_bias=False), 100, 36_536_884),
    (dict(type="WideResNet", depth=16, widen_factor=8), 100, 11_012_036),
    (dict(type="WideResNet", depth=16, widen_factor=8, conv_bias=False), 100, 11_007_540),
    (dict(type="PreActResNet", depth=18), 10, 11_171_146),
    (dict(type="PreActResNet", depth=18), 100, 11_217_316),
    (dict(type="LeNet"), 10, 62_006),
    (dict(type="CifarResNet", depth=20), 10, 272_474),
]

FEATURES = [  # of a 32x32 image
    (dict(type="ResNet", depth=18), (512, 4, 4)),
    (dict(type="ResNet", depth=50), (2048, 4, 4)),
    (dict(type="ResNet", depth=18, stem="imagenet"), (512, 1, 1)),
    (dict(type="ResNeXt"), (2048, 4, 4)),
    (dict(type="WideResNet"), (512, 8, 8)),
    (dict(type="WideResNet", widen_factor=10), (640, 8, 8)),
    (dict(type="PreActResNet"), (512, 4, 4)),
    (dict(type="CifarResNet"), (64, 8, 8)),
    (dict(type="LeNet"), (84,)),
]


def named(cfg, *rest):
    return "-".join(map(str, [*cfg.values(), *rest]))


@pytest.mark.parametrize("backbone, classes, count", COUNTS, ids=[named(*c) for c in COUNTS])
def test_the_network_has_exactly_the_published_number_of_parameters(backbone, classes, count):
    with torch.device("meta"):
        net = build_net(backbone, num_classes=classes)
    assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.parametrize("backbone, shape", FEATURES, ids=[named(*c) for c in FEATURES])
def test_features_and_logits_have_the_documented_shapes(backbone, shape):
    with torch.device("meta"):
        net, images = build_net(backbone, num_classes=7), torch.zeros(3, 3, 32, 32)
        assert net.backbone(images).shape == (3, *shape)
        assert net(images).shape == (3, 7)
    assert net.backbone.out_channels == shape[0]
