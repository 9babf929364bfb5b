import itertools

import pytest
import torch
import torch.nn.functional as F

from openmix import functional
from openmix.mixups import ResizeMix, resizemix
from tests.mixups.contract import check_forms_agree


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def box(*edges):
    return torch.tensor([edges])


@pytest.mark.parametrize("size", [(32, 32), (15, 24)])
def test_bilinear_paste_is_f_interpolate_of_the_partner(make_batch, size):
    images, labels = make_batch(3, size)
    method = ResizeMix(interpolation="bilinear", per_sample=True)
    for seed in range(8):
        draws = method.draw(3, size, generator(seed))
        mixed, target = method(images, labels, draws)
        for i, (top, bottom, left, right) in enumerate(draws["box"].tolist()):
            small = F.interpolate(images[i - 1][None], (bottom - top, right - left), mode="bilinear")[0]
            expected = images[i].clone()
            expected[:, top:bottom, left:right] = small
            torch.testing.assert_close(mixed[i], expected, atol=1e-5, rtol=1e-5)
            area = (bottom - top) * (right - left) / (size[0] * size[1])
            assert target.weight[i].tolist() == pytest.approx([1 - area, area], abs=1e-6)


def test_nearest_paste_takes_pixel_floor_of_place_times_scale(make_batch):
    images, labels = make_batch(2, (12, 20))
    for bottom in range(1, 13):
        for right in range(1, 21, 3):
            mixed, _ = ResizeMix()(images, labels, dict(box=box(0, bottom, 0, right)))
            assert torch.equal(mixed[0, :, :bottom, :right], F.interpolate(images[1:], (bottom, right))[0])
            for y in range(bottom):
                for x in range(right):
                    assert torch.equal(mixed[1, :, y, x], images[0, :, y * 12 // bottom, x * 20 // right])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_ledger_08_the_mask_is_where_the_box_is_pasted(make_batch, interpolation):
    """An asymmetric box in an asymmetric image: a transposed mask cannot fit."""
    images = torch.stack([torch.zeros(3, 16, 24), torch.ones(3, 16, 24)])
    method, draws = ResizeMix(interpolation=interpolation), dict(box=box(2, 13, 19, 23))
    mixed, _ = method(images, torch.arange(2), draws)
    expected = torch.ones(16, 24)
    expected[2:13, 19:23] = 0
    assert torch.equal(method.details(images, draws)["mask"][0, 0], expected)
    assert torch.equal(mixed[0], (1 - expected).expand(3, 16, 24)) and torch.equal(mixed[1], expected.expand(3, 16, 24))


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (4, 16), (1, 1)])
def test_ledger_08_small_images_have_boxes_of_a_pixel_at_least(make_batch, size):
    images, labels = make_batch(64, size)
    for scope, clipped in itertools.product([(0.1, 0.8), (0, 0), (1, 1)], [False, True]):
        method = ResizeMix(scope=scope, clipped=clipped, per_sample=True)
        draws = method.draw(64, size, generator())
        top, bottom, left, right = draws["box"].unbind(-1)
        assert (top >= 0).all() and (left >= 0).all() and (bottom <= size[0]).all() and (right <= size[1]).all()
        assert (bottom - top >= 1).all() and (right - left >= 1).all()
        assert method(images, labels, draws)[0].isfinite().all()


def drawn_tau(monkeypatch, **options):
    """The side shares that boxes are made of."""
    seen = []
    real = resizemix.shifted_boxes
    monkeypatch.setattr(resizemix, "shifted_boxes", lambda share, *a: seen.append(share) or real(share, *a))
    ResizeMix(per_sample=True, **options).draw(20000, (32, 32), generator())
    return seen[0]


@pytest.mark.parametrize("alpha", [1.0, 0.5, 2.0])
def test_tau_is_beta_inside_the_scope_and_uniform_for_what_left_it(monkeypatch, alpha):
    tau = drawn_tau(monkeypatch, alpha=alpha)
    grid = (torch.arange(200000) + 0.5) / 200000
    density = (grid * (1 - grid)) ** (alpha - 1)
    inside = (grid >= 0.1) & (grid <= 0.8)
    stays = (density * inside).sum() / density.sum()
    assert 0.1 <= tau.min() and tau.max() <= 0.8
    for point in (0.2, 0.35, 0.5, 0.7):
        beta_below = (density * inside * (grid <= point)).sum() / density.sum()
        law = beta_below + (1 - stays) * (point - 0.1) / 0.7
        assert (tau <= point).float().mean().item() == pytest.approx(law.item(), abs=0.012)
    if alpha == 1:  # the paper's U(0.1, 0.8)
        assert tau.mean().item() == pytest.approx(0.45, abs=0.005)
        assert tau.var().item() == pytest.approx(0.7**2 / 12, abs=0.001)


