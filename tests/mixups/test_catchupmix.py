import pytest
import torch

from openmix.mixups import CatchUpMix, CutMix
from openmix.mixups.catchupmix import weak_channels
from tests.mixups.contract import generator, trace


def draws_for(method, n, layer, **fixed):
    draws = method.draw(n, (32, 32), generator())
    return {**draws, "layer": method.layers.index(layer), **{k: torch.tensor([v]) for k, v in fixed.items()}}


def slow_weak(first, second, lam):
    """By sorting one image's channels at a time."""
    keep = torch.zeros(first.shape[:2], dtype=torch.bool)
    for i in range(len(first)):
        own, other = ([maps[i, c].norm() for c in range(maps.shape[1])] for maps in (first, second))
        difference = [a / sum(own) - b / sum(other) for a, b in zip(own, other, strict=True)]
        order = sorted(range(len(difference)), key=lambda c: difference[c])
        keep[i, order[:int(lam * len(order) + 1e-6)]] = True
    return keep


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.5, 0.99, 1.0])
def test_exactly_so_many_of_the_weakest_channels_are_the_images_own(lam):
    first, second = torch.randn(2, 5, 7, 4, 4, generator=generator())
    keep = weak_channels(first, second, torch.tensor([lam]))
    assert (keep.sum(1) == int(lam * 7 + 1e-6)).all() and torch.equal(keep, slow_weak(first, second, lam))


def test_ties_and_empty_maps_have_exactly_so_many_too():
    maps = torch.zeros(3, 8, 2, 2)
    assert (weak_channels(maps, maps, torch.tensor([0.25, 0.5, 1.0])).sum(1) == torch.tensor([2, 4, 8])).all()


def test_the_named_layer_is_mixed_channel_by_channel_and_labels_weigh_lam(make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch(4)
    method = CatchUpMix()
    method.attach(net)
    draws = draws_for(method, 4, "layer2", lam=0.4)
    logits = []

    def recording(actual, target):
        logits.append(actual)
        return criterion(actual, target)

    loss = method.loss(net, images, labels, recording, draws)
    hidden = net.layer2(net.layer1(net.stem(images)))
    keep = slow_weak(hidden.detach(), hidden.detach().roll(1, 0), 0.4)
    mixed = torch.stack([torch.stack([hidden[i, c] if keep[i, c] else hidden[i - 1, c] for c in range(8)])
                         for i in range(4)])
    torch.testing.assert_close(logits[0], net.fc(net.layer4(net.layer3(mixed)).mean((2, 3))))
    expected = 0.4 * criterion(logits[0], labels) + 0.6 * criterion(logits[0], labels.roll(1))
    torch.testing.assert_close(loss["loss"], expected)


def test_at_the_input_it_is_cutmix(make_net, make_batch, criterion):
    images, labels = make_batch(4)
    method, cutmix = CatchUpMix(), CutMix()
    draws = draws_for(method, 4, "input")
    expected = cutmix.loss(make_net(), images, labels, criterion, {k: draws[k] for k in ("lam", "box")})["loss"]
    assert torch.equal(method.loss(make_net(), images, labels, criterion, draws)["loss"], expected)


@pytest.mark.parametrize("layer", ["layer1", "layer3"])
def test_lam_1_is_the_clean_batch_and_lam_0_the_partners(layer, make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch(4)
    method = CatchUpMix()
    method.attach(net)
    for lam, shift in ((1.0, 0), (0.0, 1)):
        losses, _, _ = trace(method, net, images, labels, criterion, draws_for(method, 4, layer, lam=lam))
        torch.testing.assert_close(losses["loss"], criterion(net(images.roll(shift, 0)), labels.roll(shift)))


def test_a_layer_without_feature_maps_is_refused(make_net, make_batch, criterion):
    net, method = make_net(), CatchUpMix(layers=("fc",))
    method.attach(net)
    with pytest.raises(ValueError, match=r"feature maps \(4, C, h, w\), got \(4, 10\)"):
        method.loss(net, *make_batch(4), criterion)
