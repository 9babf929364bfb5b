import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from openmix import saliency
from openmix.mixups import GuidedMixup
from openmix.mixups.guidedmixup import farthest_cycle, grey


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def peaks(n, seed=0):
    coarse = torch.rand(n, 1, 8, 8, generator=generator(seed)) ** 4
    return F.interpolate(coarse, size=(32, 32), mode="bilinear")[:, 0]


# -- pairing --------------------------------------------------------------------------------------------------------


def slow_cycle(maps):
    """From the first image of the farthest pair always to the farthest image that was not visited, and back."""
    n = len(maps)
    distance = [[-math.inf if i == j else (a - b).norm().item() for j, b in enumerate(maps)]
                for i, a in enumerate(maps)]
    here = start = max(range(n), key=lambda i: max(distance[i]))
    partner, visited = [0] * n, {start}
    while len(visited) < n:
        partner[here] = max((j for j in range(n) if j not in visited), key=lambda j: distance[here][j])
        here = partner[here]
        visited.add(here)
    partner[here] = start
    return partner


@pytest.mark.parametrize("n", range(2, 10))
def test_greedy_partners_are_one_cycle_and_those_of_the_plain_loop(n):
    maps = torch.rand(n, 64, generator=generator(n))
    partner = farthest_cycle(maps).tolist()
    assert partner == slow_cycle(maps)
    here, visited = 0, []
    for _ in range(n):
        visited.append(here)
        here = partner[here]
    assert here == 0 and sorted(visited) == list(range(n))


def test_equal_maps_and_single_images_have_a_cycle_too():
    assert sorted(farthest_cycle(torch.ones(5, 4)).tolist()) == list(range(5))
    assert farthest_cycle(torch.ones(1, 4)).tolist() == [0]


def test_a_cycle_finds_images_that_are_salient_elsewhere():
    """Half of the maps are at the left, half at the right: every partner but two is from the other side."""
    maps = torch.full((10, 32, 32), 0.01)
    maps[:5, 8:24, 4:12] = maps[5:, 8:24, 20:28] = 1
    images, labels = torch.zeros(10, 3, 32, 32), torch.arange(10)
    partner = GuidedMixup()(images, labels, None, maps)[1].label[:, 1]
    assert ((partner < 5) != (labels < 5)).sum() >= 9 and sorted(partner.tolist()) == list(range(10))


def test_the_greedy_pairing_that_is_asked_for_is_that_of_images_and_labels(make_batch):
    """The released CIFAR code computes it and mixes a random permutation."""
    (images, labels), method = make_batch(9), GuidedMixup(pairing="greedy")
    maps = peaks(9)
    shares = method.shares(maps)
    pooled = F.adaptive_avg_pool2d(shares[:, None], 8).flatten(1)
    partner = torch.tensor(slow_cycle(pooled.double()))
    mixed, target = method(images, labels, method.draw(9, (32, 32), generator()), maps)
    share = (shares / (shares + shares[partner]))[:, None]
    torch.testing.assert_close(mixed, share * images + (1 - share) * images[partner])
    assert torch.equal(target.label, torch.stack([labels, labels[partner]], 1))
    assert not torch.equal(partner, torch.arange(9).roll(1))


@pytest.mark.parametrize("pairing", ["greedy", "perm", "roll"])
def test_pairings_are_permutations_and_details_name_them(pairing, make_batch):
    method, images = GuidedMixup(pairing=pairing), make_batch(9)[0]
    draws = method.draw(9, (32, 32), generator())
    _, target = method(images, torch.arange(9), draws)
    partner = method.details(images, draws)["partner"]
    assert torch.equal(target.label[:, 1], partner) and partner.sort().values.tolist() == list(range(9))
    assert ("order" in draws) == (pairing == "perm") and "lam" not in draws


# -- masks ----------------------------------------------------------------------------------------------------------


