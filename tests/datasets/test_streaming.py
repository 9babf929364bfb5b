"""The streaming loader: same plan, same batches as the resident one; workers, resume, processes, damaged files."""
import math
import os

import numpy as np
import pytest
import torch
from PIL import Image

from openmix import sampling
from openmix.datasets import ImageFolderData, ResidentLoader, StreamingLoader, make_loader
from openmix.engine import checkpoint
from openmix.engine.config.check import check_loader
from openmix.engine.train_loop import Stopped
from openmix.mixups import CutMix, MixUp
from openmix.plan import epoch_plan
from tests.engine.tiny import assert_equal_state, config, losses, train

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
CROPS = dict(scale=(0.2, 1.0), ratio=(0.6, 1.5))
KINDS = dict(padded={}, resized=CROPS)
kinds = pytest.mark.parametrize("kind", KINDS)


def same(batches, others):
    batches, others = list(batches), list(others)
    return len(batches) == len(others) > 0 and all(
        torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) and a[3:] == b[3:]
        for a, b in zip(batches, others, strict=True))


# -- against the resident loader and an independent reference ---------------------------------------------------------


@pytest.mark.parametrize("settings", [dict(), dict(padding=2, mode="zeros", flip=1.0), dict(rank=1, world=2),
                                      dict(dtype=torch.bfloat16, draw=CutMix().draw, mean=(0, 0, 0), std=(1, 1, 1))])
def test_batches_are_those_of_the_resident_loader(pictures, make_streaming, settings):
    resident = ResidentLoader(ImageFolderData(pictures, size=16, resident=True, mean=MEAN, std=STD), 4, **settings)
    streaming = make_streaming(**settings)
    assert len(streaming) == len(resident) == 6
    assert same(streaming.batches(3), resident.batches(3))
    for ours, theirs in zip(streaming.batches(3), resident.batches(3), strict=True):
        assert ours[2].keys() == theirs[2].keys() and ours[0].dtype == theirs[0].dtype
        assert all(torch.equal(ours[2][k], theirs[2][k]) for k in ours[2])


def test_evaluation_is_that_of_the_resident_loader(pictures, make_streaming):
    data = ImageFolderData(pictures, "train", size=16, resident=True, mean=MEAN, std=STD)
    resident = ResidentLoader(data, train=False, batch_size=7)
    streaming = make_streaming(train=False, batch_size=7)
    assert [len(images) for images, _ in streaming] == [7, 7, 7, 5] and len(streaming) == 4
    assert same(streaming, resident) and same(streaming.batches(start=2), resident.batches(start=2))


def slow_crop(path, candidates, ratio, size):
    """Random resized crop of one file with Pillow, as torchvision's ``RandomResizedCrop`` writes it."""
    image = Image.open(path).convert("RGB")
    width, height = image.size
    box = None
    for share, aspect, y, x in candidates:
        wide = round(math.sqrt(width * height * share * aspect))
        tall = round(math.sqrt(width * height * share / aspect))
        if box is None and 0 < wide <= width and 0 < tall <= height:
            left, top = int(x * (width - wide + 1)), int(y * (height - tall + 1))
            box = left, top, left + wide, top + tall
    if box is None:
        wide, tall = width, height
        if width / height < ratio[0]:
            tall = round(width / ratio[0])
        elif width / height > ratio[1]:
            wide = round(height * ratio[1])
        box = (width - wide) // 2, (height - tall) // 2, (width - wide) // 2 + wide, (height - tall) // 2 + tall
    return np.asarray(image.crop(box).resize((size, size), Image.BILINEAR)).astype(np.float64)


def test_resized_crops_are_those_of_a_slow_reference(make_streaming):
    loader = make_streaming(seed=7, **CROPS)
    plan = loader.plan(2)
    for i, (images, labels, _, seed) in enumerate(loader.batches(2)):
        assert seed == plan.seed[i] and torch.equal(labels, loader.data.labels[plan.index[i]])
        for k in range(4):
            candidates = sampling.resized_crops(plan.crop_key[i, k], **CROPS).tolist()
            pixels = slow_crop(loader.data.paths[plan.index[i, k]], candidates, CROPS["ratio"], 16)
            pixels = pixels[:, ::-1] if plan.flip[i, k] else pixels
            expected = (pixels / 255 - MEAN) / STD
            off = (images[k].permute(1, 2, 0).double() - torch.from_numpy(expected)).abs() * 255 * torch.tensor(STD)
            assert off.max() < 1.01, "one level of uint8"


