import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix import sampling
from openmix.mixups import CutMix, GridMix, GridMixup, RandomChoice


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# -- GridMixup ---------------------------------------------------------------------------------------------------


def slow_grid_mask(grid, size):
    """Paint each hole of the crop, patch by patch; cut off at the border of crop and image."""
    mask = torch.ones(size)
    (top, height, patch_h, hole_h), (left, width, patch_w, hole_w) = grid
    for y in range(0, height, patch_h):
        for x in range(0, width, patch_w):
            bottom, right = min(y + hole_h, height), min(x + hole_w, width)
            mask[max(top + y, 0):max(top + bottom, 0), max(left + x, 0):max(left + right, 0)] = 0
    return mask


@pytest.mark.parametrize("size", [(32, 32), (16, 40), (40, 16), (8, 8), (5, 3)])
@pytest.mark.parametrize("hole_aspect", [1.0, 1.7])
def test_holes_are_where_a_loop_over_patches_paints_them(make_batch, size, hole_aspect):
    images, labels = make_batch(12, size)
    method = GridMixup(0.5, hole_aspect=hole_aspect, per_sample=True)
    draws = method.draw(12, size, generator())
    mixed, target = method(images, labels, draws)
    for i, grid in enumerate(draws["grid"].tolist()):
        mask = slow_grid_mask(grid, size)
        assert torch.equal(mixed[i], torch.where(mask.bool(), images[i], images[i - 1]))
        assert target.weight[i, 0].item() == pytest.approx(mask.mean().item(), abs=1e-6)


def test_holes_are_a_share_of_patches_and_patches_divide_the_crop(monkeypatch):
    for kept in (0.0, 0.3, 0.75, 1.0):
        monkeypatch.setattr(sampling, "beta", lambda alpha, shape, *args, kept=kept: torch.full(shape, kept))
        grid = GridMixup(holes=(3, 5), per_sample=True).draw(500, (48, 64), generator())["grid"]
        start, cut, patch, hole = grid.unbind(-1)
        assert torch.equal(hole, (patch * (1 - kept) ** 0.5 + 1e-6).long().clamp(min=1).minimum(patch - 1))
        count = (cut[:, 1] / patch[:, 1]).ceil()
        assert count.min() == 3 and count.max() == 5 and torch.equal(patch[:, 0], patch[:, 1])
        inside = cut <= torch.tensor([48, 64])
        assert ((start >= 0) & (start + cut <= torch.tensor([48, 64])))[inside].all()


def test_crops_have_the_area_and_aspect_asked_for():
    method = GridMixup(area=(0.2, 0.4), aspect=(0.8, 1.25), per_sample=True)
    cut = method.draw(5000, (200, 300), generator())["grid"][..., 1].double()
    area, aspect = cut.prod(1) / 60000, cut[:, 0] / cut[:, 1]
    assert 0.19 < area.min() < 0.21 and 0.39 < area.max() <= 0.4 and area.mean().item() == pytest.approx(0.3, abs=0.005)
    assert 0.79 < aspect.min() < 0.82 and 1.23 < aspect.max() <= 1.25


def test_realised_kept_share_at_alpha_02_is_the_recorded_one():
    method = GridMixup(0.2, per_sample=True)
    draws = method.draw(20000, (32, 32), generator())
    kept = method.box_mask_lam(torch.empty(20000, 0, 32, 32), draws)[2]
    assert kept.mean().item() == pytest.approx(0.7292, abs=0.006)
    slow = torch.stack([slow_grid_mask(grid, (32, 32)).mean() for grid in draws["grid"][:50].tolist()])
    torch.testing.assert_close(kept[:50], slow)


def upstream_mask(grid, size):
    """The upstream loop over holes, whose slices may begin and end at negative numbers."""
    mask = torch.ones(size)
    (top, tall, patch_tall, hole_tall), (left, wide, patch_wide, hole_wide) = grid
    for y in range(0, tall, patch_tall):
        for x in range(0, wide, patch_wide):
            bottom, right = min(y + hole_tall, tall), min(x + hole_wide, wide)
            mask[top + y:top + bottom, left + x:left + right] = 0
    return mask


