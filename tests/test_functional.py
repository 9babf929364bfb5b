"""Box maths and blending against plain loops."""
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from openmix import functional, saliency


def slow_mask(box, height, width):
    top, bottom, left, right = box
    return [[not (top <= i < bottom and left <= j < right) for j in range(width)] for i in range(height)]


@pytest.mark.parametrize("size", [(7, 12), (12, 7), (8, 8)])
def test_box_masks_keep_what_is_outside(size):
    box = torch.tensor([[0, 3, 2, 5], [1, 7, 0, 7], [4, 4, 3, 6], [0, *size[:1], 0, *size[1:]], [6, 7, 6, 7]])
    mask = functional.box_mask(box, size)
    assert mask.dtype == torch.bool and mask.shape == (5, 1, *size)
    assert mask[:, 0].tolist() == [slow_mask(one.tolist(), *size) for one in box]
    assert functional.box_area(box).tolist() == (~mask).sum((1, 2, 3)).tolist()


def test_boxes_take_any_leading_dimensions():
    lam = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    centre = torch.tensor([5, 2]).expand(3, 4, 2)
    box = functional.boxes(lam, centre, (10, 6))
    assert box.shape == (3, 4, 4) and box.dtype == torch.int64
    assert torch.equal(box[1, 2], functional.boxes(lam[1, 2], centre[1, 2], (10, 6)))


def test_boxes_of_lam_1_are_empty_and_of_lam_0_centred_ones_whole():
    centre = torch.tensor([5, 3])
    assert functional.box_area(functional.boxes(torch.tensor(1.0), centre, (10, 6))) == 0
    assert functional.boxes(torch.tensor(0.0), centre, (10, 6)).tolist() == [0, 10, 0, 6]


def test_odd_sides_lose_a_pixel():
    box = functional.boxes(torch.tensor(1 - 0.25), torch.tensor([7, 7]), (14, 14))  # side 7, half of it 3
    assert box.tolist() == [4, 10, 4, 10]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.uint8])
@pytest.mark.parametrize("reuse", [False, True])
def test_bool_masks_move_values_exactly(dtype, reuse):
    g = torch.Generator().manual_seed(0)
    images, partner = (torch.randn(5, 3, 8, 8, generator=g).mul(90).to(dtype) for _ in range(2))
    mask = torch.rand(5, 1, 8, 8, generator=g) < 0.5
    expected = torch.stack([torch.where(m, i, p) for m, i, p in zip(mask, images, partner, strict=True)])
    assert torch.equal(functional.blend(images, partner, mask, reuse), expected)


def test_float_masks_interpolate():
    g = torch.Generator().manual_seed(0)
    images, partner = torch.randn(2, 4, 3, 5, 5, generator=g)
    mask = torch.rand(4, 1, 5, 5, generator=g)
    assert torch.allclose(functional.blend(images, partner, mask), mask * images + (1 - mask) * partner, atol=1e-6)


def test_blending_writes_to_the_partner_only_if_it_may():
    images, partner, mask = torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), torch.full((1, 1, 1, 1), 0.5)
    functional.blend(images, partner, mask)
    assert (partner == 0).all() and (images == 1).all()
    mixed = functional.blend(images, partner, mask, reuse=True)
    assert mixed.data_ptr() == partner.data_ptr() and (images == 1).all()
    partner = torch.zeros(2, 3, 4, 4)
    functional.blend(images, partner, mask.requires_grad_(), reuse=True)
    assert (partner == 0).all(), "the gradient of a learned mask needs it"


