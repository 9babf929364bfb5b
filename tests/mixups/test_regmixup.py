import copy

import pytest
import torch

from openmix.losses import SoftCrossEntropy
from openmix.mixups import CutMix, MixUp, RegMixup
from tests.mixups.contract import generator


def loss_of(method, net, batch, criterion, seed=0):
    return method.loss(net, *batch, criterion, method.draw(len(batch[1]), (32, 32), generator(seed)))


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_the_loss_is_the_weighted_mean_over_2n_examples(weight, make_net, make_batch):
    """Written out: one forward pass of both halves, the loss of each example."""
    method, net, (images, labels) = RegMixup(CutMix(), weight), make_net(), make_batch()
    draws = method.draw(6, (32, 32), generator())
    actual = method.loss(copy.deepcopy(net), images, labels, SoftCrossEntropy(), draws)
    mixed, (label, share) = method.method(images, labels, draws)
    log_p = net(torch.cat([images, mixed])).log_softmax(1)
    clean = torch.stack([-log_p[i, labels[i]] for i in range(6)])
    mixture = torch.stack([-(share[i] * log_p[6 + i, label[i]]).sum() for i in range(6)])
    torch.testing.assert_close(actual["loss"], (clean.sum() + weight * mixture.sum()) / (6 * (1 + weight)))
    torch.testing.assert_close(actual["clean"], clean.mean())
    torch.testing.assert_close(actual["mixed"], mixture.mean())


def test_with_weight_1_it_is_one_batch_of_clean_and_mixed_images(make_net, make_batch):
    method, net, (images, labels) = RegMixup(MixUp()), make_net(), make_batch()
    draws = method.draw(6, (32, 32), generator())
    mixed, target = method.method(images, labels, draws)
    both = torch.cat([torch.eye(10)[labels], target.dense(10)])
    expected = SoftCrossEntropy()(copy.deepcopy(net)(torch.cat([images, mixed])), both)
    torch.testing.assert_close(method.loss(net, images, labels, SoftCrossEntropy(), draws)["loss"], expected)


def test_weight_0_is_vanilla_in_the_loss_but_not_in_the_statistics(make_net, make_batch, criterion):
    method, batch = RegMixup(MixUp(), weight=0.0), make_batch()
    net, plain = make_net().eval(), make_net().eval()
    torch.testing.assert_close(loss_of(method, net, batch, criterion)["loss"], criterion(plain(batch[0]), batch[1]))
    net, plain = make_net(), make_net()
    loss = loss_of(method, net, batch, criterion)["loss"]
    assert not torch.allclose(loss, criterion(plain(batch[0]), batch[1]), atol=1e-4)
    assert not torch.allclose(net.stem[1].running_var, plain.stem[1].running_var, atol=1e-5)


def test_the_network_runs_once_and_learns_from_both_halves(make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch()
    seen = []
    net.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))

    def gradient(weight, criterion):
        method = RegMixup(MixUp(), weight)
        loss = loss_of(method, net, (images, labels), criterion)["loss"]
        return torch.autograd.grad((1 + weight) * loss, net.fc.weight)[0]

    clean, both = gradient(0.0, criterion), gradient(1.0, criterion)
    assert seen == [12, 12] and clean.abs().sum() > 0 and (both - clean).abs().sum() > 0


def test_the_default_is_the_papers():
    method = RegMixup()
    assert isinstance(method.method, MixUp) and method.method.alpha == 10 and method.weight == 1