@pytest.mark.parametrize("size", [(32, 32), (20, 36)])
def test_negative_slices_lose_and_move_the_holes_that_the_upstream_code_loses_and_moves(size):
    method = GridMixup(0.2, negative_slices=True, aspect=(0.3, 3.0), per_sample=True)
    draws = method.draw(300, size, generator())
    actual = method.mask(torch.empty(300, 0, *size), draws)[:, 0].float()
    expected = torch.stack([upstream_mask(grid, size) for grid in draws["grid"].tolist()])
    assert torch.equal(actual, expected)
    shown = torch.stack([slow_grid_mask(grid, size) for grid in draws["grid"].tolist()])
    outside = (draws["grid"][..., 0] < 0).any(1)
    assert outside.sum() > 30 and torch.equal(shown[~outside], expected[~outside])
    assert not torch.equal(shown[outside], expected[outside])


def test_realised_kept_share_with_negative_slices_is_the_one_of_the_tables():
    method = GridMixup(0.2, negative_slices=True, per_sample=True)
    kept = method.box_mask_lam(torch.empty(20000, 0, 32, 32), method.draw(20000, (32, 32), generator()))[2]
    assert kept.mean().item() == pytest.approx(0.7437, abs=0.006)


@pytest.mark.parametrize("options", [dict(holes=(0, 3)), dict(area=(0.5, 2)), dict(aspect=(2, 1)), dict(hole_aspect=0)])
def test_gridmixup_refuses_options_out_of_range(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        GridMixup(**options)


# -- GridMix -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size,grid", [((32, 32), 4), ((12, 20), 4), ((9, 14), 3), ((8, 8), 1), ((3, 5), 4)])
def test_each_cell_shows_one_of_the_two_images(make_batch, size, grid):
    images, labels = make_batch(5, size)
    method = GridMix(grid=grid, per_sample=True)
    draws = method.draw(5, size, generator())
    mixed, target = method(images, labels, draws)
    for i in range(5):
        kept = 0
        for y in range(size[0]):
            for x in range(size[1]):
                cell = y * grid // size[0] * grid + x * grid // size[1]
                own = draws["cells"][i, cell].item()
                kept += own
                assert torch.equal(mixed[i, :, y, x], images[i if own else i - 1, :, y, x])
        assert target.weight[i, 0].item() == pytest.approx(kept / (size[0] * size[1]), abs=1e-6)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 5.0])
def test_cells_stay_with_chance_lam(alpha):
    """The number of kept cells is beta-binomial."""
    kept = GridMix(alpha, grid=4, per_sample=True).draw(20000, (32, 32), generator())["cells"].double().mean(1)
    law = 1 / (4 * 16) * (2 * alpha + 16) / (2 * alpha + 1)
    assert kept.mean().item() == pytest.approx(0.5, abs=0.01) and kept.var().item() == pytest.approx(law, rel=0.04)


def attached(make_net, **options):
    net = make_net()
    method = GridMix(**options)
    torch.manual_seed(0)
    method.attach(net)
    return net, method


