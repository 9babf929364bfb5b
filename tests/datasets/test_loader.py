import pytest
import torch

from openmix.datasets import Arrays, ResidentLoader, make_loader
from openmix.datasets.augment import crop_flip, normalise, per_channel
from openmix.mixups import CutMix, MixUp
from openmix.plan import epoch_plan

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture
def data():
    g = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (107, 3, 12, 12), dtype=torch.uint8, generator=g)
    return Arrays(images, torch.randint(0, 7, (107,), generator=g), mean=MEAN, std=STD)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a[:2], b[:2], strict=True))


def test_training_batches_follow_the_plan(data):
    method = MixUp()
    loader = ResidentLoader(data, 10, seed=5, padding=2, draw=method.draw)
    plan = epoch_plan(5, 3, 107, 10, method.draw, (12, 12), 2, 0.5)
    batches = list(loader.batches(3))
    assert len(batches) == len(loader) == 10
    for i, (images, labels, mix, seed) in enumerate(batches):
        index = plan.index[i]
        expected = crop_flip(data.images[index], plan.crop[i], plan.flip[i], 2, "reflect")
        assert torch.equal(images, normalise(expected, per_channel(MEAN, ""), per_channel(STD, "")))
        assert torch.equal(labels, data.labels[index]) and torch.equal(mix["lam"], plan.mix["lam"][i])
        assert seed == plan.seed[i]
        method(images, labels, mix)


def test_an_epoch_can_be_entered_anywhere(data):
    straight = ResidentLoader(data, 10, draw=CutMix().draw)
    for epoch in range(2):
        history = list(straight.batches(epoch))
    resumed = list(ResidentLoader(data, 10, draw=CutMix().draw).batches(1, start=4))
    assert len(resumed) == 6
    for a, b in zip(history[4:], resumed, strict=True):
        assert same(a, b) and torch.equal(a[2]["box"], b[2]["box"]) and a[3] == b[3]
    assert not same(history[4], next(ResidentLoader(data, 10, draw=CutMix().draw).batches(0, start=4)))


@pytest.mark.parametrize("world", [2, 5])
def test_processes_share_each_global_batch(data, world):
    whole = list(ResidentLoader(data, 10).batches(1))
    ranks = [list(ResidentLoader(data, 10, rank=r, world=world).batches(1)) for r in range(world)]
    for i, (images, labels, _, seed) in enumerate(whole):
        assert torch.equal(torch.cat([r[i][0] for r in ranks]), images)
        assert torch.equal(torch.cat([r[i][1] for r in ranks]), labels)
        assert all(r[i][3] == seed for r in ranks)


@pytest.mark.parametrize("world", [1, 2, 3, 7, 120])
@pytest.mark.parametrize("batch_size", [8, 1000])
def test_evaluation_shows_every_image_once_for_any_number_of_processes(data, world, batch_size):
    shares = []
    for rank in range(world):
        loader = ResidentLoader(data, train=False, batch_size=batch_size, rank=rank, world=world)
        batches = list(loader)
        assert len(batches) == len(loader) and all(0 < len(x) == len(y) <= batch_size for x, y in batches)
        shares += batches
    images, labels = (torch.cat(parts) for parts in zip(*shares, strict=True))
    assert torch.equal(labels, data.labels)
    assert torch.equal(images, normalise(data.images, per_channel(MEAN, ""), per_channel(STD, "")))


def test_batch_is_a_function_of_a_row_of_the_plan(data):
    loader = ResidentLoader(data, 10)
    plan = loader.plan(2)
    again = [loader.batch(plan.row(i)) for i in (7, 7)]
    assert same(*again) and same(again[0], list(loader.batches(2))[7])


def test_iterating_leaves_data_and_global_random_state_alone(data):
    before, state = data.images.clone(), torch.get_rng_state()
    for images, *_ in ResidentLoader(data, 10, draw=MixUp().draw):
        images.zero_()
    for images, _ in ResidentLoader(data, train=False):
        images.zero_()
    assert torch.equal(data.images, before) and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("train", [True, False])
