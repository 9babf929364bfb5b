"""Box maths and blending against plain loops."""
import pytest
import torch

from openmix import functional


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