def test_the_plan_is_that_of_the_epoch_and_crops_have_a_stream_of_their_own(make_streaming):
    method = MixUp()
    loader = make_streaming(seed=5, draw=method.draw, **CROPS)
    plan, expected = loader.plan(3), epoch_plan(5, 3, 26, 4, method.draw, (16, 16), 0, 0.5)
    assert torch.equal(plan.index, expected.index) and torch.equal(plan.flip, expected.flip)
    assert torch.equal(plan.mix["lam"], expected.mix["lam"]) and plan.seed == expected.seed
    keys = [loader.plan(epoch).crop_key for epoch in (0, 1)] + [make_streaming(seed=6, **CROPS).plan(0).crop_key]
    assert len(torch.stack(keys).unique()) == 3 * 24, "each image of each epoch and seed has a crop of its own"


# -- workers, resume, processes ---------------------------------------------------------------------------------------


@kinds
def test_workers_change_nothing_and_stay_from_epoch_to_epoch(make_streaming, kind):
    alone, helped = make_streaming(**KINDS[kind]), make_streaming(num_workers=2, **KINDS[kind])
    expected = [list(alone.batches(epoch)) for epoch in (0, 1)]
    assert not same(*expected)
    assert same(helped.batches(0), expected[0])
    pids = [w.pid for w in helped.workers._iterator._workers]
    next(helped.batches(5))  # an epoch left in its middle leaves nothing behind
    assert same(helped.batches(1), expected[1])
    assert [w.pid for w in helped.workers._iterator._workers] == pids


@kinds
def test_an_epoch_can_be_entered_anywhere(make_streaming, kind):
    assert same(make_streaming(**KINDS[kind]).batches(1, start=4), list(make_streaming(**KINDS[kind]).batches(1))[4:])


@kinds
def test_processes_share_each_global_batch_and_decode_their_part_only(make_streaming, kind, monkeypatch):
    whole = list(make_streaming(**KINDS[kind]).batches(1))
    ranks = [make_streaming(rank=r, world=2, **KINDS[kind]) for r in range(2)]
    parts = [list(loader.batches(1)) for loader in ranks]
    for i, (images, labels, _, seed) in enumerate(whole):
        assert torch.equal(torch.cat([p[i][0] for p in parts]), images)
        assert torch.equal(torch.cat([p[i][1] for p in parts]), labels) and all(p[i][3] == seed for p in parts)
    seen = torch.cat([loader.plan(1).index.flatten() for loader in ranks])
    assert len(seen.unique()) == len(seen) == 24


@pytest.mark.parametrize("world", [1, 2, 3, 30])
def test_evaluation_shows_every_image_once_for_any_number_of_processes(make_streaming, world):
    shares = [list(make_streaming(train=False, batch_size=4, rank=r, world=world)) for r in range(world)]
    images, labels = (torch.cat([batch[k] for share in shares for batch in share]) for k in (0, 1))
    straight = list(make_streaming(train=False))
    assert len(straight) == 1 and torch.equal(images, straight[0][0]) and torch.equal(labels, straight[0][1])


def test_rows_carry_the_plan_images_and_columns(make_streaming):
    loader = make_streaming(draw=MixUp().draw, **CROPS)
    lr = torch.arange(6.0)
    rows = list(loader.rows(2, start=1, columns=dict(lr=lr, progress=lr / 6)))
    assert [row.lr.item() for row in rows] == [1, 2, 3, 4, 5] and rows[0].progress.item() == pytest.approx(1 / 6)
    for row, batch in zip(rows, loader.batches(2, start=1), strict=True):
        assert row.images.dtype == torch.uint8 and row.images.shape == (4, 3, 16, 16)
        assert isinstance(row.seed, int) and torch.equal(row.mix["lam"], batch[2]["lam"])
        images, labels = loader.batch(row)
        assert torch.equal(images, batch[0]) and torch.equal(labels, batch[1]) and images.is_contiguous()


@pytest.mark.parametrize("train", [True, False])
def test_iterating_leaves_the_global_random_state_alone(make_streaming, rng_untouched, train):
    with rng_untouched():
        for workers in (0, 1):
            assert len(list(make_streaming(train=train, num_workers=workers))) > 0


def test_one_iterator_at_a_time(make_streaming):
    loader = make_streaming()
    first = loader.batches(0)
    next(first)
    next(loader.batches(1))
    with pytest.raises(RuntimeError, match="one iterator at a time"):
        next(first)


