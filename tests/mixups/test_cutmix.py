"""CutMix against plain loops, the paper's box, counted pixels and recorded statistics."""
import math

import pytest
import torch

from openmix import functional
from openmix.mixups import CutMix
from tests.mixups.contract import check_forms_agree


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def slow_box(lam, row, column, height, width):
    """The box of the paper's code, written out."""
    ratio = math.sqrt(1 - lam)
    cut_height, cut_width = int(height * ratio), int(width * ratio)
    return [max(row - cut_height // 2, 0), min(row + cut_height // 2, height),
            max(column - cut_width // 2, 0), min(column + cut_width // 2, width)]


def slow_cutmix(images, boxes):
    mixed = images.clone()
    for i, (top, bottom, left, right) in enumerate(boxes):
        for row in range(top, bottom):
            for column in range(left, right):
                mixed[i, :, row, column] = images[i - 1, :, row, column]
    return mixed


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("size", [(8, 13), (13, 8)], ids=["wide", "tall"])
def test_images_and_targets_equal_a_plain_loop(per_sample, size, make_batch):
    images, labels = make_batch(5, size)
    method = CutMix(per_sample=per_sample)
    for seed in range(10):
        draws = method.draw(5, size, generator(seed))
        boxes = draws["box"].expand(5, 4).tolist()
        mixed, target = method(images, labels, draws)
        assert torch.equal(mixed, slow_cutmix(images, boxes))
        for i, (top, bottom, left, right) in enumerate(boxes):
            changed = (mixed[i] != images[i]).any(0).sum()  # no two of these normal pixels are equal
            assert changed == (bottom - top) * (right - left)
            assert target.weight[i, 0] == pytest.approx(1 - changed.item() / math.prod(size), abs=1e-6)
            assert target.label[i].tolist() == [labels[i], labels[i - 1]]


def test_boxes_are_those_of_the_paper():
    lam = torch.rand(500, generator=generator())
    centre = torch.stack([torch.randint(side, (500,), generator=generator(side)) for side in (24, 40)], -1)
    expected = [slow_box(share.item(), *at.tolist(), 24, 40) for share, at in zip(lam, centre, strict=True)]
    assert functional.boxes(lam, centre, (24, 40)).tolist() == expected


def test_box_centres_reach_every_row_and_column():
    size, draws = (9, 5), CutMix(1e6).draw(1, (9, 5), generator(), steps=(3000,))
    half = [int(side * math.sqrt(0.5)) // 2 for side in size]  # lam is 1/2: of unclipped boxes the centre is known
    top, bottom, left, right = draws["box"].view(-1, 4).unbind(1)
    assert (top.min(), bottom.max(), left.min(), right.max()) == (0, 9, 0, 5)
    assert top.max() == 8 - half[0] and left.max() == 4 - half[1]
    assert bottom.min() == half[0] and right.min() == half[1]


@pytest.mark.parametrize("alpha, no_box, kept", [(0.2, 0.172, 0.721), (1.0, 0.005, 0.704)])
def test_clipped_boxes_keep_the_recorded_shares_at_32_pixels(alpha, no_box, kept):
    draws = CutMix(alpha).draw(1, (32, 32), generator(), steps=(20000,))
    lam = 1 - functional.box_area(draws["box"]) / 1024
    assert (lam == 1).float().mean() == pytest.approx(no_box, abs=0.01)
    assert lam.mean() == pytest.approx(kept, abs=0.01)


def test_uint8_images_are_moved_exactly():
    images = torch.randint(256, (4, 3, 12, 10), generator=generator(), dtype=torch.uint8)
    method = CutMix(per_sample=True)
    draws = method.draw(4, (12, 10), generator(1))
    mixed, _ = method(images, torch.arange(4), draws)
    assert mixed.dtype == torch.uint8 and torch.equal(mixed, slow_cutmix(images, draws["box"].tolist()))


def test_float_pixels_are_moved_bit_by_bit(make_batch):
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        images, labels = make_batch(dtype=dtype)
        draws = CutMix().draw(6, (32, 32), generator(1))
        assert torch.equal(CutMix()(images, labels, draws)[0], slow_cutmix(images, draws["box"].expand(6, 4).tolist()))


def test_minmax_draws_whole_boxes_of_the_wanted_sides():
    draws = CutMix(minmax=(0.25, 0.75)).draw(4, (16, 40), generator(), steps=(4000,))
    assert draws["box"].shape == (4000, 1, 4)
    top, bottom, left, right = draws["box"].view(-1, 4).unbind(1)
    assert sorted(set((bottom - top).tolist())) == list(range(4, 12))
    assert sorted(set((right - left).tolist())) == list(range(10, 30))
    assert (top.min(), bottom.max(), left.min(), right.max()) == (0, 16, 0, 40)


def test_minmax_of_whole_images_takes_the_partner(make_batch):
    images, labels = make_batch()
    mixed, target = CutMix(minmax=(1, 1))(images, labels)
    assert torch.equal(mixed, images.roll(1, 0))
    assert torch.equal(target.weight, torch.tensor([[0.0, 1.0]]).expand(6, 2))


def test_minmax_weighs_labels_by_area(make_batch):
    images, labels = make_batch()
    mixed, target = CutMix(minmax=(0.2, 0.9), per_sample=True)(images, labels)
    kept = (mixed == images).all(1).float().mean((1, 2))
    assert torch.allclose(target.weight[:, 0], kept, atol=1e-6)


@pytest.mark.parametrize("prob", [1.0, 0.5])
def test_correct_lam_false_keeps_the_drawn_weight(prob, make_batch):
    images, labels = make_batch()
    method, corrected = (CutMix(correct_lam=flag, per_sample=True, prob=prob) for flag in (False, True))
    assert (method.weight_from, corrected.weight_from) == ("lam", "mask")
    draws = method.draw(6, (32, 32), generator(2))
    mixed, target = method(images, labels, draws)
    assert torch.equal(mixed, corrected(images, labels, draws)[0])
    on = draws.get("on", torch.tensor(True))
    assert torch.allclose(target.weight[:, 0], torch.where(on, draws["lam"], 1.0))


def test_images_that_prob_leaves_alone_keep_their_label(make_batch):
    images, labels = make_batch()
    method = CutMix(prob=0.5, per_sample=True)
    draws = method.draw(6, (32, 32), generator())
    draws["on"] = torch.tensor([True, False] * 3)
    mixed, target = method(images, labels, draws)
    assert torch.equal(mixed[1::2], images[1::2]) and (target.weight[1::2, 0] == 1).all()
    area = functional.box_area(draws["box"])[::2]
    assert (area > 0).all() and torch.allclose(target.weight[::2, 0], 1 - area / 1024)


@pytest.mark.parametrize("minmax", [(0.5, 0.2), (-0.1, 0.5), (0.5, 1.1)])
def test_minmax_must_be_two_shares_in_order(minmax):
    with pytest.raises(ValueError, match="minmax must be two shares in"):
        CutMix(minmax=minmax)


def test_minmax_without_corrected_lam_is_refused():
    with pytest.raises(ValueError, match="correct_lam"):
        CutMix(minmax=(0.2, 0.8), correct_lam=False)


@pytest.mark.parametrize("shape", [(4, 7), (4, 3, 8), (4, 3, 2, 8, 8)])
def test_data_that_is_no_image_is_refused_readably(shape):
    with pytest.raises(ValueError, match=r"CutMix needs images \(N, C, H, W\).*MixUp"):
        CutMix()(torch.randn(shape), torch.arange(4))


@pytest.mark.parametrize("options", [dict(minmax=(0.2, 0.9)), dict(correct_lam=False, prob=0.5)], ids=str)
def test_one_box_copied_by_the_host_equals_the_mask(options, make_batch, monkeypatch):
    check_forms_agree(CutMix(**options), *make_batch(5, (18, 30)), monkeypatch)