def test_dtype_and_statistics_can_be_chosen(data, train):
    images = next(iter(ResidentLoader(data, 10, train=train, dtype=torch.bfloat16)))[0]
    assert images.dtype == torch.bfloat16
    plain = next(iter(ResidentLoader(data, 10, train=train, mean=(0, 0, 0), std=(1, 1, 1))))[0]
    assert plain.dtype == torch.float32 and 0 <= plain.min() < plain.max() <= 1


def floats(shape=(40, 5), **options):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return Arrays(values, torch.arange(len(values)) % 4, **options)


@pytest.mark.parametrize("shape", [(40, 5), (40, 1, 9, 7), (40, 2, 6, 6)], ids=str)
@pytest.mark.parametrize("mean, std", [(None, None), ([0.5], [2.0]), ([0.5], None)], ids=str)
def test_float_data_of_any_shape_are_handed_out_as_they_are_or_normalised(shape, mean, std):
    mean, std = (values and values * shape[1] for values in (mean, std))
    data, method = floats(shape, channels_last=False), MixUp()
    loader = ResidentLoader(data, 10, mean=mean, std=std, draw=method.draw, seed=3)
    plan = loader.plan(1)
    assert plan.crop is None and plan.flip is None, "no augmentation by default"
    for i, (images, labels, mix, _) in enumerate(loader.batches(1)):
        index = plan.index[i]
        assert torch.equal(images, (data.images[index] - (0.5 if mean else 0)) / (2 if std else 1))
        assert method(images, labels, mix)[0].shape == images.shape
    evaluated = torch.cat([images for images, _ in ResidentLoader(data, train=False, mean=mean, std=std)])
    assert torch.equal(evaluated, (data.images - (0.5 if mean else 0)) / (2 if std else 1))
    evaluated.zero_()
    assert data.images.any(), "a batch has memory of its own"


def test_float_maps_are_cropped_and_flipped_if_asked():
    data = floats((40, 2, 9, 7), channels_last=False)
    loader = ResidentLoader(data, 10, padding=2, flip=0.5, mode="zeros")
    plan = loader.plan(0)
    images = next(iter(loader))[0]
    assert torch.equal(images, crop_flip(data.images[plan.index[0]], plan.crop[0], plan.flip[0], 2, "zeros"))
    loader = ResidentLoader(data, 10, padding=0, flip=0.5)
    images, flip = next(iter(loader))[0], loader.plan(0).flip[0]
    assert torch.equal(images[flip], data.images[loader.plan(0).index[0]][flip].flip(3)) and flip.any()


def test_bytes_of_any_channel_count_are_augmented_and_scaled():
    data = Arrays(torch.randint(256, (20, 1, 12, 12), dtype=torch.uint8), torch.arange(20) % 2, mean=[0.2], std=[0.5])
    images = next(iter(ResidentLoader(data, 10)))[0]
    assert images.shape == (10, 1, 12, 12) and -0.4 - 1e-6 <= images.min() and images.max() <= 1.6 + 1e-6
    whole = next(iter(make_loader(data, total_batch=10, augment=None)))[0]
    index = ResidentLoader(data, 10).plan(0).index[0]
    assert torch.equal(whole, normalise(data.images[index], *(torch.tensor(v).view(1, 1, 1, 1) for v in (0.2, 0.5))))


def test_what_is_left_out_of_the_augmentation_shifts_nothing_else():
    data = Arrays(torch.randint(256, (20, 3, 12, 12), dtype=torch.uint8), torch.arange(20) % 2)
    some, none = (ResidentLoader(data, 10, draw=CutMix().draw, **s).plan(2) for s in (dict(), dict(padding=0, flip=0)))
    assert torch.equal(some.index, none.index) and torch.equal(some.mix["box"], none.mix["box"])
    assert some.seed == none.seed and none.crop is None and some.crop is not None


def test_vectors_cannot_be_cropped():
    for settings in (dict(padding=4), dict(flip=0.5)):
        with pytest.raises(ValueError, match="vectors.*augment=None"):
            ResidentLoader(floats(), 10, **settings)


def test_the_old_argument_method_still_works_with_a_warning(data):
    with pytest.warns(DeprecationWarning, match="draw=method.draw"):
        loader = ResidentLoader(data, 10, method=MixUp())
    assert "lam" in loader.plan(0).mix


