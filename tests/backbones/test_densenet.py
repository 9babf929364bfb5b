import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.backbones import DenseNet
from openmix.backbones.densenet import DenseBlock, DenseLayer
from openmix.models import build_net


def small(**options):
    torch.manual_seed(0)
    return DenseNet(16, 4, **options)


def written_out(net, x):
    """Features in training mode, from the definition: one growing map a block."""
    w = net.state_dict()

    def convolve(x, norm, conv, padding):
        x = F.relu(F.batch_norm(x, None, None, w[f"{norm}.weight"], w[f"{norm}.bias"], training=True))
        return F.conv2d(x, w[f"{conv}.weight"], padding=padding)

    x = F.conv2d(x, w["conv1.weight"], padding=1)
    for block in (1, 2, 3):
        for i in range(2):
            at = f"layer{block}.{i}"
            narrow = convolve(x, f"{at}.bn1", f"{at}.conv1", 0)
            x = torch.cat([x, convolve(narrow, f"{at}.bn2", f"{at}.conv2", 1)], 1)
        if block < 3:
            x = F.avg_pool2d(convolve(x, f"transition{block}.0", f"transition{block}.2", 0), 2)
    return F.relu(F.batch_norm(x, None, None, w["final.0.weight"], w["final.0.bias"], training=True))


@pytest.mark.parametrize("recompute", [False, True])
def test_it_is_the_written_out_network(recompute):
    net, images = small(recompute=recompute), torch.randn(3, 3, 8, 8)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    torch.testing.assert_close(net(images), written_out(net, images))


def test_a_block_keeps_its_input_as_the_first_channels_bit_for_bit():
    block, x = DenseBlock(DenseLayer(6, 4), DenseLayer(10, 4)), torch.randn(2, 6, 5, 5)
    out = block(x)
    assert out.shape == (2, 14, 5, 5) and torch.equal(out[:, :6], x)
    assert torch.equal(out[:, 6:10], block.eval()[0].train()([x]))


def test_transitions_keep_the_share_of_channels_that_compression_says():
    net = small(compression=0.3)
    assert [net.get_submodule(f"transition{i}.2").out_channels for i in (1, 2)] == [4, 3]  # of 16 and of 12
    assert small(compression=1).transition1[2].out_channels == 16


def test_convolutions_start_kaiming_normal_by_fan_out():
    weight = DenseNet(40, 24).layer1[3].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (9 * 24)) ** 0.5, rel=0.03)


def everything(net, images, passes=1):
    """Features, gradients and buffers after a pass forward and ``passes`` back."""
    images = images.clone().requires_grad_()
    features = net(images)
    for _ in range(passes):
        features.square().sum().backward(retain_graph=True)
    return [features, images.grad, *(p.grad for p in net.parameters()), *net.buffers()]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("passes", [1, 2])
def test_recomputation_changes_no_output_gradient_or_buffer(training, passes):
    plain, images = small().train(training), torch.randn(4, 3, 8, 8)
    again = small(recompute=True).train(training)
    pairs = zip(everything(plain, images, passes), everything(again, images, passes), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    if training:
        assert {int(v) for k, v in again.named_buffers() if k.endswith("num_batches_tracked")} == {1}


def test_recomputation_is_in_the_mode_of_the_forward_pass():
    plain, again, images = small().eval(), small(recompute=True).eval(), torch.randn(4, 3, 8, 8)
    for net in (plain, again):
        loss = net(images).square().sum()
        net.train()
        loss.backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(plain.parameters(), again.parameters(), strict=True))
    assert all(module.training for module in again.modules())


def test_recomputation_is_with_the_parameters_of_the_forward_pass():
    torch.manual_seed(1)
    given, images, gradients = dict(DenseNet(16, 4).named_parameters()), torch.randn(4, 3, 8, 8), []
    for net in (small(), small(recompute=True)):
        own = {name: value.detach().clone().requires_grad_() for name, value in given.items()}
        torch.func.functional_call(net, own, (images,)).square().sum().backward()
        gradients.append({name: value.grad for name, value in own.items() if value.grad is not None})
        assert all(p.grad is None for p in net.parameters())
    assert gradients[0] and all(torch.equal(gradients[0][name], value) for name, value in gradients[1].items())
    assert gradients[0].keys() == gradients[1].keys()


def test_recomputation_keeps_less_for_the_backward_pass():
    def kept(net):
        seen = {}
        with torch.autograd.graph.saved_tensors_hooks(
                lambda t: seen.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t):
            net(torch.randn(4, 3, 16, 16))
        return sum(t.untyped_storage().nbytes() for t in seen.values())

    assert kept(DenseNet(22, 12, recompute=True)) < 0.4 * kept(DenseNet(22, 12))


def test_without_gradients_nothing_is_recomputed_and_copies_are_independent():
    net = small(recompute=True)
    with torch.no_grad():
        assert net(torch.randn(2, 3, 8, 8)).grad_fn is None
    other = copy.deepcopy(net)
    other(torch.randn(2, 3, 8, 8)).sum().backward()
    assert all(p.grad is None for p in net.parameters())


def test_it_learns_64_images_by_heart_in_30_steps():
    torch.manual_seed(0)
    images, labels = torch.randn(64, 3, 8, 8), torch.arange(64) % 10
    net = build_net(dict(type="DenseNet", depth=22, growth_rate=12), num_classes=10)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
    assert (net(images).argmax(1) == labels).all()


def test_every_parameter_gets_a_gradient():
    net = small()
    net(torch.randn(4, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("make, message", [
    (lambda: DenseNet(121), r"depth must be 6n \+ 4 .* got 121"),
    (lambda: DenseNet(22, 0), "growth_rate must be a positive integer, got 0"),
    (lambda: DenseNet(22, 12, compression=0), r"compression must lie in \(0, 1\], got 0"),
    (lambda: small()(torch.zeros(2, 3, 3, 9)), r"at least 4x4 pixels, got \(2, 3, 3, 9\)"),
    (lambda: small()(torch.zeros(2, 3)), r"\(N, C, H, W\) .* got \(2, 3\)"),
])
def test_wrong_settings_and_inputs_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
