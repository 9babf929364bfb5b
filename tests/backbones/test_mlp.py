import pytest
import torch

from openmix.backbones import MLP
from openmix.models import build_net


def test_it_is_the_written_out_network():
    torch.manual_seed(0)
    net, inputs = MLP(5, (4, 3)), torch.randn(6, 5)
    w = dict(net.named_parameters())
    x = torch.relu(inputs @ w["layer1.0.weight"].T + w["layer1.0.bias"])
    x = torch.relu(x @ w["layer2.0.weight"].T + w["layer2.0.bias"])
    torch.testing.assert_close(net(inputs), x)
    assert len(w) == 4 and net.out_channels == 3


def test_inputs_of_more_dimensions_are_flattened():
    net, images = MLP(12), torch.randn(2, 3, 2, 2)
    assert torch.equal(net(images), net(images.reshape(2, 12)))


def test_without_hidden_layers_the_network_is_linear():
    net, (a, b) = build_net(dict(type="MLP", in_features=4, widths=[]), num_classes=3), torch.randn(2, 5, 4)
    torch.testing.assert_close(net(0.3 * a + 0.7 * b), 0.3 * net(a) + 0.7 * net(b))


def test_weights_start_as_pytorch_makes_them():
    torch.manual_seed(0)
    net = MLP(7, (5,))
    torch.manual_seed(0)
    assert torch.equal(net.layer1[0].weight, torch.nn.Linear(7, 5).weight)


def test_every_parameter_gets_a_gradient():
    net = build_net(dict(type="MLP", in_features=6), num_classes=3)
    net(torch.randn(32, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("make, message", [
    (lambda: MLP(0), "positive integer in_features .* got in_features=0"),
    (lambda: MLP(2.5), "got in_features=2.5"),
    (lambda: MLP(4, 128), "widths=128"),
    (lambda: MLP(4, (8, 0)), r"widths=\(8, 0\)"),
    (lambda: MLP(4)(torch.zeros(2, 5)), r"takes inputs \(N, 4\).*got \(2, 5\); set in_features"),
    (lambda: MLP(4)(torch.zeros(4)), r"got \(4,\)"),
    (lambda: build_net(dict(type="MLP"), num_classes=3), "MLP needs the key 'in_features'"),
])
def test_wrong_settings_and_inputs_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
