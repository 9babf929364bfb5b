"""MixPro: exact numbers of cells, and a label weight between area and attention."""
import math

import pytest
import torch
import torch.nn.functional as F

from openmix import attention
from openmix.mixups import MixPro
from openmix.mixups.attended import area
from tests.mixups.contract import generator, trace


@pytest.fixture
def build(make_net):
    def make(**options):
        net, method = make_net(needs="attention"), MixPro(**options)
        method.attach(net)
        return net, method
    return make


@pytest.mark.parametrize("lam", [0.001, 0.25, 0.26, 0.5, 0.99, 1.0])
def test_exactly_so_many_random_cells_of_each_image_stay(lam):
    method, images = MixPro(), torch.zeros(50, 3, 32, 32)
    draws = {**method.draw(50, (32, 32), generator()), "lam": torch.tensor([lam])}
    mask = method.mask(images, draws)
    cells = mask[:, 0, ::8, ::8]
    assert torch.equal(mask, cells.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None])
    assert (cells.flatten(1).sum(1) == math.ceil(16 * lam)).all()
    assert torch.allclose(area(mask), torch.full((50,), math.ceil(16 * lam) / 16))
    if lam == 0.5:
        assert len(set(map(tuple, cells.flatten(1).tolist()))) > 40, "cells are drawn for each image"
        assert (cells.float().mean(0) - 0.5).abs().max() < 0.35


def test_lam_goes_from_area_to_attention_by_the_cosine(build, make_batch, criterion):
    net, method = build()
    images, labels = make_batch(4)
    draws = method.draw(4, (32, 32), generator(3))
    (target, _), = trace(method, net, images, labels, criterion, draws)[2]
    mask = method.mask(images, draws)
    mixed = torch.where(mask, images, images.roll(1, 0))
    a = attention.attention(net, ["layer2.1"], lambda: net(mixed))[0][:, 0, 1:]
    p = net(mixed).detach().softmax(1)
    for i in range(4):
        kept = [bool(mask[i, 0, 8 * (k // 4), 8 * (k % 4)]) for k in range(16)]
        attended, share = sum(a[i, k] for k in range(16) if kept[k]) / a[i].sum(), sum(kept) / 16
        label = [0.9 * ((labels[i] == c) * share + (labels[i - 1] == c) * (1 - share)) + 0.01 for c in range(10)]
        dot = sum(p[i, c] * label[c] for c in range(10))
        trust = dot / math.sqrt(sum(p[i, c] ** 2 for c in range(10)) * sum(v ** 2 for v in label))
        assert 0 <= trust <= 1
        assert target.weight[i, 0].item() == pytest.approx((trust * attended + (1 - trust) * share).item(), abs=1e-5)


def test_a_network_that_is_wrong_gets_the_area(build, make_batch, monkeypatch):
    net, method = build(smoothing=0.0)
    images, labels = make_batch(4)
    draws = method.draw(4, (32, 32), generator())
    monkeypatch.setattr(F, "cosine_similarity", lambda a, b: torch.zeros(4))
    details = method.details(images, draws, net, labels)
    assert torch.equal(details["lam"], area(details["mask"]))


@pytest.mark.parametrize("through", [False, True])
def test_gradients_pass_through_the_cosine_by_option_alone(through, build, make_batch, criterion):
    net, method = build(cosine_gradient=through)
    calls = trace(method, net, *make_batch(4), criterion, method.draw(4, (32, 32), generator()))[2]
    assert calls[0][0].weight.requires_grad == through


def test_images_smaller_than_the_grid_are_refused():
    with pytest.raises(ValueError, match="grid=4 does not fit images of 3x8"):
        MixPro().draw(2, (3, 8))
