import pytest
import torch

from openmix.mixups import SaliencyGrafting
from tests.mixups.contract import generator, trace


def attached(net, **options):
    method = SaliencyGrafting(**options)
    method.attach(net)
    return method


def test_the_loss_is_that_of_a_loop_over_cells(make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch(4)
    method = attached(net, temperature=0.5)
    draws = {**method.draw(4, (32, 32), generator()), "lam": torch.tensor([0.3])}
    losses, seen, calls = trace(method, net, images, labels, criterion, draws)
    features = net.layer4(net.layer3(net.layer2(net.layer1(net.stem(images))))).detach()
    shown, _ = method.graft(method.saliency(net, images), draws)
    mixed, target = images.clone(), calls[-1][0]
    for i in range(4):
        own, other = (torch.tensor([[features[k, :, a, b].norm() for b in range(4)] for a in range(4)])
                      for k in (i, i - 1))
        own, other = own / own.mean(), other / other.mean()
        salient = (other / 0.5).flatten().softmax(0).view(4, 4) > 1 / 16
        assert not (shown[i] & ~salient).any(), "grafted cells are salient in the partner"
        for a, b in shown[i].nonzero().tolist():
            mixed[i, :, 8 * a:8 * a + 8, 8 * b:8 * b + 8] = images[i - 1, :, 8 * a:8 * a + 8, 8 * b:8 * b + 8]
        first, second = own[~shown[i]].norm(), other[shown[i]].norm()
        torch.testing.assert_close(target.weight[i, 0], first / (first + second))
    assert shown.any() and torch.equal(seen[-1], mixed)
    torch.testing.assert_close(losses["loss"], criterion(net(mixed), target))


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_lam_is_the_chance_of_a_salient_cell_to_stay(lam):
    method, saliency = SaliencyGrafting(), torch.rand(200, 4, 4, generator=generator())
    draws = {**method.draw(200, (32, 32), generator()), "lam": torch.tensor([lam])}
    shown, weight = method.graft(saliency, draws)
    salient = method.salient(saliency).roll(1, 0)
    assert not (shown & ~salient).any() and abs(shown.sum() / salient.sum() - (1 - lam)) < 0.05
    assert lam < 1 or (weight == 1).all(), "nothing grafted, nothing of the partner's label"


def test_of_uniform_maps_the_area_alone_counts():
    method, n = SaliencyGrafting(per_sample=True), 50
    shown, weight = method.graft(torch.ones(n, 4, 4), method.draw(n, (32, 32), generator()))
    cells = shown.flatten(1).sum(1).float()
    torch.testing.assert_close(weight, (16 - cells).sqrt() / ((16 - cells).sqrt() + cells.sqrt()))
    assert cells.unique().numel() > 5 and method.salient(torch.ones(2, 4, 4)).all()


def test_a_low_temperature_leaves_the_peak():
    saliency = torch.rand(5, 4, 4, generator=generator())
    low, high = (SaliencyGrafting(temperature=t).salient(saliency).flatten(1) for t in (0.001, 1000.0))
    assert torch.equal(low.int().argmax(1), saliency.flatten(1).argmax(1)) and (low.sum(1) == 1).all()
    assert torch.equal(high, (saliency.flatten(1) > saliency.flatten(1).mean(1, keepdim=True) - 1e-4))


def test_saliency_has_a_mean_of_1_and_empty_features_are_uniform(make_net, make_batch):
    net, (images, _) = make_net().eval(), make_batch(4)
    method = attached(net)
    expected = method.saliency(net, images)
    torch.testing.assert_close(expected.mean((1, 2)), torch.ones(4))
    for parameter in net.layer4[1].parameters():
        parameter.data.zero_()
    assert (method.saliency(net, images) == 1).all()


def test_the_additional_pass_counts_no_statistics(make_net, make_batch, criterion):
    net = make_net()
    attached(net).loss(net, *make_batch(4), criterion)
    assert net.stem[1].num_batches_tracked == 1


def test_mistakes_are_named(make_net, make_batch, criterion):
    with pytest.raises(ValueError, match="attach"):
        SaliencyGrafting().loss(make_net(), *make_batch(4), criterion)
    with pytest.raises(ValueError, match="temperature must lie in"):
        SaliencyGrafting(temperature=0)
