import copy

import pytest
import torch
import torch.nn.functional as F

from openmix.functional import class_activation
from openmix.mixups import SnapMix
from openmix.mixups.snapmix import paste_between, proportions, share_inside
from tests.mixups.contract import generator, trace


def attached(net, **options):
    method = SnapMix(**options)
    method.attach(net)
    return method


def draws_for(method, box, source, n=4):
    return {**method.draw(n, (32, 32), generator()), "box": torch.tensor([box]), "source": torch.tensor([source])}


@pytest.mark.parametrize("box, source", [((3, 19, 8, 30), (0, 32, 0, 32)), ((0, 32, 0, 32), (4, 9, 20, 31)),
                                         ((5, 12, 5, 6), (2, 20, 7, 8)), ((10, 20, 10, 20), (31, 32, 0, 1))])
def test_a_box_of_the_partner_is_resized_into_a_box(box, source):
    images, partner = torch.randn(2, 3, 2, 32, 32, generator=generator())
    actual = paste_between(images, partner.clone(), torch.tensor([box]), torch.tensor([source]))
    expected, (top, bottom, left, right), (a, b, c, d) = images.clone(), box, source
    expected[..., top:bottom, left:right] = F.interpolate(partner[..., a:b, c:d], (bottom - top, right - left),
                                                          mode="bilinear", align_corners=True)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_equal_boxes_paste_pixels_as_they_are():
    images, partner = torch.randn(2, 3, 2, 20, 28, generator=generator())
    box = torch.tensor([[3, 11, 5, 25]])
    expected = images.clone()
    expected[..., 3:11, 5:25] = partner[..., 3:11, 5:25]
    torch.testing.assert_close(paste_between(images, partner.clone(), box, box), expected, atol=1e-5, rtol=1e-5)


def test_class_activation_is_the_part_of_a_logit_that_each_cell_makes():
    features, weight = torch.randn(4, 6, 3, 5, generator=generator()), torch.randn(7, 6, generator=generator(1))
    labels = torch.tensor([0, 6, 3, 3])
    maps = class_activation(features, weight, labels)
    for i in range(4):
        expected = sum(weight[labels[i], c] * features[i, c] for c in range(6))
        torch.testing.assert_close(maps[i], expected)
    torch.testing.assert_close(maps.mean((1, 2)), (features.mean((2, 3)) @ weight.T)[range(4), labels])
    torch.testing.assert_close(class_activation(features, weight, torch.eye(7)[labels]), maps)


def test_proportions_sum_to_1_and_a_constant_map_is_uniform():
    maps = torch.randn(3, 4, 4, generator=generator())
    maps[2] = 0.3
    shares = proportions(maps, (32, 24))
    torch.testing.assert_close(shares.sum((1, 2)), torch.ones(3))
    assert (shares >= 0).all() and torch.allclose(shares[2], torch.tensor(1 / 768)) and shares[0].min() == 0
    grown = F.interpolate(maps[:1, None], (32, 24), mode="bilinear")[0, 0]
    torch.testing.assert_close(shares[0], (grown - grown.min()) / (grown - grown.min()).sum())


def test_sums_over_boxes_are_those_of_slices_and_grow_with_the_box():
    maps = proportions(torch.randn(3, 4, 4, generator=generator()), (32, 32))
    actual = []
    for top, bottom, left, right in [(8, 9, 8, 9), (4, 16, 4, 20), (2, 20, 4, 28), (0, 32, 0, 32)]:
        share = share_inside(maps, torch.tensor([[top, bottom, left, right]]))
        torch.testing.assert_close(share, maps[:, top:bottom, left:right].sum((1, 2)))
        actual.append(share)
    assert (torch.stack(actual).diff(dim=0) >= 0).all()


def test_labels_are_weighed_by_the_meaning_in_the_boxes(make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch(4)
    method = attached(net)
    draws = draws_for(method, (4, 20, 6, 30), (10, 26, 0, 12))
    losses, seen, calls = trace(method, net, images, labels, criterion, draws)
    features = net.layer4(net.layer3(net.layer2(net.layer1(net.stem(images))))).relu()
    activation = torch.einsum("nchw,nc->nhw", features, net.fc.weight[labels]) + net.fc.bias[labels, None, None]
    shares = proportions(activation, (32, 32))
    target = calls[-1][0]
    for i in range(4):
        own, other = 1 - shares[i, 4:20, 6:30].sum(), shares[i - 1, 10:26, :12].sum()
        torch.testing.assert_close(target.weight[i], torch.stack([own, other]), atol=1e-4, rtol=1e-4)
        assert target.label[i].tolist() == [labels[i], labels[i - 1]]
    torch.testing.assert_close(losses["loss"], criterion(net(seen[-1]), target))
    assert not torch.allclose(target.weight.sum(1), torch.ones(4), atol=1e-3)


@pytest.mark.parametrize("box, source, expected", [
    ((0, 32, 0, 32), (0, 32, 0, 32), (0.0, 1.0)), ((4, 4, 0, 9), (0, 9, 0, 9), (1.0, 0.0)),
    ((0, 9, 0, 9), (7, 7, 0, 9), (1.0, 0.0))], ids=["whole images", "empty box", "empty source"])
def test_whole_and_empty_boxes(box, source, expected, make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch(4)
    _, seen, calls = trace(method := attached(net), net, images, labels, criterion, draws_for(method, box, source))
    torch.testing.assert_close(calls[-1][0].weight, torch.tensor(expected).expand(4, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[-1], images if expected[0] else images.roll(1, 0), atol=1e-5, rtol=1e-5)


def test_without_a_network_the_areas_count(make_batch):
    method, images = SnapMix(), make_batch(4)[0]
    weights = method.details(images, draws_for(method, (0, 16, 0, 16), (0, 8, 0, 32)))["weights"]
    torch.testing.assert_close(weights, torch.tensor([0.75, 0.25]).expand(4, 2))


def test_equal_labels_add_up_and_count_twice_by_option(make_net, make_batch, criterion):
    net, images = make_net().eval(), make_batch(4)[0]
    actual = []
    for double in (False, True):
        method = attached(net, double_equal=double)
        draws = draws_for(method, (4, 20, 6, 30), (10, 26, 0, 12))
        actual.append(trace(method, net, images, torch.full((4,), 3), criterion, draws)[2][-1][0].dense(10)[:, 3])
    torch.testing.assert_close(actual[1], 2 * actual[0])


def test_the_additional_pass_counts_no_statistics_but_by_option(make_net, make_batch, criterion):
    for count, passes in ((False, 1), (True, 2)):
        net = make_net()
        method = attached(net, count_statistics=count)
        method.loss(net, *make_batch(4), criterion)
        assert net.stem[1].num_batches_tracked == passes
    before = copy.deepcopy(net.state_dict())
    method = attached(net)
    method.details(make_batch(4)[0], method.draw(4, (32, 32)), net, make_batch(4)[1])
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_mistakes_are_named(make_net, make_batch, criterion):
    with pytest.raises(ValueError, match="attach"):
        SnapMix().loss(make_net(), *make_batch(4), criterion)
    with pytest.raises(ValueError, match="layer2.*8 channels.*'fc' reads 16"):
        SnapMix(layer="layer2").attach(make_net())