@pytest.mark.parametrize("reuse", [False, True])
def test_gradients_reach_images_partner_and_a_learned_mask(reuse):
    images, partner, mask = (torch.rand(2, 1, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(3))
    assert torch.autograd.gradcheck(lambda a, b, m: functional.blend(a, b * 1, m, reuse), (images, partner, mask))


# -- one box on a CPU, and what is made once: the same numbers --------------------------------------------------------


def test_the_share_outside_a_box_is_the_mean_of_its_mask():
    g = torch.Generator().manual_seed(0)
    box = torch.stack([torch.randint(6, (300,), generator=g), torch.randint(6, 11, (300,), generator=g),
                       torch.randint(7, (300,), generator=g), torch.randint(7, 14, (300,), generator=g)], 1)
    mask = functional.box_mask(box, (11, 14))
    assert torch.allclose(functional.share_outside(box, (11, 14)), mask.float().mean((1, 2, 3)))


def test_one_box_of_a_batch_on_a_cpu_is_at_hand_and_nothing_else():
    assert functional.is_at_hand(torch.ones(1, 4))
    for other in (torch.ones(2, 4), torch.ones(1, 4, device="meta")):
        assert not functional.is_at_hand(other)
    with FakeTensorMode():
        assert not functional.is_at_hand(torch.ones(1, 4))
    seen = []
    torch.compile(lambda x: (seen.append(functional.is_at_hand(x)), x + 1)[1], backend="eager")(torch.ones(1, 4))
    assert seen == [False]


@pytest.mark.parametrize("shrink", [None, "nearest", "bilinear"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8], ids=str)
def test_a_box_that_is_copied_equals_one_that_is_blended(shrink, dtype, monkeypatch):
    if dtype == torch.uint8 and shrink == "bilinear":
        return
    g = torch.Generator().manual_seed(0)
    images = torch.randn(5, 3, 26, 30, generator=g).mul(90).to(dtype)
    before, order = images.clone(), torch.randperm(5, generator=g)
    for box in ([2, 24, 3, 4], [0, 26, 0, 30], [5, 18, 7, 27], [4, 4, 9, 9]):  # the last one is empty
        made = []
        for at_hand in (True, False):
            with monkeypatch.context() as patch:
                patch.setattr(functional, "is_at_hand", lambda box, at_hand=at_hand: at_hand)
                made.append(functional.paste_box(images, lambda values: values[order], torch.tensor([box]), shrink))
        assert torch.equal(*made) and torch.equal(images, before)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_resized_images_are_those_of_the_box(mode):
    images = torch.randn(2, 3, 26, 30, generator=torch.Generator().manual_seed(0))
    for box in ([2, 24, 3, 4], [0, 26, 0, 30], [5, 18, 7, 27]):  # 22 of 26 rows is where a float scale rounds otherwise
        inside = functional.resize_into(images, torch.tensor([box]), mode)[..., box[0]:box[1], box[2]:box[3]]
        assert torch.equal(functional.resize(images, (box[1] - box[0], box[3] - box[2]), mode), inside)


def test_a_constant_is_made_once_for_real_tensors_and_anew_for_fake_ones():
    made = []

    def table(side, device):
        made.append(side)
        return torch.arange(side, device=device)

    real = torch.ones(1)
    assert functional.constant(table, real, 3) is functional.constant(table, real, 3)
    assert made == [3] and functional.constant(table, real, 4).tolist() == [0, 1, 2, 3]
    with FakeTensorMode():
        functional.constant(table, torch.ones(1), 3), functional.constant(table, torch.ones(1), 5)
    assert made == [3, 4, 3, 5]
    assert type(functional.constant(table, real, 5)) is torch.Tensor


def test_a_constant_made_in_inference_mode_serves_training():
    with torch.inference_mode():
        saliency.gaussian_blur(torch.ones(1, 9, 9), 1.75)
    maps = torch.ones(1, 9, 9, requires_grad=True)
    saliency.gaussian_blur(maps, 1.75).sum().backward()
    assert maps.grad.sum().item() == pytest.approx(81, rel=1e-5)


def test_extremes_are_read_on_a_cpu_and_never_elsewhere():
    assert functional.extremes(torch.tensor([3, -2, 5])) == (-2, 5)
    assert functional.extremes(torch.tensor([True, False])) == (False, True)
    assert functional.extremes(torch.empty(0)) is None and functional.extremes(torch.empty(3, device="meta")) is None
    with FakeTensorMode():
        assert functional.extremes(torch.ones(3)) is None
    seen = []
    torch.func.vmap(lambda x: seen.append(functional.extremes(x)) or x)(torch.ones(2, 3))
    assert seen == [None]


def test_tables_that_are_kept_have_one_precision_whoever_asks_first():
    def product(side, device):
        return torch.full((side, side), 1 / 3, device=device) @ torch.full((side, side), 1 / 3, device=device)

    like = torch.zeros(1)
    with torch.autocast("cpu", torch.bfloat16):
        kept, made = functional.constant(product, like, 5), functional._constant(product, like.device, 5)
    assert kept.dtype == made.dtype == torch.float32 and torch.equal(kept, product(5, "cpu"))
