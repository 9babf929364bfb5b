"""FeatureMix: which images are mixed with which, against lines written out; at the input and at a layer."""
import copy

import pytest
import torch

from openmix.mixups import FeatureMix
from tests.mixups.contract import generator


def written_out(values, lam, rate):
    """The source's operator: two halves of the first m rows, two outputs a pair."""
    m = int(rate * len(values)) // 2 * 2
    out = values.clone()
    for i in range(m // 2):
        a, b = values[i], values[i + m // 2]
        out[i] = lam[i] * a + (1 - lam[i]) * b
        out[i + m // 2] = lam[i + m // 2] * a + (1 - lam[i + m // 2]) * b
    return out, m


def run(method, net, images, labels):
    """Images that the network saw, outputs of layer2, and the target as probabilities."""
    method.attach(net)
    seen, inside, targets = [], [], []
    handles = [net.register_forward_pre_hook(lambda m, args: seen.append(args[0])),
               net.layer2.register_forward_hook(lambda m, args, out: inside.append(out))]
    draws = method.draw(len(images), (32, 32), generator(2))

    def criterion(logits, target):
        targets.append(target.dense(10))
        return logits.square().mean()

    loss = method.loss(net, images, labels, criterion, draws)["loss"]
    for handle in handles:
        handle.remove()
    return seen[0], inside[0], targets[0], draws, loss


@pytest.mark.parametrize("n, rate, mixed", [(7, 0.7, 4), (10, 0.7, 6), (6, 1.0, 6), (5, 1.0, 4), (6, 0.0, 0),
                                            (1, 1.0, 0), (2, 0.7, 0)])
def test_the_first_even_number_of_images_is_mixed_in_pairs(make_net, make_batch, n, rate, mixed):
    images, labels = make_batch(n)
    seen, _, target, draws, _ = run(FeatureMix(mix_rate=rate), make_net(), images, labels)
    expected, m = written_out(images, draws["lam"], rate)
    assert m == mixed and torch.allclose(seen, expected, atol=1e-6)
    assert torch.equal(seen[m:], images[m:])
    assert torch.allclose(target, written_out(torch.eye(10)[labels], draws["lam"], rate)[0], atol=1e-6)


def test_at_a_layer_its_output_is_mixed_and_the_images_are_not(make_net, make_batch):
    net, (images, labels) = make_net(), make_batch(10)
    clean = copy.deepcopy(net)
    seen, inside, target, draws, loss = run(FeatureMix(layer="layer2"), net, images, labels)
    clean = clean.layer2(clean.layer1(clean.stem(images)))
    assert torch.equal(seen, images)
    assert torch.allclose(inside, written_out(clean, draws["lam"], 0.7)[0], atol=1e-5)
    assert torch.allclose(target, written_out(torch.eye(10)[labels], draws["lam"], 0.7)[0], atol=1e-6)
    loss.backward()
    assert net.stem[0].weight.grad.abs().sum() > 0


def test_with_shares_that_sum_to_one_a_pair_becomes_its_mirror_image(make_net, make_batch):
    method, images = FeatureMix(mix_rate=1.0), make_batch(4)[0]
    lam = torch.tensor([0.3, 0.9, 0.7, 0.1])
    details = method.details(images, dict(method.draw(4, (32, 32)), lam=lam))
    assert torch.allclose(details["lam"], torch.tensor([0.3, 0.9, 0.3, 0.9])) and details["partner"].tolist() == [
        2, 3, 0, 1]


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match="mix_rate must lie in"):
        FeatureMix(mix_rate=1.2)
