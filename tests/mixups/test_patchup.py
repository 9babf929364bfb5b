"""Holes against loops, shares against closed forms, and the paper's three losses."""
import pytest
import torch

from openmix import sampling
from openmix.losses import SoftCrossEntropy, SoftmaxBCE
from openmix.mixups import PatchUp
from openmix.mixups.patchup import block_holes
from openmix.probes import watch
from openmix.target import pair_target
from tests.mixups.learned import SIZE


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(method, n=6, lam=0.3, layer=1, seed=0):
    draws = method.draw(n, SIZE, generator(seed))
    return {**draws, "lam": torch.full_like(draws["lam"], lam), "layer": layer}


def chance(gamma, height, width, side):
    return gamma * height * width / (side**2 * (height - side + 1) * (width - side + 1))


@pytest.mark.parametrize("shape, block_size, side", [((2, 12, 9), 5, 5), ((3, 8, 8), 4, 3), ((1, 4, 6), 7, 3),
                                                     ((2, 1, 1), 7, 1)])
def test_holes_are_the_surroundings_of_centres(shape, block_size, side):
    keys = sampling.keys((3,), generator())
    holes = block_holes(keys, shape, 0.6, block_size)
    centres = sampling.keyed_uniform(keys, shape) < chance(0.6, *shape[1:], side)
    half = side // 2
    for i in range(3):
        for c in range(shape[0]):
            for y in range(shape[1]):
                for x in range(shape[2]):
                    around = centres[i, c, max(y - half, 0):y + half + 1, max(x - half, 0):x + half + 1]
                    assert holes[i, c, y, x] == around.any()


def changed(gamma, size):
    """1 - (1 - chance)^(centres that reach a position), in the mean over the positions of a square map."""
    reach = torch.tensor([min(i + 3, size - 1) - max(i - 3, 0) + 1 for i in range(size)], dtype=torch.float64)
    return (1 - (1 - chance(gamma, size, size, 7)) ** (reach[:, None] * reach)).mean().item()


@pytest.mark.parametrize("gamma, size", [(0.75, 32), (0.5, 32), (0.5, 8)])
def test_the_share_that_changes_is_that_of_independent_centres_and_near_gamma(gamma, size):
    actual = block_holes(sampling.keys((200,), generator()), (8, size, size), gamma, 7).float().mean()
    assert actual.item() == pytest.approx(changed(gamma, size), abs=0.01)
    assert size < 32 or actual.item() == pytest.approx(gamma, abs=0.15)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("criterion", [SoftmaxBCE(), SoftCrossEntropy()], ids=lambda c: type(c).__name__)
def test_features_and_loss_are_the_papers(hard, criterion, make_net, make_batch):
    method, net = PatchUp(hard=hard), make_net()
    method.attach(net)
    images, labels = make_batch()
    draws = drawn(method)
    clean = watch(net, "layer1", lambda: net(images))
    shown, logits = [], []
    net.layer2.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
    net.register_forward_hook(lambda module, inputs, output: logits.append(output))
    loss = method.loss(net, images, labels, criterion, draws)["loss"]
    holes = block_holes(draws["key"], clean.shape[1:], 0.5 if hard else 0.75, 7)[0]
    inside = clean.roll(1, 0) if hard else 0.3 * clean + 0.7 * clean.roll(1, 0)
    assert torch.allclose(shown[0], torch.where(holes, inside, clean), atol=1e-6) and holes.any() and not holes.all()

    q = (~holes).float().mean()
    kept = 0.0 if hard else 0.3
    of = [pair_target(labels, labels.roll(1), torch.tensor([w])) for w in (1.0, kept, q + kept * (1 - q))]
    unchanged, changed, both = (criterion(logits[0], target) for target in of)
    assert torch.allclose(loss, q * unchanged + (1 - q) * changed + both, atol=1e-5)
    details = method.details(images, draws, net=net)
    assert torch.allclose(details["lam"], (q + kept * (1 - q)).expand(6)) and details["mask"] is None


def test_hard_holes_everywhere_show_the_partner(make_net, make_batch, monkeypatch):
    method, net = PatchUp(hard=True), make_net()
    method.attach(net)
    images, labels = make_batch()
    monkeypatch.setattr("openmix.mixups.patchup.block_holes", lambda key, shape, *rest: torch.ones(1, *shape).bool())
    shown = []
    clean = watch(net, "layer1", lambda: net(images))
    net.layer2.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
    targets = []
    method.loss(net, images, labels, lambda z, t: targets.append(t) or SoftCrossEntropy()(z, t), drawn(method))
    assert torch.equal(shown[0], clean.roll(1, 0)) and (targets[0].weight == torch.tensor([0.0, 1])).all()


def test_every_layer_has_holes_of_its_own_size(make_net, make_batch):
    """The chance of a centre follows from the maps of the layer: at 32 x 32 and at 16 x 16."""
    method, net = PatchUp(layers=("layer1", "layer2"), gamma=0.5), make_net()
    method.attach(net)
    for layer, size in ((0, 32), (1, 16)):
        shares = [1 - method.details(make_batch()[0], drawn(method, lam=0.0, layer=layer, seed=s), net=net)["lam"][0]
                  for s in range(40)]
        assert torch.stack(shares).mean().item() == pytest.approx(changed(0.5, size), abs=0.02)


def test_at_the_input_it_is_cutmix_with_uniform_lam(make_net, make_batch):
    method, net = PatchUp(), make_net()
    images, labels = make_batch()
    draws, seen = drawn(method, layer=0), []
    net.stem.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    method.loss(net, images, labels, SoftCrossEntropy(), draws)
    details = method.details(images, draws)
    mask = details["mask"]
    assert ((mask == 0) | (mask == 1)).all()
    assert torch.equal(seen[0], torch.where(mask.bool(), images, images.roll(1, 0)))
    assert torch.allclose(details["lam"], mask.mean((1, 2, 3)))
    many = method.draw(1, SIZE, generator(), steps=(4000,))["box_lam"]
    assert many.mean().item() == pytest.approx(0.5, abs=0.02) and many.var().item() == pytest.approx(1 / 12, abs=0.01)


@pytest.mark.parametrize("wrong", [dict(gamma=1.5), dict(block_size=0), dict(hard=1), dict(layers=())])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PatchUp(**wrong)


def test_a_layer_without_maps_and_details_without_a_network_are_refused(make_net, make_batch):
    method, net = PatchUp(layers="fc"), make_net()
    method.attach(net)
    with pytest.raises(ValueError, match="feature maps"):
        method.loss(net, *make_batch(), SoftCrossEntropy())
    with pytest.raises(ValueError, match="net=net"):
        method.details(make_batch()[0], method.draw(6, SIZE))
