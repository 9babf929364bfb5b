import pytest
import torch
import torch.nn.functional as F

from openmix.datasets import Shapes
from openmix.datasets.shapes import CLASSES, coverage
from openmix.sampling import keyed_generator


def test_the_set_is_the_same_each_time_and_its_parts_differ():
    state = torch.get_rng_state()
    train, again, test, other = Shapes(num_images=50), Shapes(num_images=50), Shapes("test", num_images=50), \
        Shapes(num_images=50, seed=1)
    assert train.sha256 == again.sha256 and len({train.sha256, test.sha256, other.sha256}) == 3
    assert torch.equal(torch.get_rng_state(), state)


def test_sizes_classes_and_balance():
    data = Shapes("test")
    assert data.images.shape == (2000, 3, 32, 32) and data.classes == list(CLASSES)
    assert data.labels.bincount().tolist() == [200] * 10
    mean = data.images.float().mean((0, 2, 3)) / 255
    assert (mean - torch.tensor(data.mean)).abs().max() < 0.03
    std = data.images.float().std((0, 2, 3)) / 255
    assert (std - torch.tensor(data.std)).abs().max() < 0.03


def test_a_held_out_part_can_be_taken():
    train, val = (Shapes(split, val_size=20, num_images=100) for split in ("train", "val"))
    assert len(train) == 80 and val.labels.bincount().tolist() == [2] * 10


@pytest.mark.parametrize("kind", CLASSES)
def test_nearly_every_shape_is_whole_in_its_image(kind):
    mask = coverage(kind, 200, keyed_generator(0))
    assert 0 <= mask.min() and mask.max() <= 1
    area = mask.sum((1, 2, 3))
    assert area.min() > 15 and area.max() < 500
    edge = torch.cat([mask[..., 0, :], mask[..., -1, :], mask[..., 0], mask[..., -1]], -1)
    assert edge.sum((1, 2)).gt(0.5).float().mean() < 0.15  # few are cut


def test_pixels_alone_do_not_tell_the_class():
    """A linear classifier stays near chance on colours and far below a network: the shapes have to be seen."""
    train, test = Shapes(num_images=2000), Shapes("test", num_images=1000)
    x, t = (F.avg_pool2d(d.images.float() / 255 - 0.5, 4).flatten(1) for d in (train, test))
    y = F.one_hot(train.labels, 10).float()
    weights = torch.linalg.solve(x.T @ x + 10 * torch.eye(x.shape[1]), x.T @ (y - 0.1))
    assert ((t @ weights).argmax(1) == test.labels).float().mean() < 0.35


@pytest.mark.parametrize("n", [9, 0, 10.5])
def test_too_small_sets_are_refused(n):
    with pytest.raises(ValueError, match="num_images must be a whole number of at least 10"):
        Shapes(num_images=n)