def test_the_number_of_workers_follows_the_cores(make_streaming, monkeypatch):
    cores = len(os.sched_getaffinity(0))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert make_streaming(num_workers=None).num_workers == min(8, cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(cores))
    assert make_streaming(num_workers=None).num_workers == 1


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings, message", [
    (dict(scale=(0, 1)), "scale must be"), (dict(scale=(0.5, 1.5)), "scale must be"), (dict(scale=0.5), "scale must"),
    (dict(scale=(0.08, 1), ratio=(2, 1)), "ratio must be"), (dict(ratio=(1, 2)), "give scale too"),
    (dict(scale=(0.08, 1), padding=4), "two ways to crop"), (dict(num_workers=-1), "num_workers"),
    (dict(mode="edge"), "mode must be"), (dict(padding=16), "padding"), (dict(flip=2), "flip"),
    (dict(rank=2, world=2), "rank must lie"), (dict(world=3), "use one of 1, 2, 4 processes"),
    (dict(train=False, batch_size=0), "batch_size"),
])
def test_impossible_settings_are_refused(make_streaming, settings, message):
    with pytest.raises(ValueError, match=message):
        make_streaming(**settings)


def test_a_set_smaller_than_a_batch_is_refused(pictures):
    with pytest.raises(ValueError, match="make no batch"):
        StreamingLoader(ImageFolderData(pictures, size=16, resident=False), 27)


def test_describe_names_data_and_batches(make_streaming):
    padded, resized = make_streaming(padding=3, mode="zeros").describe(), make_streaming(**CROPS).describe()
    assert (padded["total_batch"], padded["padding"], padded["mode"], padded["flip"]) == (4, 3, "zeros", 0.5)
    assert resized["scale"] == [0.2, 1.0] and resized["ratio"] == [0.6, 1.5] and "scale" not in padded
    assert resized["sha256"] == padded["sha256"] and "padding" not in make_streaming(train=False).describe()


def test_the_set_says_which_loader_it_needs(pictures):
    for resident, kind in ((True, ResidentLoader), (False, StreamingLoader)):
        data = ImageFolderData(pictures, size=16, resident=resident)
        assert type(make_loader(data, total_batch=4, num_workers=0, scale=None)) is kind


GOOD = dict(total_batch=4, num_workers=2, augment=dict(scale=(0.08, 1), ratio=(0.5, 2)),
            dataset=dict(type="ImageFolderData", resident=False))


@pytest.mark.parametrize("change, message", [
    (dict(num_workers=-1), "num_workers must be"), (dict(num_worker=1), "did you mean 'num_workers'"),
    (dict(augment=dict(scales=(0.1, 1))), "did you mean 'scale'"), (dict(augment=dict(scale=2)), "scale must be"),
    (dict(augment=dict(scale=(0.1, 1), padding=4)), "two ways to crop"),
    (dict(dataset=dict(type="ImageFolderData")), "augment.scale .*resident=False"),
    (dict(dataset=dict(type="CIFAR10")), "augment.scale .*resident=False"),
])
def test_wrong_keys_and_values_are_refused_before_data_is_touched(change, message):
    check_loader("train_dataloader", GOOD)
    with pytest.raises(ValueError, match=message):
        check_loader("train_dataloader", {**GOOD, **change})


def training(pictures, work_dir, resident, **augment):
    """Config of two epochs on the folder of pictures."""
    def data(split):
        return dict(type="ImageFolderData", data_root=str(pictures), split=split, size=16, resident=resident)

    cfg = config(work_dir, **{"model.num_classes": 2})
    cfg.train_dataloader = dict(total_batch=6, dataset=data("train"), augment=augment, num_workers=1)
    cfg.val_dataloader = cfg.test_dataloader = dict(batch_size=4, dataset=data("test"), num_workers=0)
    return cfg


def test_a_training_is_the_same_from_memory_and_from_files(pictures, tmp_path):
    for name, resident in (("held", True), ("streamed", False)):
        train(training(pictures, tmp_path / name, resident, padding=2))
    held, streamed = (checkpoint.load(tmp_path / name / "epoch_2.pth") for name in ("held", "streamed"))
    for part in ("state_dict", "optimizer", "ema"):
        assert_equal_state(held[part], streamed[part])
    assert losses(tmp_path / "held") == losses(tmp_path / "streamed") != {}


def test_a_streamed_training_cut_in_an_epoch_resumes_exactly(pictures, tmp_path):
    for name in ("whole", "parts"):
        cfg = training(pictures, tmp_path / name, False, **CROPS)
        if name == "parts":
            cfg.train_cfg.stop_after = 6
            with pytest.raises(Stopped):
                train(cfg)
            cfg.train_cfg.pop("stop_after")
            cfg.resume = True
        runner = train(cfg)
    whole, parts = (checkpoint.load(tmp_path / name / "epoch_2.pth") for name in ("whole", "parts"))
    for part in ("state_dict", "optimizer", "ema"):
        assert_equal_state(whole[part], parts[part])
    actual = runner.train_loop.dataloader.describe()
    assert actual["scale"] == [0.2, 1.0] and "names" in actual["sha256_of"]
