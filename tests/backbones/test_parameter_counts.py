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
    (dict(type="WideResNet", depth=28, widen_factor=8, raw_shortcut=()), 100, 23_409_092),
    (dict(type="WideResNet", depth=28, widen_factor=10), 100, 36_546_980),
    (dict(type="WideResNet", depth=28, widen_factor=10, conv_bias=False), 10, 36_479_194),
    (dict(type="WideResNet", depth=28, widen_factor=10, conv_bias=False), 100, 36_536_884),
    (dict(type="WideResNet", depth=16, widen_factor=8), 100, 11_012_036),
    (dict(type="WideResNet", depth=16, widen_factor=8, conv_bias=False), 100, 11_007_540),
    (dict(type="PreActResNet", depth=18), 10, 11_171_146),
    (dict(type="PreActResNet", depth=18), 100, 11_217_316),
    (dict(type="PreActResNet", depth=18, stem_norm=True), 10, 11_171_274),
    (dict(type="LeNet"), 10, 62_006),
    (dict(type="CifarResNet", depth=20), 10, 272_474),
    (dict(type="CifarResNet", depth=20, shortcut="A"), 10, 269_722),
    (dict(type="DenseNet"), 10, 25_624_430),
    (dict(type="DenseNet"), 100, 25_821_620),
    (dict(type="DenseNet", depth=100, growth_rate=12), 10, 769_162),
    (dict(type="DenseNet", depth=100, growth_rate=12), 100, 800_032),
    (dict(type="SpeechLeNet"), 30, 16_321_570),
    (dict(type="SpeechVGG11"), 30, 13_172_894),
    (dict(type="MLP", in_features=10), 28, 21_532),  # abalone
    (dict(type="MLP", in_features=10_000), 2, 1_296_898),  # arcene
    (dict(type="MLP", in_features=279), 13, 54_029),  # arrhythmia
    (dict(type="MLP", in_features=8), 2, 17_922),  # htru2
    (dict(type="MLP", in_features=4), 3, 17_539),  # iris
    (dict(type="MLP", in_features=9), 3, 18_179),  # phishing, 1,353 rows
    (dict(type="MLP", in_features=30), 2, 20_738),  # phishing, 11,055 rows
    (dict(type="MLP", in_features=2, widths=(512, 512, 512)), 2, 527_874),  # generator of the toy GAN
    (dict(type="MLP", in_features=2, widths=(512, 512, 512)), 1, 527_361),  # its discriminator
]

RGB = (3, 32, 32)
FEATURES = [  # of an input of this shape
    (dict(type="ResNet", depth=18), (512, 4, 4)),
    (dict(type="ResNet", depth=50), (2048, 4, 4)),
    (dict(type="ResNet", depth=18, stem="imagenet"), (512, 1, 1)),
    (dict(type="ResNeXt"), (2048, 4, 4)),
    (dict(type="WideResNet"), (512, 8, 8)),
    (dict(type="WideResNet", widen_factor=10), (640, 8, 8)),
    (dict(type="PreActResNet"), (512, 4, 4)),
    (dict(type="CifarResNet"), (64, 8, 8)),
    (dict(type="LeNet"), (84,)),
    (dict(type="PreActResNet", stem_norm=True, in_channels=1), (512, 4, 4), (1, 32, 32)),
    (dict(type="CifarResNet", shortcut="A"), (64, 8, 8)),
    (dict(type="CifarResNet", shortcut="A"), (64, 9, 8), (3, 33, 31)),
    (dict(type="DenseNet"), (2190, 8, 8)),
    (dict(type="DenseNet", depth=22, growth_rate=12, in_channels=1), (69, 7, 8), (1, 30, 33)),
    (dict(type="SpeechLeNet"), (1000,), (1, 161, 101)),
    (dict(type="SpeechLeNet"), (1000,), (1, 160, 101)),
    (dict(type="SpeechVGG11"), (512,), (1, 161, 101)),
    (dict(type="SpeechVGG11"), (512,), (1, 160, 101)),
    (dict(type="SpeechVGG11", in_channels=2, image_size=40), (512,), (2, 40, 40)),
    (dict(type="MLP", in_features=10), (128,), (10,)),
    (dict(type="MLP", in_features=3072, widths=(7,)), (7,)),
    (dict(type="MLP", in_features=5, widths=()), (5,), (5,)),
]


def named(cfg, *rest):
    return "-".join(map(str, [*cfg.values(), *rest]))


@pytest.mark.parametrize("backbone, classes, count", COUNTS, ids=[named(*c) for c in COUNTS])
def test_the_network_has_exactly_the_published_number_of_parameters(backbone, classes, count):
    with torch.device("meta"):
        net = build_net(backbone, num_classes=classes)
    assert sum(p.numel() for p in net.parameters()) == count


@pytest.mark.parametrize("backbone, shape, inputs", [(*c, RGB)[:3] for c in FEATURES],
                         ids=[named(*c) for c in FEATURES])
def test_features_and_logits_have_the_documented_shapes(backbone, shape, inputs):
    with torch.device("meta"):
        net, images = build_net(backbone, num_classes=7), torch.zeros(3, *inputs)
        assert net.backbone(images).shape == (3, *shape)
        assert net(images).shape == (3, 7)
    assert net.backbone.out_channels == shape[0]
