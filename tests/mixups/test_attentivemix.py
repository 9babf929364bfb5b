"""AttentiveMix: which cells are kept and how many, weights of whole pixels, and what the published cells did."""
import copy

import pytest
import torch
from torch import nn

from openmix.frozen import Frozen
from openmix.mixups import AttentiveMix
from tests.mixups.contract import generator


def bright(**options):
    """Of 7x7 cells those of the brightest images are kept."""
    return AttentiveMix(Frozen(nn.Sequential(nn.AdaptiveAvgPool2d(7)), layer="0"), **options)


def draws_of(lam, n=1):
    return dict(lam=torch.full((n,), lam))


def kept_cells(mask, side=28):
    """Whether each of 7x7 cells is kept, of masks whose side they divide."""
    cells = mask.view(len(mask), 7, side // 7, 7, side // 7).transpose(2, 3).flatten(3)
    assert ((cells == 0).all(3) | (cells == 1).all(3)).all(), "a cell is kept whole or not at all"
    return cells[..., 0]


@pytest.mark.parametrize("lam, count", [(0.0, 1), (0.01, 1), (0.05, 2), (0.5, 24), (0.999, 48), (1.0, 49)])
@pytest.mark.parametrize("images", [torch.randn(3, 3, 28, 28, generator=generator()), torch.zeros(3, 3, 28, 28)],
                         ids=["noise", "all cells tie"])
def test_exactly_so_many_cells_are_kept(images, lam, count):
    details = bright().details(images, draws_of(lam))
    assert (kept_cells(details["mask"][:, 0]).sum((1, 2)) == count).all()
    assert torch.allclose(details["lam"], torch.tensor(count / 49))


def test_the_paper_keeps_six():
    details = bright(top_k=6).details(torch.randn(3, 3, 28, 28), draws_of(0.9))
    assert (kept_cells(details["mask"][:, 0]).sum((1, 2)) == 6).all()


def test_the_cells_kept_are_those_with_the_greatest_features_of_the_first_image():
    images = torch.randn(4, 3, 28, 28, generator=generator())
    kept = kept_cells(bright().details(images, draws_of(0.3))["mask"][:, 0])
    for image, cells in zip(images, kept, strict=True):
        means = {(y, x): image[:, 4 * y:4 * y + 4, 4 * x:4 * x + 4].mean().item() for y in range(7) for x in range(7)}
        best = sorted(means, key=means.get, reverse=True)[:14]
        assert {tuple(place) for place in cells.nonzero().tolist()} == set(best)


def test_a_bright_patch_stays_and_the_partner_shows_elsewhere():
    images = torch.zeros(2, 3, 32, 32)
    images[0, :, 9:14, 18:23], images[1] = 5.0, 0.5  # pixel p of 32 is in cell 7p // 32: of rows 9 to 13 all in cell 2
    images[1, :, :5, :5] = 4.0
    mixed, target = bright(top_k=1)(images, torch.tensor([0, 1]), draws_of(0.5))
    rows = [y for y in range(32) if 7 * y // 32 == 2]
    assert (mixed[0, :, 10:14, 19:23] == 5).all() and rows == [10, 11, 12, 13]
    outside = torch.ones(32, 32, dtype=torch.bool)
    outside[10:14, 19:23] = False
    assert torch.equal(mixed[0][:, outside], images[1][:, outside])
    assert target.weight[0, 0] == pytest.approx(16 / 1024)


def test_the_weight_is_the_share_of_pixels_which_differs_from_that_of_cells_where_these_do_not_divide_the_side():
    images, lam = torch.randn(64, 3, 32, 32, generator=generator()), 0.4
    method = bright()
    details = method.details(images, draws_of(lam))
    assert torch.equal(details["lam"], details["mask"].mean((1, 2, 3)))
    off = (details["lam"] - 19 / 49).abs()
    assert 0 < off.mean() < 0.04 and len(details["lam"].unique()) > 1
    literal = bright(literal=True)
    assert torch.equal(literal.details(images, draws_of(lam))["lam"], details["lam"][:1].expand(64))


def test_training_leaves_the_teacher_bit_identical(make_net, make_batch, criterion):
    for literal in (False, True):
        method, net = AttentiveMix(make_net(5), literal=literal), make_net(1)
        method.attach(net)
        before = copy.deepcopy(method.teacher.net.state_dict())
        optimizer = torch.optim.SGD([*net.parameters(), *method.parameters()], 0.1)
        for _ in range(3):
            method.loss(net.train(), *make_batch(4), criterion)["loss"].backward()
            optimizer.step()
        assert all(torch.equal(v, before[k]) for k, v in method.teacher.net.state_dict().items())
        assert not method.state_dict() and not any(m.training for m in method.teacher.net.modules())


def test_literally_batch_norm_takes_the_statistics_of_the_batch(make_net):
    net, images = make_net(5), torch.randn(6, 3, 32, 32, generator=generator())
    teacher = Frozen(net, layer="layer1")
    actual, eval_mode = teacher.features(images, batch_statistics=True), teacher.features(images)
    twin = copy.deepcopy(net).train()
    assert torch.equal(actual, twin.layer1(twin.stem(images)).detach()) and not torch.allclose(actual, eval_mode)


def test_what_does_not_fit_is_refused_readably():
    with pytest.raises(ValueError, match="at least 7x7 pixels.*got 6x8"):
        bright()(torch.zeros(2, 3, 6, 8), torch.arange(2))
    with pytest.raises(ValueError, match="float images, got torch.uint8"):
        bright()(torch.zeros(2, 3, 28, 28, dtype=torch.uint8), torch.arange(2))
    for options, message in ((dict(top_k=0), "top_k must"), (dict(literal=1), "literal must be True or False")):
        with pytest.raises(ValueError, match=message):
            bright(**options)
    with pytest.raises(TypeError, match="teacher must be a network"):
        AttentiveMix("resnet18")
