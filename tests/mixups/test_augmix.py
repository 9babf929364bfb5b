"""AugMix: views that are convex mixtures of chains, and the divergence of the predictions for them."""
import pytest
import torch
import torch.nn.functional as F

from openmix.mixups import AugMix, augmentations
from openmix.mixups.augmix import jensen_shannon

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def draws_for(method, n=6, seed=0, steps=()):
    return method.draw(n, (32, 32), torch.Generator().manual_seed(seed), steps)


@pytest.fixture
def photos(make_batch):
    """Images of 8 bits, normalised."""
    images, labels = make_batch()
    pixels = (images * 40 + 128).clamp(0, 255).round() / 255
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1), labels


def test_with_operations_that_do_nothing_a_view_is_the_image(photos, monkeypatch):
    monkeypatch.setattr(augmentations, "apply", lambda images, operation, strength: images)
    method = AugMix(mean=MEAN, std=STD)
    views = method.views(photos[0], draws_for(method))
    assert views.shape == (2, 6, 3, 32, 32)
    assert torch.allclose(views, photos[0].expand_as(views), atol=1e-5), "weights must sum to 1, and m to its rest"


def test_chains_have_1_to_depth_operations_all_equally_often(monkeypatch):
    seen = []

    def count(images, operation, strength):
        seen.append((operation, strength))
        return images + 1

    monkeypatch.setattr(augmentations, "apply", count)
    method = AugMix(width=1, severity=3.0)
    noise = torch.rand(9000, 10, generator=torch.Generator().manual_seed(0))
    lengths = method.chains(torch.zeros(9000, 1, 1, 1), noise).flatten()
    assert ((lengths[:, None] == torch.tensor([1, 2, 3])).float().mean(0) - 1 / 3).abs().max() < 0.02
    operations, strength = torch.cat([o for o, _ in seen]), torch.cat([s for _, s in seen])
    assert ((operations.bincount(minlength=9) / len(operations)) - 1 / 9).abs().max() < 0.01
    assert 0.1 <= strength.abs().min() and strength.abs().max() < 3 and abs((strength > 0).float().mean() - 0.5) < 0.02


def test_views_are_functions_of_the_key_of_their_image(photos):
    method, images = AugMix(mean=MEAN, std=STD), photos[0]
    draws, order = draws_for(method), torch.tensor([3, 0, 5, 1, 2, 4])
    views = method.views(images, draws)
    assert torch.equal(method.views(images[order], dict(key=draws["key"][order])), views[:, order])
    assert not torch.equal(views[0], views[1]) and not torch.equal(views[0], images)


def test_a_view_stays_in_the_range_of_8_bit_images(photos):
    method = AugMix(mean=MEAN, std=STD)
    std, mean = (torch.tensor(values).view(3, 1, 1) for values in (STD, MEAN))
    views = method.views(photos[0], draws_for(method)) * std + mean
    assert views.min() >= -1e-5 and views.max() <= 1 + 1e-5


def test_the_share_of_the_chains_and_their_weights_are_those_of_the_paper(monkeypatch):
    """Black images whose chains put out 255: a view is m, uniform; two chains of which one is white: m * w."""
    monkeypatch.setattr(AugMix, "chains", lambda self, pixels, noise: torch.full_like(pixels, 255.0))
    images = torch.zeros(4000, 1, 1, 1)
    method = AugMix()
    m = method.views(images, draws_for(method, 4000)).flatten()
    assert abs(m.mean() - 1 / 2) < 0.02 and abs(m.var() - 1 / 12) < 0.01

    def first_white(self, pixels, noise):
        return (torch.arange(len(pixels)) < len(images)).float().view(-1, 1, 1, 1) * 255

    monkeypatch.setattr(AugMix, "chains", first_white)
    first = method.views(images, draws_for(method, 4000))[0].flatten() / m[:4000]
    assert abs(first.mean() - 1 / 3) < 0.02 and abs(first.var() - 1 / 18) < 0.01  # of a Dirichlet(1, 1, 1)


def test_the_divergence_is_the_mean_kl_to_the_mixture():
    z = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0)) * 3
    p = z.softmax(2)
    expected = 0.0
    for i in range(5):
        m = (p[0, i] + p[1, i] + p[2, i]) / 3
        for k in range(3):
            expected += sum(p[k, i, c] * (p[k, i, c] / m[c]).log() for c in range(7)) / 15
    assert torch.allclose(jensen_shannon(*z), expected, atol=1e-6)
    assert jensen_shannon(z[0], z[0], z[0]).abs() < 1e-6
    official = sum(F.kl_div(p.mean(0).clamp(1e-7, 1).log(), q, reduction="batchmean") for q in p) / 3
    assert torch.allclose(jensen_shannon(*z), official, atol=1e-6)


def test_the_loss_is_that_of_the_clean_image_and_12_divergences_in_one_pass(photos, make_net, criterion):
    method, net, (images, labels) = AugMix(mean=MEAN, std=STD), make_net(), photos
    draws, seen = draws_for(method), []
    net.register_forward_hook(lambda module, args, output: seen.append((args[0], output)))
    losses = method.loss(net, images, labels, criterion, draws)
    ((inputs, logits),) = seen
    assert torch.equal(inputs, torch.cat([images, *method.views(images, draws)]))
    divergence = jensen_shannon(logits[:6], logits[6:12], logits[12:])
    assert torch.allclose(losses["loss"], criterion(logits[:6], labels) + 12 * divergence)
    assert torch.equal(losses["divergence"], divergence.detach()) and divergence > 0


def test_without_views_it_is_plain_training(photos, make_net, criterion):
    net, (images, labels) = make_net(), photos
    losses = AugMix(mean=MEAN, std=STD, prob=0.0).loss(net, images, labels, criterion)
    assert losses["divergence"].abs() < 1e-6
    assert torch.allclose(losses["loss"], criterion(net(images), labels), atol=1e-5)


@pytest.mark.parametrize("options, words", [
    (dict(mean=MEAN), "both given"), (dict(mean=MEAN, std=(1, 1)), "both given"), (dict(severity=0), "severity"),
    (dict(mean=MEAN, std=(0, 1, 1)), "std"), (dict(depth=0), "depth"), (dict(width=1.5), "width")])
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        AugMix(**options)


def test_images_of_other_channels_or_bytes_are_refused(make_net, criterion):
    method = AugMix(mean=MEAN, std=STD)
    with pytest.raises(ValueError, match="3 channels, the images 1"):
        method.loss(make_net(), torch.rand(2, 1, 8, 8), torch.arange(2), criterion)
    with pytest.raises(ValueError, match="float images, got torch.uint8"):
        method.loss(make_net(), torch.zeros(2, 3, 8, 8).byte(), torch.arange(2), criterion)
