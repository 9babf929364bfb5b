import copy
import math

import pytest
import torch
from torch import nn

from openmix.losses import SoftCrossEntropy
from openmix.mixups import CutMix, MixUp, SUMix
from openmix.target import as_sources
from tests.mixups.contract import generator, trace


def attached(net, inner=None, spread=0.5, **options):
    """A method whose second head is not nearly zero."""
    method = SUMix(inner or MixUp(per_sample=True), **options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method.attach(net)
        nn.init.normal_(method.head.weight, std=spread)
    return method


def slow(net, head, images, mixed, labels, partner, lam, gamma, scale):
    """By one example after the other, with plain Python sums where it matters."""
    def features(x):
        for name in ("stem", "layer1", "layer2", "layer3", "layer4"):
            x = getattr(net, name)(x)
        return x.mean((2, 3))

    def unit(v):
        return v / math.sqrt(sum(float(x) ** 2 for x in v))

    f, g = features(images), features(mixed)
    p, q = net.fc(f).softmax(1), net.fc(g).softmax(1)
    u, v = head(f).softmax(1), head(g).softmax(1)
    weights, losses = [], []
    for i in range(len(images)):
        j, a, b = partner[i], labels[i], labels[partner[i]]
        mine, other = p[i].clone(), p[j].clone()
        mine[b], other[a] = 0, 0
        near, far = scale * unit((q[i] - mine).softmax(0)), scale * unit((q[i] - other).softmax(0))
        pull, push = lam[i] * torch.exp(-near[a]), (1 - lam[i]) * torch.exp(-far[b])
        weights.append(pull / (pull + push))
        first = torch.exp(-(near + unit(u[i]) + unit(v[i]))).log_softmax(0)
        second = torch.exp(-(far + unit(u[j]) + unit(v[i]))).log_softmax(0)
        losses.append(-lam[i] * first[a] - (1 - lam[i]) * second[b])
    weights = torch.stack(weights)
    log_p = net.fc(g).log_softmax(1)
    main = torch.stack([-weights[i] * log_p[i, labels[i]] - (1 - weights[i]) * log_p[i, labels[partner[i]]]
                        for i in range(len(images))])
    return main.mean() + gamma * torch.stack(losses).mean(), weights


@pytest.mark.parametrize("inner", [MixUp(per_sample=True), MixUp(prob=0.5, per_sample=True), CutMix(pairing="perm")],
                         ids=["mixup", "half", "cutmix"])
@pytest.mark.parametrize("scale", [2.0, 10.0])
def test_loss_and_label_weights_are_those_of_a_loop_over_examples(inner, scale, make_net, make_batch):
    net, (images, labels) = make_net().eval(), make_batch()
    method = attached(net, inner, gamma=0.7, scale=scale)
    draws = method.draw(6, (32, 32), generator(1))
    mixed, target = inner(images, labels, draws)
    details = method.details(images, draws, net, labels)
    partner = details["sources"][:, 1].tolist()
    with torch.no_grad():
        expected, weights = slow(net, method.head, images, mixed, labels, partner, target.weight[:, 0], 0.7, scale)
    torch.testing.assert_close(method.loss(net, images, labels, SoftCrossEntropy(), draws)["loss"], expected)
    torch.testing.assert_close(details["weights"][:, 0], weights)
    assert ((weights > 0) & (weights < 1) | (target.weight[:, 0] == 1)).all()


def test_the_label_weight_leans_to_the_image_that_the_mixture_resembles(make_net, make_batch):
    net, (images, labels) = make_net().eval(), make_batch()
    method = attached(net, scale=20.0)
    lam = torch.full((6,), 0.5)
    draws = {**method.draw(6, (32, 32), generator()), "lam": lam}
    weight = method.details(images, draws, net, labels)["weights"][:, 0]
    near, far = method.distances(net(images), net(method.method(images, labels, draws)[0]), torch.eye(10)[labels],
                                 torch.arange(6).roll(1))
    own, other = near[range(6), labels], far[range(6), labels.roll(1)]
    assert torch.equal(weight > 0.5, own < other) and not torch.allclose(weight, lam, atol=1e-3)


def test_equal_distances_leave_lam_as_it_was(make_net, make_batch):
    """Equal images: mixture and both images are predicted alike, but for the entries that are left out."""
    net, (images, _) = make_net().eval(), make_batch()
    images, labels = images[:1].expand(6, -1, -1, -1), torch.full((6,), 3)
    method = attached(net)
    draws = method.draw(6, (32, 32), generator())
    weight = method.details(images, draws, net, labels)["weights"][:, 0]
    torch.testing.assert_close(weight, draws["lam"])


def test_label_weights_are_one_an_image_and_do_not_collapse_to_their_mean(make_net, make_batch):
    """The published cells train with the mean over the batch: one image alone then has other weights than in it."""
    net, (images, labels) = make_net().eval(), make_batch()
    method = attached(net, scale=20.0)
    draws = {**method.draw(6, (32, 32), generator()), "lam": torch.full((6,), 0.5)}
    weight = method.details(images, draws, net, labels)["weights"][:, 0]
    assert weight.std() > 0.002
    pair = [2, 1]  # image 2 and its partner, in a batch of their own
    alone = {key: value[pair] if torch.is_tensor(value) and value.shape[:1] == (6,) else value
             for key, value in draws.items()}
    own = method.details(images[pair], alone, net, labels[pair])["weights"][0, 0]
    torch.testing.assert_close(own, weight[2])


def test_label_weights_are_constants_and_the_second_head_learns(make_net, make_batch):
    net, batch = make_net(), make_batch()
    method = attached(net, scale=1.0)
    draws = method.draw(6, (32, 32), generator())
    losses, _, calls = trace(method, net, *batch, SoftCrossEntropy(), draws)
    assert len(calls) == 1 and not calls[0][0].weight.requires_grad
    losses["loss"].backward()
    assert method.head.weight.grad.abs().sum() > 0
    net = make_net()
    method = attached(net, gamma=0.0)
    method.loss(net, *batch, SoftCrossEntropy(), draws)["loss"].backward()
    assert (method.head.weight.grad == 0).all() and net.fc.weight.grad.abs().sum() > 0


def test_a_batch_is_two_passes_and_details_leave_the_statistics(make_net, make_batch):
    net, (images, labels) = make_net(), make_batch()
    method = attached(net)
    draws = method.draw(6, (32, 32), generator())
    before = copy.deepcopy(net.state_dict())
    actual = method.details(images, draws, net, labels)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    _, seen, calls = trace(method, net, images, labels, SoftCrossEntropy(), draws)
    assert len(seen) == 2 and torch.equal(seen[0], images)
    assert torch.equal(calls[0][0].weight, actual["weights"]) and net.stem[1].num_batches_tracked == 2


def test_without_the_network_details_are_those_of_the_wrapped_method(make_net, make_batch):
    images, labels = make_batch()
    method = attached(make_net())
    draws = method.draw(6, (32, 32), generator())
    for actual, expected in zip(as_sources(method.details(images, draws)),
                               as_sources(method.method.details(images, draws)), strict=True):
        assert torch.equal(actual, expected)


def test_mistakes_are_named(make_net, make_batch, criterion):
    with pytest.raises(ValueError, match="attach"):
        SUMix().loss(make_net(), *make_batch(), criterion)
    with pytest.raises(ValueError, match="no layer 'fcc'"):
        SUMix(classifier="fcc").attach(make_net())