def test_zeros_and_reflect_differ_at_the_border(data):
    reflect, zeros = (next(iter(ResidentLoader(data, 100, mode=mode)))[0] for mode in ("reflect", "zeros"))
    assert not torch.equal(reflect, zeros) and torch.equal(reflect[..., 4:8, 4:8], zeros[..., 4:8, 4:8])


def test_smaller_crops_are_drawn_everywhere_in_training_and_from_the_centre_in_evaluation(data):
    plain = dict(crop=8, mean=(0, 0, 0), std=(1, 1, 1))
    loader = ResidentLoader(data, 10, padding=2, mode="zeros", draw=CutMix().draw, **plain)
    plan = loader.plan(0)
    assert loader.shape == (3, 8, 8) and loader.size == (8, 8)
    assert set(plan.crop.flatten().tolist()) == set(range(12 + 2 * 2 - 8 + 1))
    assert plan.mix["box"].max() == 8  # methods draw for what they mix
    images, _, _, _ = next(iter(loader))
    padded = torch.nn.functional.pad(data.images[plan.index[0]], (2, 2, 2, 2)) / 255
    for k, ((y, x), flip) in enumerate(zip(plan.crop[0].tolist(), plan.flip[0].tolist(), strict=True)):
        expected = padded[k, :, y:y + 8, x:x + 8]
        assert torch.equal(images[k], expected.flip(2) if flip else expected)
    seen, _ = next(iter(ResidentLoader(data, train=False, **plain)))
    assert torch.equal(seen, data.images[:100, :, 2:10, 2:10] / 255)
    assert loader.describe()["crop"] == 8 and loader.describe()["size"] == [3, 12, 12]
    whole = ResidentLoader(data, 10, padding=2, crop=12)
    assert torch.equal(next(iter(whole))[0], next(iter(ResidentLoader(data, 10, padding=2)))[0])


def test_describe_names_data_and_batches(data):
    actual = ResidentLoader(data, 10, padding=3, mode="zeros").describe()
    assert actual["sha256"] == data.sha256 and actual["images"] == 107 and actual["size"] == [3, 12, 12]
    assert (actual["total_batch"], actual["padding"], actual["mode"], actual["flip"]) == (10, 3, "zeros", 0.5)
    assert "padding" not in ResidentLoader(data, train=False).describe()


@pytest.mark.parametrize("settings, message", [
    (dict(total_batch=108), "make no batch"), (dict(total_batch=10, world=3), "use one of 1, 2, 5, 10 processes"),
    (dict(mode="edge"), "mode must be"), (dict(padding=12), "padding"), (dict(rank=2, world=2), "rank must lie"),
    (dict(std=(0, 1, 1)), "std must be"), (dict(train=False, batch_size=-1), "batch_size"), (dict(flip=2), "flip"),
    (dict(crop=13), "crop must be the side of squares"), (dict(crop=0), "crop must be"),
])
def test_impossible_settings_are_refused(data, settings, message):
    with pytest.raises(ValueError, match=message):
        ResidentLoader(data, **settings)


@pytest.mark.parametrize("std", [None, (0.25, 0.5, 0.2)])
def test_noise_has_mean_0_and_its_deviation_in_pixels_and_training_alone_has_it(std):
    images = torch.full((64, 3, 16, 16), 128, dtype=torch.uint8)
    mean = None if std is None else (0.1, 0.2, 0.3)

    def make(**options):
        data = Arrays(images, torch.arange(64) % 2)
        return make_loader(data, total_batch=64, padding=0, flip=0.0, mean=mean, std=std, **options)
    noisy, plain = make(noise=0.1), make()
    row = next(iter(noisy.rows()))
    torch.manual_seed(0)
    first = noisy.batch(row)[0]
    clean = plain.batch(row)[0]
    added = (first - clean) * noisy.std
    for channel in added.unbind(1):
        assert channel.std().item() == pytest.approx(0.1, rel=0.02) and abs(channel.mean().item()) < 4 * 0.1 / 128
    torch.manual_seed(0)
    assert torch.equal(noisy.batch(row)[0], first), "the seeded generator draws it"
    assert noisy.describe()["noise"] == 0.1 and "noise" not in plain.describe()
    evaluated = [next(iter(make(train=False, **options)))[0] for options in (dict(noise=0.1), {})]
    assert torch.equal(*evaluated)
    with pytest.raises(ValueError, match="noise"):
        make(noise=-1)
