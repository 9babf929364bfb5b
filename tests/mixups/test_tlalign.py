"""TL-Align: labels of tokens follow the attention, layer by layer."""
import pytest
import torch

from openmix import attention
from openmix.mixups import TLAlign
from openmix.mixups.tlalign import align
from tests.mixups.contract import generator, trace


def test_tokens_that_attend_to_themselves_keep_their_labels():
    share = torch.rand(3, 17)
    assert torch.allclose(align(share, [torch.eye(17).expand(3, -1, -1)] * 4), share)


def test_even_attention_moves_half_way_to_the_mean_in_each_layer():
    share, even = torch.rand(3, 17), torch.full((3, 17, 17), 1 / 17)
    mean = share.mean(1, keepdim=True)
    assert torch.allclose(align(share, [even]), (share + mean) / 2, atol=1e-6)
    assert torch.allclose(align(share, [even] * 3), mean + (share - mean) / 8, atol=1e-6)


def test_shares_stay_in_the_unit_interval():
    share = (torch.rand(8, 17) < 0.5).float()
    actual = align(share, [torch.randn(8, 17, 17).mul(3).softmax(2) for _ in range(12)])
    assert (actual >= 0).all() and (actual <= 1).all()


@pytest.mark.parametrize("patch, box", [(8, [[8, 24, 0, 16]]), (1, [[3, 21, 10, 31]])])
def test_the_target_is_that_of_labels_carried_as_vectors(patch, box, make_net, make_batch, criterion):
    """The papers' form: each token carries probabilities of all classes."""
    net, method = make_net(needs="attention"), TLAlign(patch=patch)
    images, labels = make_batch(4)
    method.attach(net)
    draws = dict(lam=torch.tensor([0.5]), box=torch.tensor(box))
    (target, _), = trace(method, net, images, labels, criterion, draws)[2]
    top, bottom, left, right = box[0]
    mixed, shown = images.clone(), torch.zeros(32, 32)
    mixed[:, :, top:bottom, left:right] = images.roll(1, 0)[:, :, top:bottom, left:right]
    shown[top:bottom, left:right] = 1
    layers = attention.attention(net, ["layer1.1", "layer2.1"], lambda: net(mixed))
    one_hot = torch.eye(10)[labels]
    for i in range(4):
        tokens = [(1 - shown.mean()) * one_hot[i] + shown.mean() * one_hot[i - 1]]
        for r in range(4):
            for c in range(4):
                other = shown[8 * r:8 * r + 8, 8 * c:8 * c + 8].mean()
                tokens.append((1 - other) * one_hot[i] + other * one_hot[i - 1])
        tokens = torch.stack(tokens)
        for weights in layers:
            tokens = (weights[i] @ tokens + tokens) / 2
        assert torch.allclose(target.dense(10)[i], tokens[0], atol=1e-5)
    assert not target.weight.requires_grad


def test_boxes_lie_on_the_grid_of_patches():
    method = TLAlign(patch=8)
    boxes = method.draw(1, (64, 96), generator(), steps=(300,))["box"]
    assert (boxes % 8 == 0).all() and boxes[..., 1].max() == 64 and boxes[..., 3].max() == 96
    with pytest.raises(ValueError, match="patch=7 does not divide images of 32x32"):
        TLAlign(patch=7).draw(2, (32, 32))
    with pytest.raises(ValueError, match=r"TLAlign\(patch=16\).*2x2"):
        TLAlign(patch=16).draw(2, (32, 32))


def test_the_network_runs_once_and_must_have_been_seen(make_net, make_batch, criterion):
    net, method = make_net(needs="attention"), TLAlign()
    draws = method.draw(4, (32, 32), generator())
    with pytest.raises(ValueError, match="call method.attach"):
        method.loss(net, *make_batch(4), criterion, draws)
    method.attach(net)
    assert len(trace(method, net, *make_batch(4), criterion, draws)[1]) == 1
