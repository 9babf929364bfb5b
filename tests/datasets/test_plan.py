import pytest
import torch
from torch import Tensor

from openmix.mixups import CutMix, MixUp, RandomChoice, Vanilla
from openmix.plan import epoch_plan

METHODS = [Vanilla(), MixUp(prob=0.5), CutMix(per_sample=True, pairing="perm"), RandomChoice([MixUp(), CutMix()])]


def leaves(tree, name=""):
    tree = {k: v for k, v in tree._asdict().items() if v is not None} if isinstance(tree, tuple) else tree
    if isinstance(tree, dict):
        for k, v in tree.items():
            yield from leaves(v, f"{name}.{k}")
    else:
        yield name, tree


def equal(a, b):
    a, b = dict(leaves(a)), dict(leaves(b))
    return a.keys() == b.keys() and all(
        torch.equal(v, b[k]) if isinstance(v, Tensor) else v == b[k] for k, v in a.items())


def plan(epoch=0, seed=3, n=230, batch=20, method=None, **kwargs):
    return epoch_plan(seed, epoch, n, batch, (method or Vanilla()).draw, (32, 32), **kwargs)


def test_shapes_and_ranges():
    actual = plan(n=2300, padding=3)
    assert actual.index.shape == (115, 20) and actual.index.dtype == torch.int64
    assert actual.crop.shape == (115, 20, 2) and actual.crop.unique().tolist() == list(range(7))
    assert actual.flip.shape == (115, 20) and actual.flip.dtype == torch.bool
    assert abs(actual.flip.float().mean() - 0.5) < 0.05  # 4.8 standard deviations
    assert len(actual.seed) == 115 == len(set(actual.seed)) and all(type(s) is int for s in actual.seed)


def test_flip_is_the_chance_of_a_mirrored_image():
    assert not plan(flip=0.0).flip.any() and plan(flip=1.0).flip.all()


def test_no_image_twice_and_other_ones_left_out_each_epoch():
    seen = [set(plan(epoch).index.flatten().tolist()) for epoch in range(5)]
    assert all(len(s) == 220 and s <= set(range(230)) for s in seen)
    assert len(set(map(frozenset, seen))) == 5


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_the_plan_depends_on_seed_and_epoch_alone(method):
    with torch.random.fork_rng(devices=[]):
        first = plan(epoch=7, method=method)
        torch.manual_seed(99)
        torch.rand(13)
        for epoch in range(3):  # a history
            plan(epoch, method=method)
        assert equal(first, plan(epoch=7, method=method))
    for other in (plan(epoch=8, method=method), plan(epoch=7, seed=4, method=method)):
        assert not torch.equal(first.index, other.index) and not torch.equal(first.crop, other.crop)
        assert not set(first.seed) & set(other.seed)


def test_the_global_random_state_stays_untouched():
    before = torch.get_rng_state()
    for method in METHODS:
        plan(method=method)
    assert torch.equal(before, torch.get_rng_state())


def test_order_and_augmentation_do_not_depend_on_the_method():
    plain = plan()
    for method in METHODS:
        actual = plan(method=method)
        assert equal(actual._replace(mix={}), plain._replace(mix={}))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("world", [1, 2, 4, 5])
def test_slices_of_all_processes_make_the_global_batch(method, world):
    whole = plan(method=method)
    parts = [dict(leaves(whole.slice(rank, world))) for rank in range(world)]
    for name, value in leaves(whole):
        if isinstance(value, Tensor) and value.ndim > 1 and value.shape[1] == 20:
            assert all(p[name].shape[1] == 20 // world for p in parts)
            assert torch.equal(torch.cat([p[name] for p in parts], 1), value)
        else:  # one for the whole batch: every process has it
            assert all(torch.equal(p[name], value) if isinstance(value, Tensor) else p[name] == value for p in parts)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_a_slice_of_the_draws_mixes_a_slice_of_the_batch(method):
    step = plan(method=method).slice(1, 4).row(2)
    images, labels = torch.rand(5, 3, 32, 32), torch.arange(5)
    mixed, target = method(images, labels, step.mix)
    assert mixed.shape == images.shape and len(target.label) == 5


def test_an_indivisible_process_count_names_valid_ones():
    with pytest.raises(ValueError, match="20 cannot be shared evenly by 3 processes; use one of 1, 2, 4, 5, 10, 20"):
        plan().slice(0, 3)


def test_draws_with_another_number_of_rows_are_refused():
    class Wrong(Vanilla):
        def draw(self, n, size, generator=None, steps=(), device=None):
            return dict(inner=dict(noise=torch.zeros(*steps, 7)))

    with pytest.raises(ValueError, match=r"mix.inner.noise has shape \(11, 7\)"):
        plan(method=Wrong()).slice(0, 2)


@pytest.mark.parametrize("n, batch, message", [(19, 20, "make no batch"), (20, 0, "positive"), (20, 2.0, "positive")])
def test_impossible_batches_are_refused(n, batch, message):
    with pytest.raises(ValueError, match=message):
        plan(n=n, batch=batch)


def test_an_epoch_of_cifar_is_about_a_megabyte():
    actual = epoch_plan(0, 0, 50_000, 100, CutMix().draw, (32, 32))
    size = sum(v.numel() * v.element_size() for _, v in leaves(actual) if isinstance(v, Tensor))
    assert actual.index.shape == (500, 100) and size < 1e6
