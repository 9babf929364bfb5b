"""A part of any data set, by config, with a name and a hash of its own."""
import pytest
import torch

from openmix.datasets import Arrays, ImageFolderData, Shapes, Subset, make_loader
from openmix.datasets.compare import images_in_common, record
from openmix.registry import DATASETS

SHAPES = dict(type="Shapes", num_images=60)


def test_a_config_takes_so_many_images_of_each_class():
    whole = Shapes(num_images=60)
    data = DATASETS.build(dict(type="Subset", data=SHAPES, per_class=3))
    assert len(data) == 30 and data.labels.bincount().tolist() == [3] * 10 and data.classes == whole.classes
    assert torch.equal(data.images, whole.images[data.indices]) and torch.equal(data.labels, whole.labels[data.indices])
    facts = data.describe()
    assert facts["name"] == "Shapes (3 a class)" and facts["images"] == 30 and facts["sha256"] != whole.sha256
    assert facts["selection"] == dict(per_class=3, seed=0, of="Shapes")
    assert "selection" not in whole.describe() and len(whole) == 60, "the whole set stays as it was"


def test_the_seed_chooses_and_smaller_subsets_are_parts_of_larger_ones():
    draws = [set(Subset(Shapes(num_images=60), per_class=3, seed=seed).indices.tolist()) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert draws[0] < set(Subset(Shapes(num_images=60), per_class=5).indices.tolist())


def test_indices_choose_in_their_order_and_subsets_nest():
    whole = Shapes(num_images=60)
    data = Subset(whole, indices=[5, 2, 9], name="three")
    assert data.name == "three" and torch.equal(data.images, whole.images[[5, 2, 9]])
    inner = Subset(data, indices=[2])
    assert inner.indices.tolist() == [9] and torch.equal(inner.images[0], whole.images[9])


def test_images_in_common_are_known_by_their_origin():
    whole = Shapes(num_images=60)
    one, two = Subset(whole, indices=range(10)), Subset(whole, indices=range(8, 20))
    assert images_in_common(one, two) == (2, True) and images_in_common(whole, two) == (12, True)
    assert record(one)["sha256"] == one.sha256 != record(two)["sha256"]


@pytest.mark.parametrize("resident", [True, False])
def test_folders_are_cut_in_memory_and_streamed_alike(pictures, resident):
    whole = ImageFolderData(pictures, size=16, resident=resident)
    data = Subset(whole, per_class=2)
    expected = Subset(ImageFolderData(pictures, size=16, resident=True), per_class=2)
    assert len(data) == 2 * len(whole.classes) and data.files_sha256 == expected.files_sha256 != whole.files_sha256
    assert (data.sha256 == data.files_sha256) is not resident and data.describe()["images"] == len(data)
    batches = make_loader(data, train=False, num_workers=0)
    assert torch.equal(torch.cat([images for images, _ in batches]),
                       torch.cat([images for images, _ in make_loader(expected, train=False)]))
    assert images_in_common(whole, data) == (len(data), True)


def test_vectors_are_cut_too():
    data = Subset(Arrays(torch.randn(12, 4), torch.arange(12) % 3), per_class=2)
    assert data.shape == (4,) and len(data) == 6


@pytest.mark.parametrize("options, message", [
    (dict(), "needs per_class=50 .* or indices"), (dict(per_class=1, indices=[0]), "not both"),
    (dict(per_class=7), r"per_class=7: Shapes \(train\) has fewer images of disc \(6\)"),
    (dict(per_class=0), "per_class"),
    (dict(indices=[60]), "from 0 to 59"), (dict(indices=[1, 1]), "different"), (dict(indices=[-1]), "from 0"),
    (dict(indices=[0.5]), "whole numbers"), (dict(indices=[]), "whole numbers"),
])
def test_impossible_choices_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Subset(Shapes(num_images=60), **options)


def test_a_wrong_key_inside_the_wrapper_is_named():
    with pytest.raises(ValueError, match="num_image.*did you mean 'num_images'"):
        DATASETS.build(dict(type="Subset", data=dict(type="Shapes", num_image=60), per_class=3))
