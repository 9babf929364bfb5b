"""What methods that mix by saliency share."""
import copy

import pytest
import torch
import torch.nn.functional as F

from openmix import probes
from openmix.mixups import PuzzleMix
from openmix.mixups.guided import SALIENCY
from openmix.mixups.saliencymix import saliency_map


def draws_of(method, n, seed=0):
    return method.draw(n, (32, 32), torch.Generator().manual_seed(seed))


def test_with_a_clean_weight_one_pass_gives_the_saliency_and_the_clean_gradient(make_net, make_batch, criterion):
    net, (images, labels), method = make_net(), make_batch(6), PuzzleMix(blocks=4, clean_weight=0.7)
    twin, draws, seen = copy.deepcopy(net), draws_of(method, 6), []
    net.register_forward_hook(lambda *args: seen.append(args))
    method.loss(net, images, labels, criterion, draws)["loss"].backward()
    assert len(seen) == 2, "the clean batch and the mixed one"

    x = images.clone().requires_grad_()
    clean = criterion(twin(x), labels)  # in training mode
    (gradient,) = torch.autograd.grad(clean, x, retain_graph=True)
    mixed, target = method(images, labels, draws, gradient.square().mean(1).sqrt())
    (criterion(twin(mixed), target) + 0.7 * clean).backward()
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-6)
    for a, b in zip(net.buffers(), twin.buffers(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_with_a_clean_weight_details_show_what_the_loss_mixes_and_change_nothing(make_net, make_batch, criterion):
    net, (images, labels), method = make_net(), make_batch(6), PuzzleMix(blocks=8, clean_weight=1.0, transport=False)
    draws, seen = draws_of(method, 6), []
    before = [buffer.clone() for buffer in net.buffers()]
    mask = method.details(images, draws, net, labels)["mask"]
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), before, strict=True))
    net.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    method.loss(net, images, labels, criterion, draws)
    assert torch.allclose(seen[-1], mask * images + (1 - mask) * images.roll(1, 0), atol=1e-5)
    eval_mask = PuzzleMix(blocks=8, transport=False).details(images, draws, net, labels)["mask"]
    assert not torch.equal(mask, eval_mask), "without the weight the saliency is that of eval mode"


def test_accumulated_gradients_stay_when_the_clean_batch_is_trained_on(make_net, make_batch, criterion):
    net, (images, labels), method = make_net(), make_batch(4), PuzzleMix(blocks=2, clean_weight=1.0)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    method.loss(net, images, labels, criterion, draws_of(method, 4))
    assert all((p.grad == 1).all() for p in net.parameters())


def test_the_criterion_sees_the_mixed_batch_last(make_net, make_batch, criterion):
    net, (images, labels), calls = make_net(), make_batch(4), []

    def watched(logits, target):
        calls.append(target)
        return criterion(logits, target)

    PuzzleMix(blocks=2, clean_weight=1.0).loss(net, images, labels, watched)
    assert [target.label.shape[1] for target in calls] == [1, 2]


def test_scaling_a_clean_loss_does_not_scale_the_saliency(make_net, make_batch):
    net, (images, labels) = make_net(), make_batch(4)
    saliency = PuzzleMix(clean_weight=3.0).saliency(net, images, labels)
    expected = probes.input_gradient(probes.on_copies(net), images, labels,
                                     lambda logits, y: F.cross_entropy(logits, y, reduction="sum"))
    assert torch.allclose(saliency, expected, atol=1e-7)


@pytest.mark.parametrize("name", SALIENCY[1:])
def test_a_filter_needs_no_network(name, make_net, make_batch, criterion):
    method, (images, labels), net = PuzzleMix(saliency=name, blocks=4), make_batch(6), make_net()
    draws = draws_of(method, 6)
    mixed, target = method(images, labels, draws)
    by_hand = method(images, labels, draws, saliency_map(images, name))
    assert method.needs == "batch" and torch.equal(mixed, by_hand[0]) and torch.equal(target.weight, by_hand[1].weight)
    assert torch.equal(method.details(images, draws)["lam"], target.weight[:, 0])
    seen = []
    net.register_forward_hook(lambda *args: seen.append(args))
    method.loss(net, images, labels, criterion, draws)
    assert len(seen) == 1


def test_an_unknown_saliency_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match="saliency must be one of 'gradient', 'fine_grained'.*got 'opencv'"):
        PuzzleMix(saliency="opencv")
