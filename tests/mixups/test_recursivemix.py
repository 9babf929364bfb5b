import copy

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import roi_align

from openmix.losses import SoftCrossEntropy
from openmix.mixups import CutMix, RandomChoice, RecursiveMix
from openmix.mixups.recursivemix import roi_weights
from tests.mixups.contract import generator, leaves, trace


def attached(net, **options):
    method = RecursiveMix(**options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method.attach(net)
    return method


def box_draws(method, box):
    return {**method.draw(4, (32, 32), generator()), "box": torch.tensor([box])}


@pytest.mark.parametrize("side, cells", [(32, 4), (32, 8), (20, 5), (28, 7), (32, 1)])
def test_the_weights_of_a_region_are_torchvisions_roi_align(side, cells):
    """Many boxes, also of one pixel and at the border; one bin, aligned, as many samples as it has cells."""
    features = torch.randn(2, 3, cells, cells, generator=generator())
    edges = torch.randint(0, side + 1, (60, 2, 2), generator=generator(1)).sort(-1).values
    edges[..., 1] = edges[..., 1].maximum(edges[..., 0] + 1).clamp(max=side)
    edges[..., 0] = edges[..., 0].minimum(edges[..., 1] - 1)
    (top, bottom), (left, right) = edges[:, 0].T, edges[:, 1].T
    rows, columns = roi_weights(top, bottom, side, cells), roi_weights(left, right, side, cells)
    torch.testing.assert_close(rows.sum(1), torch.ones(60))
    for k in range(60):
        corners = torch.tensor([left[k], top[k], right[k], bottom[k]]).float().expand(2, 4)
        expected = roi_align(features, list(corners[:, None]), 1, cells / side, aligned=True)[:, :, 0, 0]
        torch.testing.assert_close(torch.einsum("nchw,h,w->nc", features, rows[k], columns[k]), expected)


def test_three_batches_by_hand(make_net, make_batch):
    """Images, labels with their mass and the loss, written out with F.interpolate and torchvision."""
    net, criterion = make_net().eval(), SoftCrossEntropy()
    method, old = attached(net, consistency=0.3), None
    for seed, (top, bottom, left, right) in enumerate([(0, 32, 0, 32), (4, 20, 8, 30), (10, 16, 0, 32)]):
        images, labels = make_batch(4, seed=seed)
        draws = box_draws(method, (top, bottom, left, right))
        losses, seen, calls = trace(method, net, images, labels, criterion, draws)
        mixed, target = images.clone(), torch.eye(10)[labels]
        if old is not None:
            lam = 1 - (bottom - top) * (right - left) / 1024
            mixed[..., top:bottom, left:right] = F.interpolate(old[0], (bottom - top, right - left))
            target = lam * target + (1 - lam) * old[1]
        features = net.layer4(net.layer3(net.layer2(net.layer1(net.stem(mixed)))))
        logits = net.fc(features.mean((2, 3)))
        expected = criterion(logits, target)
        if old is not None:
            box = torch.tensor([[left, top, right, bottom]]).float()
            pooled = roi_align(features, [box] * 4, 1, 4 / 32, aligned=True)[:, :, 0, 0]
            expected = expected + 0.3 * (1 - lam) * criterion(method.head(pooled), old[2].softmax(1))
        assert torch.equal(seen[-1], mixed)
        torch.testing.assert_close(calls[-1][0], target)
        torch.testing.assert_close(target.sum(1), torch.ones(4))
        torch.testing.assert_close(losses["loss"], expected)
        old = mixed, target, logits.detach()
    assert (old[1] > 0).sum(1).max() == 3, "the labels of three batches"


def test_the_first_batch_is_not_mixed_and_every_parameter_has_a_gradient(make_net, make_batch, criterion):
    net, (images, labels) = make_net(), make_batch(4)
    method = attached(net)
    expected = criterion(copy.deepcopy(net)(images), labels)
    loss = method.loss(net, images, labels, criterion)["loss"]
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert (method.head.weight.grad == 0).all()
    method.loss(net, images, labels, criterion, box_draws(method, (0, 16, 0, 16)))["loss"].backward()
    assert method.head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("box, prob", [((5, 5, 3, 9), 1.0), ((0, 16, 0, 16), 0.0)], ids=["empty box", "prob 0"])
def test_a_batch_left_alone_is_plain_training_and_is_remembered(box, prob, make_net, make_batch, criterion):
    net = make_net().eval()
    method = attached(net, prob=prob)
    for seed in range(2):
        images, labels = make_batch(4, seed=seed)
        loss = method.loss(net, images, labels, criterion, box_draws(method, box))["loss"]
        torch.testing.assert_close(loss, criterion(net(images), labels))
        assert torch.equal(method.history()["images"], images)


def test_the_box_has_a_share_up_to_the_area(make_net):
    method = RecursiveMix(area=0.5)
    top, bottom, left, right = method.draw(4, (32, 32), generator(), steps=(2000,))["box"].flatten(0, 1).T
    share = ((bottom - top) * (right - left)) / 1024
    inside = (top > 0) & (left > 0) & (bottom < 32) & (right < 32)
    assert share.max() <= 0.5 and share[inside].max() > 0.3 and (share >= 0).all()
    assert all(v.shape[1] == 1 for v in leaves(method.draw(4, (32, 32), generator(), steps=(5,))))


def test_another_number_shape_or_type_of_images_begins_anew(make_net, make_batch, criterion):
    net = make_net().eval()
    method = attached(net)
    images, labels = make_batch(4)
    for changed in (images[:3], images[:, :, :24, :24], images.double()):
        method.loss(net, images, labels, criterion)
        given = box_draws(method, (0, 16, 0, 16))
        expected = criterion(net.to(changed.dtype)(changed), labels[:len(changed)])
        torch.testing.assert_close(method.loss(net, changed, labels[:len(changed)], criterion, given)["loss"], expected)
        assert method.history()["images"].shape == changed.shape
        net.float()


def test_the_memory_is_written_in_place_and_holds_no_graph(make_net, make_batch, criterion):
    net, batch = make_net(), make_batch(4)
    method = attached(net)
    method.loss(net, *batch, criterion)
    first = method.history()
    before = first["images"].clone()
    method.loss(net, *batch, criterion, box_draws(method, (0, 16, 0, 16)))["loss"].backward()
    assert all(a is b and not a.requires_grad for a, b in zip(first.values(), method.history().values(), strict=True))
    assert not torch.equal(first["images"], before)


def test_history_carries_on_what_was_and_an_empty_one_forgets(make_net, make_batch, criterion):
    net, batch = make_net().eval(), make_batch(4)
    method = attached(net)
    method.loss(net, *batch, criterion)
    fresh, draws = attached(make_net().eval()), box_draws(method, (0, 16, 0, 16))
    fresh.load_history(method.history())
    expected = method.loss(net, *batch, criterion, draws)["loss"]
    assert torch.equal(fresh.loss(net, *batch, criterion, draws)["loss"], expected)
    fresh.load_history({})
    assert fresh.history() == {} and fresh.variant(draws) == ("first",) != method.variant(draws)


def test_history_does_not_reach_evaluation_or_the_state_dict(make_net, make_batch, criterion):
    net, batch = make_net(), make_batch(4)
    method = attached(net)
    method.loss(net, *batch, criterion)
    plain = make_net()
    plain.load_state_dict(net.state_dict())
    assert set(method.state_dict()) == {"head.weight", "head.bias"}
    assert torch.equal(method.predict(net.eval(), batch[0])["net"], plain.eval()(batch[0]))


def test_each_method_of_a_random_choice_has_its_own_history(make_net, make_batch, criterion):
    net, batch = make_net(), make_batch(4)
    mix = RandomChoice([RecursiveMix(), CutMix(), RecursiveMix()])
    mix.attach(net)
    mix.loss(net, *batch, criterion, {**mix.draw(4, (32, 32)), "choice": 2})
    assert set(mix.history()) == {"2.images", "2.target", "2.logits"}
    other = RandomChoice([RecursiveMix(), CutMix(), RecursiveMix()])
    other.load_history(mix.history())
    assert other.methods[0].history() == {} and torch.equal(other.methods[2].past["images"], batch[0])


def test_details_name_images_of_another_batch(make_net, make_batch, criterion):
    net, batch = make_net(), make_batch(4)
    method = attached(net)
    draws = box_draws(method, (0, 16, 0, 16))
    assert (method.details(batch[0], draws)["weights"][:, 0] == 1).all()
    method.loss(net, *batch, criterion, draws)
    actual = method.details(batch[0], draws)
    assert (actual["sources"][:, 1] == -1).all() and (actual["weights"][:, 0] == 0.75).all()


def test_mistakes_are_named(make_net, make_batch, criterion):
    with pytest.raises(ValueError, match="attach"):
        RecursiveMix().loss(make_net(), *make_batch(4), criterion)
    with pytest.raises(ValueError, match="area must lie in"):
        RecursiveMix(area=0)
    with pytest.raises(ValueError, match="empty in images of 2x2"):
        RecursiveMix().draw(4, (2, 2))
