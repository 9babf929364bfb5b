"""Nearest neighbours against plain sorting, their cache, and the images that a loader hands over to be mixed in."""
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from openmix.datasets import neighbours
from openmix.datasets.arrays import Arrays
from openmix.datasets.loader import ResidentLoader
from openmix.datasets.neighbours import nearest, neighbour_table
from openmix.mixups import MixUp


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "openmix" / "neighbours"


def random_set(n=300, classes=5, side=4, levels=256, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(levels, (n, 3, side, side), generator=generator).to(torch.uint8)
    return Arrays(images, torch.arange(n) % classes)


def sorted_neighbours(data, k, same_class):
    """By Python's sort on exact integers, ties in the order of the set."""
    values = data.images.flatten(1).long()
    rows = []
    for i in range(len(values)):
        distances = (values - values[i]).square().sum(1).tolist()
        others = [j for j in range(len(values)) if j != i and (not same_class or data.labels[j] == data.labels[i])]
        rows.append(sorted(others, key=lambda j: (distances[j], j))[:k])
    return torch.tensor(rows)


@pytest.mark.parametrize("same_class", [False, True])
@pytest.mark.parametrize("levels", [256, 2], ids=["random images", "many ties"])
def test_the_table_equals_a_sort_of_all_distances_without_the_image_itself(same_class, levels, monkeypatch):
    data = random_set(levels=levels, side=4 if levels == 256 else 1)
    expected = sorted_neighbours(data, 7, same_class)
    assert torch.equal(neighbour_table(data, 7, same_class), expected.int())
    monkeypatch.setattr(neighbours, "BLOCK", 1000)
    monkeypatch.setattr(neighbours, "PART", 500)
    if not same_class:
        assert torch.equal(nearest(data.images, 7), expected), "the size of the blocks does not matter"


def test_floats_and_vectors_have_neighbours_too():
    values = torch.randn(50, 9, generator=torch.Generator().manual_seed(0))
    expected = torch.cdist(values.double(), values.double()).fill_diagonal_(torch.inf).argsort(1)[:, :4]
    assert torch.equal(nearest(values, 4), expected)


def test_equal_images_are_neighbours_at_distance_0_in_the_order_of_the_set():
    assert nearest(torch.full((5, 2), 200, dtype=torch.uint8), 2).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


def test_distances_of_bytes_are_exact_beyond_the_precision_of_float32():
    """Squared distances 24 * 255^2 and one less: float32 has steps of 2 beyond 2^24, and more of such pixels tie."""
    n = 400
    images = torch.zeros(3, n, dtype=torch.uint8)
    images[1], images[2] = 255, 255
    images[2, 0], images[1, 0] = 254, 255  # the third is nearer to the first by 509 of 26 million
    images[2, 1:20] = 255
    assert nearest(images, 2)[0].tolist() == [2, 1]
    one = torch.zeros(4, n, dtype=torch.uint8)
    one[1:] = 255
    one[1, :1], one[2, :1], one[3, 0] = 1, 0, 1  # distances differ by 1 of 26 million
    assert nearest(one, 3)[0].tolist() == [2, 1, 3]


def test_a_table_is_computed_once_and_read_as_plain_numbers(cache, monkeypatch):
    data = random_set(40)
    table = neighbour_table(data, 3)
    (path,) = cache.glob("*.npy")
    assert data.sha256 in path.name and np.load(path, allow_pickle=False).dtype == np.int32
    with monkeypatch.context() as patch:
        patch.setattr(neighbours, "nearest", lambda *_: pytest.fail("found anew"))
        assert torch.equal(neighbour_table(data, 3), table)
    for other in (random_set(40, seed=1), data):
        neighbour_table(other, 4)
    neighbour_table(data, 3, same_class=True)
    assert len(list(cache.glob("*.npy"))) == 4, "a file for each set and each kind"
    evil = np.empty(1, dtype=object)
    evil[0] = "code"
    for content in (None, evil, np.full((40, 3), 40, np.int32), np.zeros((39, 3), np.int32), np.zeros((40, 3))):
        if content is None:
            path.write_bytes(path.read_bytes()[:100])
        else:
            np.save(path, content, allow_pickle=True)
        assert torch.equal(neighbour_table(data, 3), table), "what does not fit is made anew"
        assert torch.equal(torch.from_numpy(np.load(path)), table)


def test_without_a_cache_that_can_be_written_the_neighbours_are_computed_all_the_same(tmp_path):
    data, blocked = random_set(20), tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.warns(UserWarning, match="not cached"):
        table = neighbour_table(data, 3, folder=blocked)
    assert torch.equal(table, neighbour_table(data, 3))


def test_processes_that_want_one_table_find_it_once(cache, tmp_path):
    code = ("import json, sys, time; from openmix.datasets import neighbours\n"
            "from tests.datasets.test_neighbours import random_set\n"
            "found, real = [], neighbours.nearest\n"
            "def slow(*a): found.append(1); time.sleep(0.5); return real(*a)\n"
            "neighbours.nearest = slow\n"
            "table = neighbours.neighbour_table(random_set(30), 2)\n"
            "print(json.dumps([len(found), table.sum().item()]))")
    two = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    (one, total), (other, again) = (json.loads(process.communicate(timeout=120)[0]) for process in two)
    assert one + other == 1 and total == again


@pytest.mark.parametrize("same_class, match", [(False, "k=30 neighbours need k . 1 images; fewer are in arrays"),
                                               (True, "k=30 .* of each class; fewer are in 0, 1")])
def test_too_few_images_are_refused(same_class, match):
    with pytest.raises(ValueError, match=match):
        neighbour_table(random_set(30), 30, same_class)


def test_a_set_that_is_not_in_memory_is_refused():
    class Streamed:
        name, labels = "my folder", torch.arange(3)
    with pytest.raises(ValueError, match="my folder is decoded from files.*resident=True"):
        neighbour_table(Streamed(), 1)


# -- the loader --------------------------------------------------------------------------------------------------------


def loader(data, method, **settings):
    settings = dict(padding=2, draw=method.draw, neighbours=method.neighbours) | settings
    return ResidentLoader(data, 10, seed=5, **settings)


@pytest.mark.parametrize("augment", [dict(padding=0, flip=0.0), dict(flip=0.5)], ids=str)
def test_the_loader_hands_over_neighbours_of_the_images_with_views_of_their_own(augment):
    data, method = random_set(60), MixUp(partner="class_knn", k=3)
    table = neighbour_table(data, 3, same_class=True)
    with_them, plain, used = loader(data, method, **augment), loader(data, MixUp(), **augment), set()
    for row, other in zip(with_them.rows(2), plain.rows(2), strict=True):
        index, partner = row.index, row.partner["index"]
        assert torch.equal(index, other.index) and torch.equal(row.mix["lam"], other.mix["lam"]), "no draw is shifted"
        assert torch.equal(with_them.batch(row)[0], plain.batch(other)[0])
        place = (table[index] == partner[:, None]).int().argmax(1)
        assert torch.equal(table[index, place].long(), partner)
        used |= set(place.tolist())
        draws = with_them.draws(row)
        assert torch.equal(draws["partner_labels"], data.labels[index]), "of the same class"
        if "padding" not in augment:
            assert not torch.equal(row.partner["crop"], row.crop)
        else:
            assert torch.equal(draws["partner_images"], with_them.normalise(data.images[partner]))
    assert used == {0, 1, 2} and plain.draws(other) is other.mix
    assert with_them.describe()["neighbours"] == dict(k=3, same_class=True) and "neighbours" not in plain.describe()


def test_processes_share_the_neighbours_of_a_global_batch_and_steps_can_be_entered_anywhere():
    data, method = random_set(60), MixUp(partner="knn", k=3)
    whole = list(loader(data, method).batches(1))
    halves = [list(loader(data, method, rank=rank, world=2).batches(1, start=3)) for rank in range(2)]
    for (images, labels, draws, _), *parts in zip(whole[3:], *halves, strict=True):
        for k, whole_part in enumerate((images, labels)):
            assert torch.equal(torch.cat([part[k] for part in parts]), whole_part)
        for key in ("partner_images", "partner_labels"):
            assert torch.equal(torch.cat([part[2][key] for part in parts]), draws[key])
        method(images, labels, draws)


def test_evaluation_looks_for_no_neighbours(monkeypatch):
    monkeypatch.setattr("openmix.datasets.loader.neighbour_table", lambda *_, **__: pytest.fail("looked"))
    assert loader(random_set(20), MixUp(partner="knn"), train=False).table is None
