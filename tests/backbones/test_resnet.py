import pytest
import torch
from torch import nn
from torchvision import models as torchvision_models

from openmix.backbones import CifarResNet, ResNet, ResNeXt
from openmix.backbones.resnet import BasicBlock, Bottleneck, PaddedShortcut

REFERENCES = [
    (ResNet, dict(depth=18), "resnet18"),
    (ResNet, dict(depth=50), "resnet50"),
    (ResNeXt, dict(depth=50), "resnext50_32x4d"),
]


def randomize(net):
    """Weights away from their special start: gammas of 0 and 1 would hide a wrong connection."""
    for name, value in net.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(torch.rand_like(value) + 0.5 if name.endswith(("weight", "var")) else torch.randn_like(value))


@pytest.mark.parametrize("cls, options, name", REFERENCES, ids=[r[2] for r in REFERENCES])
def test_with_the_imagenet_stem_the_network_is_torchvisions(cls, options, name):
    torch.manual_seed(0)
    reference = getattr(torchvision_models, name)(num_classes=1).eval()
    randomize(reference)
    reference.fc, reference.avgpool = nn.Identity(), nn.Identity()
    net = cls(**options, stem="imagenet").eval()
    net.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net(images).flatten(1), reference(images))


@pytest.mark.parametrize("cls, name", [(ResNet, "resnet34"), (ResNet, "resnet101"), (ResNeXt, "resnext50_32x4d")])
def test_parameters_carry_torchvisions_names_and_shapes(cls, name):
    depth = int("".join(c for c in name.split("_")[0] if c.isdigit()))
    with torch.device("meta"):
        ours = cls(depth=depth, stem="imagenet").state_dict()
        theirs = getattr(torchvision_models, name)().state_dict()
    theirs = {k: v.shape for k, v in theirs.items() if not k.startswith("fc.")}
    assert {k: v.shape for k, v in ours.items()} == theirs


def test_cifar_and_imagenet_stems_differ_in_the_first_convolution_and_the_pooling_alone():
    torch.manual_seed(0)
    cifar, imagenet = ResNet(18).eval(), ResNet(18, stem="imagenet").eval()
    weights = cifar.state_dict()
    del weights["conv1.weight"]
    assert imagenet.load_state_dict(weights, strict=False).missing_keys == ["conv1.weight"]
    # the same stages on the same map: what the CIFAR stem gives for 8x8 pixels
    images = torch.randn(2, 3, 8, 8)
    x = torch.relu(cifar.bn1(nn.functional.conv2d(images, cifar.conv1.weight, padding=1)))
    for stage in (imagenet.layer1, imagenet.layer2, imagenet.layer3, imagenet.layer4):
        x = stage(x)
    torch.testing.assert_close(cifar(images), x)


@pytest.mark.parametrize("block, width", [(BasicBlock, 16), (Bottleneck, 4)])
def test_blocks_start_as_the_identity_with_a_zero_last_gamma(block, width):
    net = CifarResNet(8) if block is BasicBlock else None
    blocks = [m for m in (net or ResNet(50)).modules() if isinstance(m, block)]
    plain = [b for b in blocks if b.downsample is None]
    assert plain
    x = torch.rand(2, plain[0].conv1.in_channels, 4, 4)  # positive, as after a ReLU
    torch.testing.assert_close(plain[0](x), x)
    for b in blocks:
        last = b.bn2 if block is BasicBlock else b.bn3
        assert not last.weight.any() and b.bn1.weight.eq(1).all()


def test_without_zero_init_every_gamma_is_one():
    gammas = [m.weight for m in CifarResNet(8, zero_init_residual=False).modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(g.eq(1).all() for g in gammas)


@pytest.mark.parametrize("cls, groups", [(ResNet, 1), (ResNeXt, 32)])
def test_convolutions_start_kaiming_normal_by_fan_out(cls, groups):
    torch.manual_seed(0)
    net = cls(depth=50)
    for conv in (net.layer3[1].conv2, net.layer2[0].conv3):
        out, _, h, w = conv.weight.shape
        expected = (2 / (out * h * w)) ** 0.5
        assert conv.weight.std().item() == pytest.approx(expected, rel=0.03)
        assert conv.weight.mean().abs().item() < 0.03 * expected
    assert net.layer3[1].conv2.groups == groups


def test_resnet20_has_twenty_weighted_layers_with_its_classifier():
    convolutions = [m for m in CifarResNet(20).modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(convolutions) + 1 == 20


@pytest.mark.parametrize("height, width", [(8, 8), (7, 9)])
def test_a_shortcut_of_option_a_is_every_second_pixel_between_zero_channels(height, width):
    x = torch.randn(2, 4, height, width)
    out = PaddedShortcut(4, 8, 2)(x)
    assert out.shape == (2, 8, (height + 1) // 2, (width + 1) // 2)
    for i, j in ((0, 0), (1, 2), (3, 3)):
        assert torch.equal(out[:, 2:6, i, j], x[:, :, 2 * i, 2 * j])
    assert not out[:, :2].any() and not out[:, 6:].any()


def test_with_option_a_a_block_is_the_formula_of_the_paper_and_has_no_parameters_in_its_shortcut():
    torch.manual_seed(0)
    net = CifarResNet(8, shortcut="A", zero_init_residual=False).eval()
    block, x = net.layer2[0], torch.rand(2, 16, 8, 8)
    shrink = 1 / (1 + block.bn1.eps) ** 0.5  # all that a fresh BN does in evaluation
    out = torch.relu(nn.functional.conv2d(x, block.conv1.weight, stride=2, padding=1) * shrink)
    out = nn.functional.conv2d(out, block.conv2.weight, padding=1) * shrink
    zeros = torch.zeros(2, 8, 4, 4)
    torch.testing.assert_close(block(x), torch.relu(out + torch.cat([zeros, x[:, :, ::2, ::2], zeros], 1)))
    assert not any("downsample" in name for name in net.state_dict())


def test_with_option_a_every_parameter_gets_a_gradient():
    net = CifarResNet(8, shortcut="A", zero_init_residual=False)
    net(torch.randn(4, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_other_image_channels_are_taken():
    assert CifarResNet(8, in_channels=1)(torch.rand(2, 1, 16, 16)).shape == (2, 64, 4, 4)


@pytest.mark.parametrize("make, message", [
    (lambda: ResNet(19), r"depth must be one of \(18, 34, 50, 101\), got 19"),
    (lambda: ResNet(stem="cifar10"), "stem must be one of .* got 'cifar10'"),
    (lambda: CifarResNet(21), r"6n \+ 2 .* got 21"),
    (lambda: ResNeXt(18), "use depth 50 or 101"),
    (lambda: CifarResNet(shortcut="C"), r"shortcut must be one of \('A', 'B'\), got 'C'"),
])
def test_wrong_settings_say_what_is_possible(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_half_stem_is_the_small_one_with_stride_2():
    images, nets = torch.randn(2, 3, 32, 32), [CifarResNet(depth=8, stem=stem).eval() for stem in ("cifar", "half")]
    nets[1].load_state_dict(nets[0].state_dict())
    with torch.no_grad():
        assert nets[1](images).shape == (2, 64, 4, 4) and nets[0](images).shape == (2, 64, 8, 8)
        torch.testing.assert_close(nets[1].conv1(images), nets[0].conv1(images)[:, :, ::2, ::2])
    with pytest.raises(ValueError, match="cifar.*half.*imagenet"):
        CifarResNet(stem="quarter")