def test_pixels_are_shared_by_the_blurred_saliencies_and_labels_by_their_mean(make_batch):
    method, (images, labels), maps = GuidedMixup(pairing="roll"), make_batch(6), peaks(6)
    mixed, target = method(images, labels, {}, maps)
    blurred = saliency.blur_7(maps).double()
    own = blurred / blurred.sum((1, 2), keepdim=True)
    share = (own / (own + own.roll(1, 0))).float()
    assert torch.allclose(mixed, share[:, None] * images + (1 - share[:, None]) * images.roll(1, 0), atol=1e-5)
    assert torch.allclose(target.weight[:, 0], share.mean((1, 2)), atol=1e-6)


def test_swapping_two_images_complements_the_mask_and_equal_maps_share_by_half():
    method, maps, images = GuidedMixup(pairing="roll"), peaks(2), torch.zeros(2, 3, 32, 32)
    mask = method.mask(images, maps, {})
    assert torch.allclose(mask[0] + mask[1], torch.ones(1, 32, 32), atol=1e-6)
    assert torch.allclose(method.mask(images, maps[:1].expand(2, -1, -1), {}), torch.tensor(0.5))
    assert torch.allclose(method.mask(images, torch.zeros(2, 32, 32), {}), torch.tensor(0.5)), "nothing is salient"


def test_the_gradient_variant_takes_one_more_pass_and_the_filter_none(make_net, make_batch, criterion):
    net, (images, labels), seen = make_net(), make_batch(4), []
    net.register_forward_hook(lambda *args: seen.append(args))
    passes = []
    for name in ("spectral_residual", "gradient"):
        method = GuidedMixup(saliency=name)
        method.loss(net, images, labels, criterion, method.draw(4, (32, 32), generator()))
        passes.append(len(seen))
    assert passes == [1, 3] and GuidedMixup(saliency="gradient").needs == "gradient"


# -- the filter -----------------------------------------------------------------------------------------------------


def test_the_residual_amplitude_is_that_of_the_formula_in_double_precision():
    """Log amplitudes less their 3 x 3 means (borders repeated), back with the own phase; the absolute value."""
    gray = torch.randn(1, 8, 12, generator=generator())
    spectrum = np.fft.fft2(gray[0].double().numpy())
    log = np.log(np.sqrt(np.abs(spectrum)**2 + 1e-10))
    padded = np.pad(log, 1, mode="edge")
    mean = np.array([[padded[y:y + 3, x:x + 3].mean() for x in range(12)] for y in range(8)])
    expected = np.abs(np.fft.ifft2(np.exp(log - mean + 1j * np.angle(spectrum))))
    torch.testing.assert_close(saliency.residual_amplitude(gray)[0].double(), torch.tensor(expected), atol=1e-6,
                               rtol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (9, 12)])
def test_the_blur_is_the_one_of_torchvision(size):
    from torchvision.transforms.functional import gaussian_blur

    maps = torch.rand(3, *size, generator=generator())
    assert torch.allclose(saliency.blur_7(maps), gaussian_blur(maps, [7, 7], [3.0, 3.0]), atol=1e-6)
    assert torch.allclose(saliency.blur_7(torch.ones(1, 2, 1)), torch.ones(1, 2, 1)), "sides shorter than the window"


def test_filtered_maps_are_blurred_residuals_of_the_luminance(make_batch):
    from torchvision.transforms.functional import rgb_to_grayscale

    images = make_batch(3)[0]
    gray = rgb_to_grayscale(images)[:, 0]
    assert torch.allclose(grey(images), gray, atol=1e-4)
    assert torch.allclose(GuidedMixup().filtered(images), saliency.blur_7(saliency.residual_amplitude(gray)), atol=1e-4)
    assert torch.equal(grey(images[:, :1]), images[:, 0])


def test_spectra_of_large_images_are_those_of_128_pixels():
    maps = GuidedMixup().filtered(torch.randn(2, 3, 160, 192, generator=generator()))
    assert maps.shape == (2, 160, 192) and (maps >= 0).all()


def test_an_unknown_pairing_is_refused():
    with pytest.raises(ValueError, match="pairing must be one of 'greedy', 'roll', 'perm', got 'nearest'"):
        GuidedMixup(pairing="nearest")