@pytest.mark.parametrize("layer,grid", [(None, 4), ("layer3", 4), ("layer2", 3), ("layer4", 2)])
def test_loss_is_that_of_the_image_plus_weighted_that_of_every_cell(make_net, make_batch, criterion, layer, grid):
    images, labels = make_batch(3)
    options = dict(layer=layer, grid=grid, patch_weight=0.7)
    net, method = attached(make_net, **options, per_sample=True, prob=0.6, pairing="perm")
    draws = method.draw(3, (32, 32), generator(1))
    losses = method.loss(net.eval(), images, labels, criterion, draws)
    mixed, target = method(images, labels, draws)
    seen = []
    handle = getattr(net, layer or "layer4").register_forward_hook(lambda m, a, out: seen.append(out))
    whole = criterion(net(mixed), target)
    handle.remove()
    pooled = F.adaptive_avg_pool2d(seen[0], grid)
    partner = method.details(images, draws)["partner"]
    each = []
    for i in range(3):
        for cell in range(grid**2):
            own = draws["cells"][i, cell] or not draws["on"][i]
            logits = method.patch_head(pooled[i, :, cell // grid, cell % grid])
            each.append(F.cross_entropy(logits, labels[i if own else partner[i]]))
    cells = torch.stack(each).mean()
    torch.testing.assert_close(losses["loss"], whole + 0.7 * cells)
    torch.testing.assert_close(losses["whole"], whole.detach())
    torch.testing.assert_close(losses["cells"], cells.detach())


def test_both_losses_train_the_layers_below(make_net, make_batch, criterion):
    images, labels = make_batch(4)
    net, method = attached(make_net)
    draws = method.draw(4, (32, 32), generator())
    losses = method.loss(net, images, labels, criterion, draws)
    losses["loss"].backward()
    assert all(p.grad.abs().sum() > 0 for p in [*net.parameters(), *method.patch_head.parameters()])
    plain = net.layer1[0].weight.grad.clone()
    net.zero_grad()
    mixed, target = method(images, labels, draws)
    criterion(net(mixed), target).backward()
    assert not torch.allclose(net.layer1[0].weight.grad, plain)


def test_cells_of_dense_labels_are_dense(make_net, make_batch, criterion):
    images, labels = make_batch(4)
    net, method = attached(make_net)
    draws = method.draw(4, (32, 32), generator())
    sparse = method.loss(net.eval(), images, labels, criterion, draws)["loss"]
    method.num_classes = 10
    for given in (labels, F.one_hot(labels, 10).float()):
        torch.testing.assert_close(method.loss(net, images, given, criterion, draws)["loss"], sparse)


def test_attach_finds_the_last_stage_and_leaves_the_network_as_it_was(make_net):
    net = make_net()
    net.layer1.eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    method = GridMix()
    method.attach(net)
    assert method.watched == "layer4" and method.patch_head.in_features == 16 and method.patch_head.out_features == 10
    assert modes == [module.training for module in net.modules()]
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert set(method.state_dict()) == {"patch_head.weight", "patch_head.bias"}
    hooked = [name for name, module in net.named_modules() if module._forward_hooks]
    assert hooked == ["layer4"]


class TokenNet(nn.Module):
    """Patches to tokens with a class token in front, as in a ViT."""

    def __init__(self):
        super().__init__()
        self.embed, self.block, self.norm = nn.Conv2d(3, 12, 8, 8), nn.Linear(12, 12), nn.LayerNorm(12)
        self.head = nn.Linear(12, 10)

    def forward(self, images):
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1)
        return self.head(self.norm(tokens + self.block(tokens))[:, 0])


def test_tokens_serve_as_maps(make_batch, criterion):
    images, labels = make_batch(4)
    net, method = TokenNet(), GridMix()
    method.attach(net)
    assert method.watched == "norm" and method.patch_head.in_features == 12
    method.loss(net, images, labels, criterion)["loss"].backward()
    assert net.block.weight.grad.abs().sum() > 0


def test_networks_without_maps_and_unknown_layers_are_refused(make_net):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    with pytest.raises(ValueError, match="no layer with feature maps"):
        GridMix().attach(flat)
    with pytest.raises(ValueError, match="layer9.*layer4|layer9.*did you mean"):
        GridMix(layer="layer9").attach(make_net())


def test_loss_before_attach_says_so(make_net, make_batch, criterion):
    with pytest.raises(ValueError, match="attach"):
        GridMix().loss(make_net(), *make_batch(2), criterion)


def test_a_batch_mixed_by_another_method_gives_the_local_head_zero_gradients(make_net, make_batch, criterion):
    net, method = make_net(), RandomChoice([GridMix(), CutMix()], p=[0, 1])
    method.attach(net)
    method.loss(net, *make_batch(4), criterion)["loss"].backward()
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in method.parameters())


@pytest.mark.parametrize("options", [dict(grid=0), dict(grid=2.5), dict(patch_weight=-1)])
def test_gridmix_refuses_options_out_of_range(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        GridMix(**options)
