"""SMMix: windows of most and least attention, their exact copy, and the three losses."""
import pytest
import torch

from openmix import attention
from openmix.mixups import SMMix
from openmix.mixups.smmix import corner, window_sums
from tests.mixups.contract import generator, trace


@pytest.mark.parametrize("rows, columns", [(5, 5), (4, 7)])
@pytest.mark.parametrize("side", [1, 3, 4])
def test_window_sums_and_corners_are_those_of_loops(rows, columns, side):
    maps = torch.rand(3, rows, columns, generator=generator())
    sums = window_sums(maps, torch.tensor([side]))
    for n in range(3):
        places = {(i, j): maps[n, i:i + side, j:j + side].sum().item()
                  for i in range(rows - side + 1) for j in range(columns - side + 1)}
        for i in range(rows):
            for j in range(columns):
                if (i, j) in places:
                    assert sums[n, i, j].item() == pytest.approx(places[i, j], abs=1e-5)
                else:
                    assert sums[n, i, j].isnan()
        assert tuple(corner(sums, True)[n].tolist()) == max(places, key=places.get)
        assert tuple(corner(sums, False)[n].tolist()) == min(places, key=places.get)


@pytest.mark.parametrize("draw, side", [(0.0, 3), (0.13, 4), (0.5, 7), (0.999, 10)])
def test_the_square_is_copied_pixel_by_pixel_and_lam_is_its_area(draw, side):
    """14 x 14 patches of 3 pixels: sides 3 ... 10, as in the official code."""
    method, images = SMMix(), torch.randn(4, 2, 42, 42, generator=generator())
    attended = torch.rand(4, 14, 14, generator=generator(1))
    mixed, kept, mask = method.mix(images, attended, dict(side=torch.tensor([draw])))
    assert (kept.flatten(1).sum(1) == 196 - side * side).all()
    assert torch.allclose(mask.float().mean((1, 2, 3)), torch.tensor(1 - side * side / 196))
    sums = window_sums(attended, torch.tensor([side]))
    expected = images.clone()
    for i in range(4):
        (ty, tx), (sy, sx) = corner(sums, False)[i].tolist(), corner(sums, True)[i - 1].tolist()
        expected[i, :, 3 * ty:3 * (ty + side), 3 * tx:3 * (tx + side)] = \
            images[i - 1, :, 3 * sy:3 * (sy + side), 3 * sx:3 * (sx + side)]
    assert torch.equal(mixed, expected)


def test_sides_are_uniform():
    sides = 3 + (SMMix().draw(1, (224, 224), generator(), steps=(8000,))["side"] * 8).long()
    assert sides.unique().tolist() == list(range(3, 11))
    assert (sides.flatten().bincount()[3:] - 1000).abs().max() < 150


def test_the_three_losses_are_those_of_the_paper(make_net, make_batch, criterion):
    net, method = make_net(needs="attention"), SMMix(fine_weight=0.5, consistency_weight=2.0)
    method.attach(net)
    images, labels = make_batch(4)
    draws = method.draw(4, (32, 32), generator(2))
    losses, seen, calls = trace(method, net, images, labels, criterion, draws)
    assert len(seen) == 2 and torch.equal(seen[0], images), "a clean pass and the one that trains"
    a = attention.attention(net, ["layer2.1"], lambda: net(images))[0][:, 0, 1:].unflatten(1, (4, 4))
    side = 1 + int(draws["side"] * 3)
    sums, tokens = window_sums(a, torch.tensor([side])), []
    net.norm.register_forward_hook(lambda module, args, out: tokens.append(out))
    z, y = net(images), net(seen[1])
    fine = consistency = 0
    for i in range(4):
        ty, tx = corner(sums, False)[i].tolist()
        inside = [ty <= k // 4 < ty + side and tx <= k % 4 < tx + side for k in range(16)]
        for part, label in ((False, labels[i]), (True, labels[i - 1])):
            mean = torch.stack([tokens[1][i, 1 + k] for k in range(16) if inside[k] == part]).mean(0)
            fine = fine - method.token_head(mean).log_softmax(0)[label] / 8
        lam = 1 - side * side / 16
        soft = (lam * z[i] + (1 - lam) * z[i - 1]).softmax(0)
        consistency = consistency + (soft * (soft.log() - y[i].log_softmax(0))).sum() / 4
    assert losses["fine"].item() == pytest.approx(fine.item(), rel=1e-4)
    assert losses["consistency"].item() == pytest.approx(consistency.item(), rel=1e-3, abs=1e-6)
    assert losses["whole"].item() == pytest.approx(criterion(y, calls[-1][0]).item(), rel=1e-4)
    total = losses["whole"] + 0.5 * losses["fine"] + 2 * losses["consistency"]
    assert losses["loss"].item() == pytest.approx(total.item(), rel=1e-5)


def test_images_left_alone_have_their_own_label_in_every_part(make_net, make_batch, criterion):
    net, method = make_net(needs="attention"), SMMix(prob=0.0)
    method.attach(net)
    images, labels = make_batch(4)
    _, seen, calls = trace(method, net, images, labels, criterion, method.draw(4, (32, 32), generator()))
    assert torch.equal(seen[1], images)
    for target, _ in calls:
        assert torch.equal(target.dense(10), torch.eye(10)[labels])
    assert calls[0][1].item() == pytest.approx(calls[1][1].item()), "both parts are the whole image"


def test_the_clean_pass_is_made_in_eval_mode_and_carries_no_gradient(make_net, make_batch):
    net, method = make_net(needs="attention"), SMMix()
    method.attach(net)
    modes = []
    net.register_forward_pre_hook(lambda module, args: modes.append((module.training, torch.is_grad_enabled())))
    method.clean(net, make_batch(3)[0])
    assert modes == [(False, False)] and net.training


def test_what_puts_out_no_tokens_is_refused(make_net, make_batch, criterion):
    net, method = make_net(needs="attention"), SMMix(layer="fc")
    method.attach(net)
    with pytest.raises(ValueError, match="layer 'fc' puts out.*name another layer"):
        method.loss(net, *make_batch(4), criterion)
