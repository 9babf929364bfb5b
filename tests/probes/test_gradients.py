import copy

import torch
from torch import nn

from openmix import probes


def test_input_gradient_is_the_closed_form_of_a_linear_net():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 2 * 5, 4))
    images = torch.randn(6, 3, 2, 5)
    saliency = probes.input_gradient(net, images, torch.zeros(6), lambda logits, labels: logits[:, 1].sum())
    expected = net[1].weight[1].reshape(3, 2, 5).square().mean(0).sqrt()
    assert torch.allclose(saliency, expected.expand(6, 2, 5), atol=1e-6)
    assert net[1].weight.grad is None and not images.requires_grad


def test_a_clean_pass_gives_the_logits_and_the_saliency_of_one_pass_in_the_own_mode(make_net, make_batch, criterion):
    net, (images, labels) = make_net(), make_batch(4)
    twin, seen = copy.deepcopy(net), []
    net.register_forward_hook(lambda *args: seen.append(args))
    logits, saliency = probes.clean_pass(net, images, labels, criterion)
    x = images.clone().requires_grad_()
    expected = twin(x)
    (gradient,) = torch.autograd.grad(criterion(expected, labels), x, retain_graph=True)
    assert len(seen) == 1 and torch.equal(logits, expected)
    assert torch.allclose(saliency, gradient.square().mean(1).sqrt(), atol=1e-7) and not saliency.requires_grad
    assert all(p.grad is None for p in net.parameters()) and not images.requires_grad
    for a, b in zip(net.buffers(), twin.buffers(), strict=True):
        assert torch.equal(a, b), "statistics move once"
    (logits.square().sum() + net(images).sum()).backward()
    (expected.square().sum() + twin(images).sum()).backward()
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-5)
