"""TokenMix: blocks of the law of the reference, and label weights from a teacher's maps."""
import math
import random

import pytest
import torch
from torch import nn

from openmix.mixups import TokenMix
from openmix.mixups.tokenmix import blocks
from tests.mixups.contract import generator


def reference(count, grid, rng):
    """The paper's loop: rectangles until the number is reached, up to ten tries for each."""
    mask, low = [[False] * grid for _ in range(grid)], math.log(0.3)
    while (left := count - sum(map(sum, mask))) > 0:
        for _ in range(10):
            area, aspect = rng.uniform(1, left), math.exp(rng.uniform(low, -low))
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if h >= grid or w >= grid:
                continue
            top, side = rng.randint(0, grid - h), rng.randint(0, grid - w)
            new = [(i, j) for i in range(top, top + h) for j in range(side, side + w) if not mask[i][j]]
            if 0 < len(new) <= left:
                for i, j in new:
                    mask[i][j] = True
                break
        else:
            break
    return torch.tensor(mask)


def border(masks):
    """Mean number of neighbours of which one is inside."""
    return ((masks[:, 1:] != masks[:, :-1]).sum((1, 2)) + (masks[..., 1:] != masks[..., :-1]).sum((1, 2))).float()


def test_blocks_have_the_number_and_the_borders_of_the_papers_loop():
    rng = random.Random(0)
    slow = torch.stack([reference(112, 14, rng) for _ in range(300)])
    fast = blocks(112, 14, (400, 1), generator())[:, 0]
    count = fast.sum((1, 2))
    assert (count == 112).float().mean() > 0.98 and count.min() > 105 and count.max() == 112
    error = (border(slow).var() / 300 + border(fast).var() / 400).sqrt()
    assert (border(slow).mean() - border(fast).mean()).abs() < 4 * error
    assert border(slow).std().item() == pytest.approx(border(fast).std().item(), rel=0.2)
    assert ((fast.float().mean(0) - slow.float().mean(0)).abs() < 5 * math.sqrt(0.5 * (1 / 300 + 1 / 400))).all()


def test_extra_tokens_are_added_as_in_the_official_code():
    assert TokenMix(None).count == 112 and TokenMix(None, extra=0).count == 98
    assert TokenMix(None, lam=0.0).count == 196, "never more than there are"


class Bright(nn.Module):
    """Class 0 is seen where pixels are bright."""

    def __init__(self):
        super().__init__()
        self.pool, self.fc = nn.AvgPool2d(8), nn.Linear(1, 2)
        with torch.no_grad():
            self.fc.weight.copy_(torch.tensor([[1.0], [-1.0]]))
            self.fc.bias.zero_()

    def forward(self, images):
        return self.fc(self.pool(images.mean(1, keepdim=True)).mean((2, 3)))


def test_weights_are_the_shares_of_the_activation_of_the_own_class():
    method = TokenMix(Bright(), grid=4, extra=0)
    images, labels = 3 * torch.randn(3, 3, 4, 4, generator=generator()), torch.tensor([0, 1, 0])
    pixels = images.repeat_interleave(8, 2).repeat_interleave(8, 3)
    draws = method.draw(3, (32, 32), generator(1))
    mixed, (label, weight) = method(pixels, labels, draws)
    inside = draws["cells"][0]
    for i in range(3):
        maps = [torch.stack([images[k].mean(0), -images[k].mean(0)]).softmax(0)[labels[k]] for k in (i, i - 1)]
        assert weight[i, 0].item() == pytest.approx((maps[0][~inside].sum() / maps[0].sum()).item(), abs=1e-5)
        assert weight[i, 1].item() == pytest.approx((maps[1][inside].sum() / maps[1].sum()).item(), abs=1e-5)
    pasted = inside.repeat_interleave(8, 0).repeat_interleave(8, 1)
    assert torch.equal(mixed, torch.where(pasted, pixels.roll(1, 0), pixels))
    assert torch.equal(label, torch.stack([labels, labels.roll(1)], 1)) and (weight.sum(1) - 1).abs().max() > 0.01


def test_without_a_teacher_labels_go_by_area():
    method = TokenMix(None)
    draws = method.draw(2, (224, 224), generator())
    _, target = method(torch.zeros(2, 3, 224, 224), torch.tensor([0, 1]), draws)
    share = draws["cells"].float().mean()
    assert torch.allclose(target.weight, torch.stack([1 - share, share]).expand(2, 2))


def test_the_teacher_stays_as_it_is_and_out_of_checkpoints():
    method = TokenMix.example().train()
    assert not list(method.parameters()) and not method.state_dict() and not method.teacher.net.training


def test_what_a_teacher_cannot_judge_is_named():
    method = TokenMix(Bright(), grid=4)
    with pytest.raises(ValueError, match="label 5 is out of range: 2 classes"):
        method(torch.zeros(2, 3, 32, 32), torch.tensor([0, 5]))
    with pytest.raises(ValueError, match="3 columns, but the teacher knows 2"):
        method(torch.zeros(2, 3, 32, 32), torch.eye(3)[:2])
    with pytest.raises(TypeError, match="teacher must be a network"):
        TokenMix("resnet18")
    with pytest.raises(ValueError, match="grid=14 does not fit images of 8x32"):
        TokenMix(None).draw(2, (8, 32))
