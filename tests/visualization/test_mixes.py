"""What a picture of mixes shows: the batch as it was, its sources, and what the network sees."""
import pytest
import torch

from openmix.mixups import AugMix, CutMix, ManifoldMix, MixMethod, MixUp, PuzzleMix, ResizeMix
from openmix.target import Target
from openmix.visualization.mixes import GUTTER, brightness, draws_near, grid, look, look_inside, mix_grid


class Three(MixMethod):
    """A third of an image and of the next two."""

    def forward(self, images, labels, draws=None):
        sources = self.sources(len(images))
        return images[sources].mean(1), Target(labels[sources], torch.full((len(images), 3), 1 / 3))

    @staticmethod
    def sources(n):
        return (torch.arange(n)[:, None] + torch.arange(3)) % n

    def details(self, images, draws, net=None, labels=None):
        n = len(images)
        return dict(sources=self.sources(n), weights=torch.full((n, 3), 1 / 3),
                    masks=torch.full((n, 3, *images.shape[2:]), 1 / 3))


def test_normalised_images_are_shown_with_their_own_brightness():
    pixels = torch.rand(4, 3, 5, 5) * 0.1 + 0.25  # dim: nothing may be stretched
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.25])
    normalised = (pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    assert torch.allclose(brightness(normalised, mean, std), pixels, atol=1e-6)
    assert torch.allclose(brightness(pixels), pixels)


def test_values_of_another_range_are_stretched_together():
    images = torch.stack([torch.full((1, 4, 4), -30.0), torch.full((1, 4, 4), 10.0), torch.full((1, 4, 4), 50.0)])
    assert brightness(images).mean((1, 2, 3)).tolist() == [0.0, 0.5, 1.0]


def test_a_grid_has_its_tiles_in_place_between_white_gutters():
    rows = [torch.rand(3, 3, 4, 5), torch.rand(3, 3, 4, 5)]
    picture = grid(rows)
    assert picture.shape == (3, 2 * 4 + GUTTER, 3 * 5 + 2 * GUTTER)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            top, left = i * (4 + GUTTER), j * (5 + GUTTER)
            assert torch.equal(picture[:, top:top + 4, left:left + 5], tile)
            picture[:, top:top + 4, left:left + 5] = 1
    assert (picture == 1).all()


@pytest.mark.parametrize("method, rows", [(CutMix(), 4), (ResizeMix(), 4), (Three(), 5)],
                         ids=["CutMix", "ResizeMix", "Three"])
def test_the_picture_has_a_row_for_each_source_the_mask_and_the_mixture(method, rows):
    images, labels = torch.rand(6, 3, 8, 8), torch.arange(6)
    draws = method.draw(6, (8, 8), torch.Generator().manual_seed(0))
    picture = mix_grid(method, images, labels, draws, count=4)
    assert picture.shape == (3, rows * (8 + GUTTER) - GUTTER, 4 * (8 + GUTTER) - GUTTER)
    assert torch.allclose(picture[:, :8, :8], images[0])
    assert torch.allclose(picture[:, -8:, :8], method(images, labels, draws)[0][0], atol=1e-6)


def test_look_inside_gives_what_the_network_sees(make_net, make_batch):
    images, labels = make_batch()
    method, net = PuzzleMix(), make_net()
    draws = method.draw(6, (32, 32), torch.Generator().manual_seed(0))
    saliency = method.saliency(net, images, labels)
    mix = look_inside(method, images, labels, draws, net)
    assert torch.allclose(mix.mixed, method(images, labels, draws, saliency)[0]), "patches have moved"
    assert not torch.allclose(mix.mixed, look(method, images, labels, draws, net).mixed)
    assert not net._forward_pre_hooks


def test_the_mixture_of_several_views_is_the_last(make_net, make_batch):
    images, labels = make_batch()
    method, net = AugMix(), make_net()
    draws = method.draw(6, (32, 32), torch.Generator().manual_seed(0))
    assert torch.equal(look_inside(method, images, labels, draws, net).mixed, method.views(images, draws)[1])


def test_a_method_that_mixes_inside_the_network_has_no_mixture(make_net, make_batch):
    images, labels = make_batch()
    for layers, inside in (("layer1", True), ("input", False)):
        method, net = ManifoldMix(layers=layers), make_net()
        method.attach(net)
        draws = method.draw(6, (32, 32), torch.Generator().manual_seed(0))
        mix = look_inside(method, images, labels, draws, net)
        assert (mix.mixed is None) == inside and mix.masks is None


@pytest.mark.parametrize("method", [MixUp(), CutMix(prob=0.5), MixUp(0.2)], ids=["MixUp", "CutMix", "alpha 0.2"])
def test_draws_near_a_weight_are_draws_of_the_method_of_about_that_weight(method, make_batch):
    images, labels = make_batch()
    draws = draws_near(method, images, labels, 0.6)
    assert abs(look(method, images, labels, draws).weights[0, 0] - 0.6) < 0.1
    again = draws_near(method, images, labels, 0.6)
    assert draws.keys() == again.keys() and torch.equal(draws["lam"], again["lam"])
    assert not torch.equal(draws["lam"], draws_near(method, images, labels, 0.6, index=1)["lam"])
