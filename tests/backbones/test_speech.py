import pytest
import torch
import torch.nn.functional as F

from openmix.backbones import SpeechLeNet, SpeechVGG11


def test_the_lenet_is_the_written_out_network():
    torch.manual_seed(0)
    net, inputs = SpeechLeNet(image_size=(20, 24)).eval(), torch.randn(2, 1, 20, 24)
    w = dict(net.named_parameters())
    x = F.relu(F.max_pool2d(F.conv2d(inputs, w["layer1.0.weight"], w["layer1.0.bias"]), 2))
    x = F.relu(F.max_pool2d(F.conv2d(x, w["layer2.0.weight"], w["layer2.0.bias"]), 2))
    x = F.relu(F.linear(x.reshape(2, -1), w["fc1.0.weight"], w["fc1.0.bias"]))
    torch.testing.assert_close(net(inputs), x)
    assert len(w) == 6


def test_the_lenet_drops_whole_channels_and_then_units():
    net, inputs = SpeechLeNet(image_size=32, dropout=1.0).train(), torch.randn(2, 1, 32, 32)
    assert not net.layer2(net.layer1(inputs)).any() and not net(inputs).any()
    net = SpeechLeNet(image_size=32).train()
    maps = net.layer2[1](torch.ones(50, 20, 3, 3))
    assert torch.equal(maps.amax((2, 3)), maps.amin((2, 3)))  # a channel is kept or dropped as a whole
    assert (maps == 0).float().mean().item() == pytest.approx(0.5, abs=0.07)
    assert net.fc1[2].p == 0.5


def test_vgg11_is_the_written_out_network():
    torch.manual_seed(0)
    net, x = SpeechVGG11(image_size=(64, 33)).eval(), torch.randn(2, 1, 64, 33)
    w, inputs = net.state_dict(), x
    for stage, convolutions in enumerate((1, 1, 2, 2, 2), 1):
        for i in range(0, 3 * convolutions, 3):
            key = f"layer{stage}.{i}"
            x = F.conv2d(x, w[f"{key}.weight"], w[f"{key}.bias"], padding=1)
            x = F.relu(x / (1 + 1e-5) ** 0.5)  # all that a fresh BN does in evaluation
        x = F.max_pool2d(x, 2)
    assert x.shape == (2, 512, 2, 1)
    torch.testing.assert_close(net(inputs), F.linear(x.flatten(1), w["fc1.weight"], w["fc1.bias"]))


@pytest.mark.parametrize("cls, size", [(SpeechLeNet, (16, 21)), (SpeechVGG11, (32, 64))])
def test_every_parameter_gets_a_gradient(cls, size):
    net = cls(image_size=size)
    net(torch.randn(8, 1, *size)).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    assert all(p.grad.abs().sum() > 0 for p in net.parameters() if p.ndim > 1)  # a BN takes those of biases away


@pytest.mark.parametrize("make, message", [
    (lambda: SpeechLeNet(image_size=(15, 40)), r"SpeechLeNet needs image_size=.* at least 16x16, got \(15, 40\)"),
    (lambda: SpeechVGG11(image_size=31), "SpeechVGG11 needs image_size=.* at least 32x32, got 31"),
    (lambda: SpeechVGG11(image_size=(64, 64, 1)), r"got \(64, 64, 1\)"),
])
def test_sizes_that_are_too_small_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(2, 1, 24, 20), (2, 3, 20, 24), (2, 20, 24), (2, 480), (2, 1, 3, 3)])
def test_inputs_of_another_shape_say_which_were_expected(shape):
    net = SpeechLeNet(image_size=(20, 24))
    with pytest.raises(ValueError, match=r"\(N, 1, height, width\) with image_size=\(20, 24\), got .*transpose"):
        net(torch.zeros(shape))
