import pytest
import torch
from torch import nn

from openmix.mixups import AutoMix
from openmix.mixups.mixblock import MixBlock
from tests.mixups.learned import SIZE, draws_for


@pytest.mark.parametrize("channels, lam_concat, count", [
    (256, False, 33_153), (1024, False, 525_825), (256, True, 33_153 + 129), (1024, True, 525_825 + 513)])
def test_parameter_counts_of_the_block_are_the_published_ones(channels, lam_concat, count):
    assert sum(p.numel() for p in MixBlock(channels, lam_concat).parameters()) == count


def slow_mask(block, first, second, lam, factor):
    """Share kept of the first image, pixel by pixel as the formula is written; one example (C, h, w)."""
    c, h, w = first.shape
    weight, bias = block.query.weight.flatten(1), block.query.bias
    value, offset = block.value.weight.flatten(), block.value.bias
    extra = ([lam], [1 - lam]) if block.lam_concat else ([], [])
    a = [torch.cat([first[:, y, x], torch.tensor(extra[0])]) for y in range(h) for x in range(w)]
    b = [torch.cat([second[:, y, x], torch.tensor(extra[1])]) for y in range(h) for x in range(w)]
    shares = []
    for here in a:
        scores = torch.stack([(weight @ here + bias) @ (weight @ there + bias) for there in b]) / (c // 2) ** 0.5
        attention = scores.exp() / scores.exp().sum()
        logit_of_second = sum(p * (value @ there + offset) for p, there in zip(attention, b, strict=True))
        shares.append((1 - torch.sigmoid(logit_of_second)).item())
    small = torch.tensor(shares).reshape(h, w)
    return torch.stack([small[y // factor, x // factor] for y in range(h * factor) for x in range(w * factor)])


@pytest.mark.parametrize("lam_concat", [False, True])
def test_masks_are_those_of_the_formula(lam_concat):
    block = MixBlock(6, lam_concat)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    first, second, lam = torch.randn(3, 6, 2, 3), torch.randn(3, 6, 2, 3), torch.tensor([0.1, 0.5, 0.8])
    masks = block(first, second, lam, (8, 12))
    assert masks.shape == (3, 1, 8, 12)
    with torch.no_grad():
        for i in range(3):
            expected = slow_mask(block, first[i], second[i], lam[i].item(), 4)
            assert torch.allclose(masks[i].flatten(), expected, atol=1e-5)


def test_masks_start_near_one_half(make_net, make_batch):
    method = AutoMix()
    method.attach(make_net())
    mask = method.details(make_batch()[0], draws_for(method, lam=0.7))["mask"]
    assert 0 < (mask - 0.5).abs().max() <= 0.02


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_masks_are_float32_and_finite_under_autocast(dtype):
    block = MixBlock(256)
    first, second = (300 * torch.randn(2, 2, 256, 8, 8)).to(dtype)
    nn.init.normal_(block.query.weight)  # scores beyond the range of float16
    lam = torch.tensor([0.2, 0.9])
    with torch.autocast("cpu", dtype):
        masks = block(first, second, lam, SIZE)
        outside = block(first.float(), second.float(), lam, SIZE)
    assert masks.dtype == torch.float32 and masks.isfinite().all() and torch.equal(masks, outside)
    masks.sum().backward()
    assert all(p.grad.isfinite().all() for p in block.parameters())
