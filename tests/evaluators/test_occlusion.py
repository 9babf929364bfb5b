"""Accuracy with hidden cells."""
import pytest
import torch

from openmix.datasets import Arrays, make_loader
from openmix.evaluators import Occlusion

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.fixture
def loader():
    images = torch.randint(1, 256, (12, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return make_loader(Arrays(images, torch.arange(12) % 3), train=False, mean=MEAN, std=STD)


def views(evaluator, loader):
    """What the network sees, pass by pass, as grey levels."""
    evaluator.begin(loader)
    for index in range(evaluator.passes):
        evaluator.begin_pass(index)
        for images, labels in loader:
            seen = evaluator.transform(images, labels)
            yield (seen * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]) * 255


def test_exactly_the_share_of_cells_is_black_and_the_rest_is_untouched(loader):
    whole, *hidden = views(Occlusion(4, (0, 0.25, 0.5, 1)), loader)
    torch.testing.assert_close(whole, loader.data.images.float(), rtol=0, atol=1e-3)
    for share, seen in zip((0.25, 0.5, 1), hidden, strict=True):
        black = (seen.abs() < 1e-3).all(1)
        assert black.float().mean((1, 2)).tolist() == pytest.approx([share] * 12)
        cells = black.view(12, 4, 2, 4, 2)
        assert (cells.amin((2, 4)) == cells.amax((2, 4))).all(), "whole cells of 2 x 2 pixels"
        torch.testing.assert_close(seen[~black[:, None].expand_as(seen)], whole[~black[:, None].expand_as(seen)])
    assert ((hidden[0].abs() < 1e-3) <= (hidden[1].abs() < 1e-3)).all(), "a larger share hides more of the same"
    assert len({tuple(row.flatten().tolist()) for row in (hidden[0].abs() < 1e-3).all(1)}) > 6, "each image its own"


def test_values_are_lists_of_accuracies_and_their_mean(loader):
    evaluator = Occlusion(4, (0.0, 1.0))
    evaluator.begin(loader)
    for index in range(2):
        evaluator.begin_pass(index)
        for images, labels in loader:
            brightness = evaluator.transform(images, labels).mean((1, 2, 3), keepdim=True)[:, :, 0, 0]
            black = brightness < -1
            right = torch.eye(3)[labels]
            evaluator.update(torch.where(black, torch.eye(3)[0], right), labels)
    values = evaluator.compute()
    assert values["top1"] == pytest.approx([100, 100 / 3]) and values["mean"] == pytest.approx(200 / 3)
    assert values["share"] == [0.0, 1.0] and values["count"] == 12


def test_wrong_options_are_refused():
    for options in (dict(cells=0), dict(shares=[]), dict(shares=[1.5])):
        with pytest.raises(ValueError, match="cells|shares"):
            Occlusion(**options)