def authors_box(side, tau, centre):
    """Low and high edge as in getbox_new of the authors' code, one number at a time."""
    length = int(side * tau)
    low = max(centre - length // 2, 0)
    high = min(low + length, side)
    return max(high - length, 0), high


@pytest.mark.parametrize("size", [(32, 32), (18, 30)])
def test_boxes_are_those_of_the_authors_code(size):
    shares = [0.1, 0.25, 0.5, 0.777, 0.8]
    tau = torch.tensor(shares, dtype=torch.float64)[:, None]
    rows, columns = (torch.arange(64) * step % side for step, side in zip((7, 11), size, strict=True))
    boxes = resizemix.shifted_boxes(tau, torch.stack([rows, columns], -1).expand(5, 64, 2), size)
    expected = [[[*authors_box(size[0], share, y), *authors_box(size[1], share, x)]
                 for y, x in zip(rows.tolist(), columns.tolist(), strict=True)] for share in shares]
    assert boxes.tolist() == expected
    assert len(set(map(tuple, boxes[2].tolist()))) > 20, "the places differ"


def test_a_batch_has_one_size_and_each_image_a_place_of_its_own():
    method = ResizeMix()
    draws = method.draw(64, (32, 32), generator(), steps=(50,))
    top, bottom, left, right = draws["box"].unbind(-1)
    assert torch.equal(bottom - top, right - left), "square images have square boxes"
    assert ((bottom - top) == (bottom - top)[:, :1]).all() and (top.amax(1) > top.amin(1)).all()
    assert (bottom - top).unique().numel() > 10, "the size differs from batch to batch"
    each = ResizeMix(per_sample=True).draw(64, (32, 32), generator())["box"]
    assert (each[:, 1] - each[:, 0]).unique().numel() > 10
    one = ResizeMix(clipped=True).draw(64, (32, 32), generator())["box"]
    assert one.shape == (1, 4), "clipped: one place a batch, as in the tables"


def test_labels_weigh_one_minus_the_squared_side_over_the_area_0770_on_average(make_batch):
    """Closed form at 32 pixels: sides floor(32 tau), tau uniform in (0.1, 0.8), never cut by the border."""
    method, images, labels = ResizeMix(), *make_batch(6)
    for seed in range(10):
        draws = method.draw(6, (32, 32), generator(seed))
        target = method(images, labels, draws)[1]
        side = (draws["box"][:, 1] - draws["box"][:, 0]).double()
        torch.testing.assert_close(target.weight[:, 0].double(), 1 - side**2 / 1024, atol=1e-6, rtol=0)
    law = 1 - sum(s**2 * (min(s + 1, 25.6) - max(s, 3.2)) for s in range(3, 26)) / 22.4 / 1024
    assert law == pytest.approx(0.7703, abs=1e-4)
    box = ResizeMix(per_sample=True).draw(50000, (32, 32), generator())["box"]
    assert 1 - functional.box_area(box).double().mean().item() / 1024 == pytest.approx(law, abs=0.004)


def test_kept_share_of_the_clipped_form_averages_about_082():
    """Large images: 1 - E[(tau - tau^2 / 4)^2]; at 32 pixels sides are cut to even numbers: 0.841."""
    tau = 0.1 + 0.7 * (torch.arange(10000) + 0.5) / 10000
    law = 1 - (tau - tau.square() / 4).square().mean().item()
    assert law == pytest.approx(0.82, abs=0.01)
    method = ResizeMix(clipped=True, per_sample=True)
    large = method.draw(20000, (4096, 4096), generator())["box"]
    assert 1 - functional.box_area(large).float().mean().item() / 4096**2 == pytest.approx(law, abs=0.004)
    small = 1 - functional.box_area(method.draw(20000, (32, 32), generator())["box"]).float().mean().item() / 1024
    assert small == pytest.approx(0.841, abs=0.004)


def test_clipped_boxes_are_those_of_the_tables():
    """Around the centre floor(tau * side) // 2 pixels to each side, cut off at the border."""
    for seed in range(20):
        actual = ResizeMix(clipped=True, scope=(0.5, 0.5)).draw(4, (16, 24), generator(seed))["box"]
        draw = generator(seed)
        torch.rand(1, generator=draw), torch.rand(1, generator=draw)  # tau, and tau drawn again
        y, x = (torch.randint(0, side, (1,), generator=draw).item() for side in (16, 24))
        assert actual.tolist() == [[max(y - 4, 0), min(y + 4, 16), max(x - 6, 0), min(x + 6, 24)]]


def test_integer_images_move_and_are_not_blended(make_batch):
    images, labels = make_batch(4)
    whole = images.mul(50).add(128).clamp(0, 255).to(torch.uint8)
    draws = ResizeMix().draw(4, (32, 32), generator())
    mixed, _ = ResizeMix()(whole, labels, draws)
    assert mixed.dtype == torch.uint8 and torch.equal(mixed.float(), ResizeMix()(whole.float(), labels, draws)[0])
    with pytest.raises(ValueError, match="interpolation='nearest'"):
        ResizeMix(interpolation="bilinear")(whole, labels)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_half_precision_images_are_sampled_at_the_same_places(make_batch, dtype, interpolation):
    images, labels = make_batch(4, (24, 40), dtype=dtype)
    method = ResizeMix(interpolation=interpolation)
    draws = method.draw(4, (24, 40), generator(1))
    assert torch.equal(method(images, labels, draws)[0], method(images.float(), labels, draws)[0].to(dtype))


def test_images_left_alone_are_the_images(make_batch):
    images, labels = make_batch(8)
    method = ResizeMix(prob=0.5, per_sample=True)
    draws = method.draw(8, (32, 32), generator(1))
    mixed, target = method(images, labels, draws)
    assert 0 < draws["on"].sum() < 8
    for i, on in enumerate(draws["on"]):
        assert torch.equal(mixed[i], images[i]) != on.item() and (target.weight[i, 0] == 1) != on


@pytest.mark.parametrize("options", [dict(scope=(0.8, 0.1)), dict(scope=(0.1, 1.5)), dict(interpolation="cubic")])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ResizeMix(**options)


@pytest.mark.parametrize("options", [{}, dict(pairing="perm", prob=0.5), dict(clipped=True),
                                     dict(clipped=True, pairing="perm", prob=0.5)], ids=str)
def test_bilinear_pixels_of_a_box_copied_by_the_host_equal_those_under_the_mask(options, make_batch, monkeypatch):
    check_forms_agree(ResizeMix(interpolation="bilinear", **options), *make_batch(5, (18, 30)), monkeypatch)
