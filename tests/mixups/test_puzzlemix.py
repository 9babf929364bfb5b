import copy

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from openmix import functional, probes
from openmix.mixups import PuzzleMix
from openmix.plan import draws_at
from openmix.solvers import gridcut


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def peaks(n, size=(32, 32), seed=0):
    """Saliency maps with a few peaks, (n, H, W)."""
    coarse = torch.rand(n, 1, 8, 8, generator=generator(seed)) ** 4
    return F.interpolate(coarse, size=size, mode="bilinear")[:, 0]


def drawn(method, n, blocks, lam=None, size=(32, 32), seed=0):
    """Draws with a given grid and lam."""
    draws = {**method.draw(n, size, generator(seed)), "blocks": method.blocks.index(blocks)}
    return draws if lam is None else {**draws, "lam": torch.full_like(draws["lam"], lam)}


def labels_of(n):
    return torch.arange(n) % 10


# -- masks and weights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_labels, values", [(2, [0, 1]), (3, [0, 0.5, 1])])
@pytest.mark.parametrize("blocks", [2, 4, 8, 16])
def test_masks_are_cells_of_few_values_and_lam_is_each_ones_mean(blocks, n_labels, values, make_batch):
    method, (images, labels) = PuzzleMix(n_labels=n_labels, transport=False), make_batch(8)
    draws, saliency = drawn(method, 8, blocks, 0.5), peaks(8)
    mixed, target = method(images, labels, draws, saliency)
    kept = method.cell_labels(images, saliency, draws)
    mask = gridcut.spread(kept, 32, 32)[:, None]
    assert kept.shape == (8, blocks, blocks) and set(kept.unique().tolist()) <= set(values)
    assert torch.allclose(mixed, mask * images + (1 - mask) * images.roll(1, 0), atol=1e-6)
    assert torch.allclose(target.weight[:, 0], mask.mean((1, 2, 3))) and torch.equal(target.label[:, 1], labels.roll(1))
    assert method.blends and not PuzzleMix().blends


def test_lam_differs_from_image_to_image_and_half_is_kept_on_average(make_batch):
    method, (images, labels) = PuzzleMix(per_sample=True), make_batch(60)
    lam = torch.cat([method(images, labels, drawn(method, 60, b), peaks(60))[1].weight[:, 0] for b in method.blocks])
    assert lam.std() > 0.1 and 0.3 < lam.mean() < 0.7
    one_lam = PuzzleMix()
    weight = one_lam(images, labels, drawn(one_lam, 60, 4, 0.5), peaks(60))[1].weight[:, 0]
    assert weight.unique().numel() > 5, "also where lam is drawn once a batch"


@pytest.mark.parametrize("blocks", [2, 4, 8, 16])
def test_uniform_saliency_and_lam_one_half_give_one_value_everywhere(blocks):
    method, images = PuzzleMix(gamma=0.0), torch.rand(4, 3, 32, 32, generator=generator())
    kept = method.cell_labels(images, torch.ones(4, 32, 32), drawn(method, 4, blocks, 0.5))
    assert (kept == 0.5).all()


@pytest.mark.parametrize("blocks", [2, 4, 8, 16])
@pytest.mark.parametrize("t_size", [4, -1])
def test_lam_1_keeps_the_batch_and_lam_0_takes_the_partners(blocks, t_size, make_batch):
    method, (images, labels) = PuzzleMix(t_size=t_size), make_batch(6)
    for lam, expected in ((1.0, images), (0.0, images.roll(1, 0))):
        mixed, target = method(images, labels, drawn(method, 6, blocks, lam), peaks(6))
        assert torch.equal(mixed, expected) and (target.weight[:, 0] == lam).all()


@pytest.mark.parametrize("blocks", [4, 8, 16])
def test_what_matters_in_opposite_corners_is_kept_of_both(blocks):
    saliency = torch.full((2, 32, 32), 1e-3)
    saliency[0, :8, :8] = saliency[1, -8:, -8:] = 1.0
    method = PuzzleMix(transport=False)
    kept = method.cell_labels(torch.zeros(2, 3, 32, 32), saliency, drawn(method, 2, blocks, 0.5))
    assert kept[0, 0, 0] == 1 and kept[0, -1, -1] == 0
    assert kept[1, -1, -1] == 1 and kept[1, 0, 0] == 0


def test_images_of_zero_saliency_are_mixed_as_if_all_mattered_equally(make_batch):
    method, (images, labels) = PuzzleMix(), make_batch(4)
    draws = drawn(method, 4, 8, 0.5)
    for dead in (0.0, 1e-30):
        actual = method(images, labels, draws, torch.full((4, 32, 32), dead))
        assert torch.equal(actual[0], method(images, labels, draws, torch.ones(4, 32, 32))[0])


def test_std_gives_the_masks_of_images_in_0_to_1(make_batch):
    std, (images, _) = (0.2, 0.25, 0.3), make_batch(20)
    scaled = images * torch.tensor(std).view(3, 1, 1)
    draws = drawn(PuzzleMix(), 20, 8, 0.5)
    actual = PuzzleMix(std=std).cell_labels(images, peaks(20), draws)
    assert torch.equal(actual, PuzzleMix().cell_labels(scaled, peaks(20), draws))
    assert not torch.equal(actual, PuzzleMix().cell_labels(images, peaks(20), draws))
    assert not PuzzleMix(std=std).state_dict()


# -- transport ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks, t_size, grid", [(2, 4, (8, 8)), (4, 4, (8, 8)), (8, 4, (8, 8)), (16, 4, (16, 16)),
                                                  (4, 8, (4, 4)), (4, -1, (4, 4)), (4, None, (4, 4)), (2, 2, (16, 16))])
def test_patches_are_of_t_size_pixels_and_no_larger_than_cells(blocks, t_size, grid):
    assert PuzzleMix(t_size=t_size).patches(blocks, 32, 32) == grid


@pytest.mark.parametrize("blocks", [4, 8])
def test_transport_moves_each_image_to_where_it_shows(blocks):
    """Images that are their own saliency: more of both is visible than without moving, and never less."""
    method, still = PuzzleMix(), PuzzleMix(transport=False)
    saliency = peaks(20)
    images, labels, draws = saliency[:, None], labels_of(20), drawn(method, 20, blocks, 0.5)
    moved, stayed = method(images, labels, draws, saliency), still(images, labels, draws, saliency)
    assert torch.equal(moved[1].weight, stayed[1].weight), "moving changes no label"
    assert (moved[0].sum((1, 2, 3)) >= stayed[0].sum((1, 2, 3)) - 1e-2).all()
    assert moved[0].sum() > stayed[0].sum() * 1.002


def test_dear_moves_leave_patches_in_place(make_batch):
    images, labels = make_batch(10)
    draws = drawn(PuzzleMix(), 10, 4, 0.5)
    mixed = {eps: PuzzleMix(t_eps=eps)(images, labels, draws, peaks(10))[0] for eps in (0.8, 1e5)}
    stayed = PuzzleMix(transport=False)(images, labels, draws, peaks(10))[0]
    assert torch.equal(mixed[1e5], stayed) and not torch.equal(mixed[0.8], stayed)


# -- the loss -------------------------------------------------------------------------------------------------------


def test_ledger_01_each_images_own_lam_weighs_its_own_loss(make_net, make_batch, criterion):
    net, (images, labels), method = make_net(), make_batch(8), PuzzleMix(per_sample=True)
    draws, seen = drawn(method, 8, 8), []
    lam = method.details(images, draws, net, labels)["lam"]
    handle = net.register_forward_hook(lambda module, args, out: seen.append(out))
    loss = method.loss(net, images, labels, criterion, draws)["loss"]
    handle.remove()
    own, partners = (F.cross_entropy(seen[-1], y, reduction="none") for y in (labels, labels.roll(1)))
    assert lam.std() > 0.1
    assert torch.allclose(loss, (lam * own + (1 - lam) * partners).mean(), atol=1e-6)
    assert not torch.allclose(loss, lam.mean() * own.mean() + (1 - lam.mean()) * partners.mean(), atol=1e-5)


def test_ledger_18_the_cost_table_is_built_once(make_batch):
    images, labels = make_batch(4)
    functional._kept_constant.cache_clear()
    method = PuzzleMix(blocks=(2, 4))
    for seed in range(5):
        method(images, labels, method.draw(4, (32, 32), generator(seed)), peaks(4))
    actual = functional._kept_constant.cache_info()
    assert actual.misses == 1 and actual.hits == 4, "one grid of 8 x 8 patches for both block counts, both images"


def test_saliency_is_the_gradient_in_eval_mode_for_any_batch_size(make_net, make_batch):
    net, (images, labels), method = make_net(), make_batch(6), PuzzleMix()
    twin = copy.deepcopy(net).eval()
    x = images.clone().requires_grad_()
    F.cross_entropy(twin(x), labels, reduction="sum").backward()
    saliency = method.saliency(net, images, labels)
    assert torch.allclose(saliency, x.grad.square().mean(1).sqrt(), atol=1e-7) and not saliency.requires_grad
    assert torch.allclose(method.saliency(net, images[:2], labels[:2]), saliency[:2], atol=1e-7)
    assert torch.allclose(method.saliency(net, images, torch.eye(10)[labels]), saliency, atol=1e-7)


def test_the_saliency_pass_leaves_gradients_buffers_and_modes_alone(make_net, make_batch, criterion):
    net, (images, labels), method = make_net(), make_batch(6), PuzzleMix()
    net.layer1[1].eval()
    criterion(net(images), labels).backward()  # something that is being accumulated
    gradients = [p.grad.clone() for p in net.parameters()]
    buffers, modes = copy.deepcopy(dict(net.named_buffers())), [m.training for m in net.modules()]
    method.saliency(net, images, labels)
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), gradients, strict=True))
    assert all(torch.equal(b, buffers[k]) for k, b in net.named_buffers())
    assert modes == [m.training for m in net.modules()] and images.grad is None


def test_accumulated_gradients_are_the_sum_of_both_losses(make_net, make_batch, criterion):
    net, method = make_net().eval(), PuzzleMix()
    batches = [make_batch(4, seed=seed) for seed in (0, 1)]
    draws = [drawn(method, 4, 4, 0.5, seed=seed) for seed in (0, 1)]
    losses = [lambda i=i: method.loss(net, *batches[i], criterion, draws[i])["loss"] for i in (0, 1)]
    parameters = list(net.parameters())
    expected = [sum(g) for g in zip(*(torch.autograd.grad(loss(), parameters) for loss in losses), strict=True)]
    for loss in losses:
        loss().backward()
    for p, e in zip(parameters, expected, strict=True):
        assert torch.allclose(p.grad, e, atol=1e-6)


def test_modes_come_back_when_the_network_fails(make_net, make_batch):
    net, (images, labels) = make_net(), make_batch(4)
    with pytest.raises(RuntimeError):
        PuzzleMix().saliency(net, images[:, :2], labels)
    assert all(module.training for module in net.modules())


def test_clean_weight_adds_the_loss_of_the_clean_batch(make_net, make_batch, criterion):
    net, (images, labels) = make_net().eval(), make_batch(4)
    draws = drawn(PuzzleMix(), 4, 4, 0.5)
    plain, regular = (PuzzleMix(clean_weight=w).loss(net, images, labels, criterion, draws)["loss"] for w in (0, 0.7))
    assert torch.allclose(regular, plain + 0.7 * criterion(net(images), labels), atol=1e-6)


# -- by hand, draws, devices, errors --------------------------------------------------------------------------------


def test_by_hand_with_a_saliency_is_what_the_loss_does(make_net, make_batch, criterion):
    net, (images, labels), method = make_net().eval(), make_batch(5), PuzzleMix()
    draws = drawn(method, 5, 8)
    saliency = probes.input_gradient(net, images, labels, F.cross_entropy)
    mixed, target = method(images, labels, draws, saliency)
    assert torch.allclose(criterion(net(mixed), target), method.loss(net, images, labels, criterion, draws)["loss"])
    assert PuzzleMix(num_classes=10)(images, labels, draws, saliency)[1].shape == (5, 10)
    assert method(images, labels, saliency=saliency)[0].shape == images.shape


def test_blocks_are_host_choices_all_equally_likely():
    draws = PuzzleMix(blocks=(2, 4, 8)).draw(4, (32, 32), generator(), steps=(3000,))
    share = torch.tensor(draws["blocks"]).bincount() / 3000
    assert type(draws_at(draws, 0)["blocks"]) is int and len(share) == 3 and (share - 1 / 3).abs().max() < 0.03


@pytest.mark.parametrize("options", [dict(prob=0.5), dict(prob=0.5, per_sample=True), dict(pairing="perm")], ids=str)
def test_options_of_every_method_hold(options, make_batch):
    method, (images, labels) = PuzzleMix(**options), make_batch(8)
    for seed in range(4):
        draws, saliency = method.draw(8, (32, 32), generator(seed)), peaks(8)
        mixed, target = method(images, labels, draws, saliency)
        partner = method.details(images, draws)["partner"]
        assert torch.equal(target.label[:, 1], labels[partner])
        off = ~draws["on"].expand(8) if "on" in draws else torch.zeros(8, dtype=torch.bool)
        assert torch.equal(mixed[off], images[off]) and (target.weight[off, 0] == 1).all()


@pytest.mark.parametrize("size", [(32, 64), (48, 16), (16, 16)])
def test_images_need_not_be_square(size, make_batch):
    method, (images, labels) = PuzzleMix(), make_batch(4, size)
    for blocks in method.blocks:
        mixed, target = method(images, labels, drawn(method, 4, blocks, size=size), peaks(4, size))
        assert mixed.shape == images.shape and mixed.isfinite().all()
        constant = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, *size)
        mixed, target = method(constant, labels, drawn(method, 4, blocks, size=size), peaks(4, size))
        expected = (target.weight * torch.tensor([[0., 3], [1, 0], [2, 1], [3, 2]])).sum(1)
        assert torch.allclose(mixed.mean((1, 2, 3)), expected, atol=1e-5), "labels say what is in the picture"


@pytest.mark.parametrize("blocks", [2, 4, 8, 16])
def test_nothing_is_read_from_the_device(blocks, monkeypatch):
    """Tensors without values: a host read, a shape that depends on data or a stray CPU tensor would raise."""
    method = PuzzleMix(prob=0.5, std=(0.2, 0.2, 0.2))
    draws = drawn(method, 6, blocks)
    functional._kept_constant.cache_clear()
    with FakeTensorMode(allow_non_fake_inputs=True):
        images, labels = torch.empty(6, 3, 32, 32, device="cuda"), torch.empty(6, dtype=torch.int64, device="cuda")
        mixed, target = method(images, labels, draws, torch.empty(6, 32, 32, device="cuda"))
        details = method.details(images, draws)
    functional._kept_constant.cache_clear()
    assert mixed.shape == images.shape and target.weight.shape == (6, 2) and mixed.device.type == "cuda"
    assert details["mask"].shape == (6, 1, 32, 32) and details["lam"].device.type == "cuda"


def test_blocks_that_do_not_fit_are_refused_before_training_naming_those_that_do(make_batch):
    with pytest.raises(ValueError, match="8 does not divide.*28x28.*2, 4, 7, 14, 28"):
        PuzzleMix().draw(4, (28, 28))
    images, labels = make_batch(4, (28, 28))
    with pytest.raises(ValueError, match="does not divide"):
        PuzzleMix()(images, labels, saliency=peaks(4, (28, 28)))
    assert PuzzleMix(blocks=(2, 4, 7), t_size=-1)(images, labels, saliency=peaks(4, (28, 28)))[0].shape == images.shape
    with pytest.raises(ValueError, match="t_size=5 does not divide the 16x16"):
        PuzzleMix(t_size=5).draw(4, (32, 32))


def test_batch_mixing_without_saliency_is_refused_with_the_way_out(make_batch):
    with pytest.raises(TypeError, match="attach.*loss.*saliency=probes.input_gradient"):
        PuzzleMix()(*make_batch(4))


def test_wrong_images_and_saliencies_are_refused_readably(make_batch):
    images, labels = make_batch(4)
    with pytest.raises(ValueError, match=r"saliency must be \(N, H, W\) = \(4, 32, 32\), got \(4, 1, 32, 32\)"):
        PuzzleMix()(images, labels, saliency=torch.ones(4, 1, 32, 32))
    with pytest.raises(ValueError, match="needs float images.*uint8"):
        PuzzleMix()(images.byte(), labels, saliency=peaks(4))


@pytest.mark.parametrize("options", [
    dict(alpha=0), dict(blocks=()), dict(blocks=(1,)), dict(blocks=(2.0,)), dict(beta=-1), dict(gamma=float("nan")),
    dict(eta=-0.1), dict(neigh_size=0), dict(n_labels=4), dict(t_eps=0), dict(t_size=0), dict(clean_weight=-1)],
    ids=str)
def test_settings_out_of_range_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        PuzzleMix(**options)


@pytest.mark.parametrize("move", [True, False])
def test_images_that_want_a_gradient_get_one(make_batch, move):
    images, labels = make_batch(4)
    method = PuzzleMix(blocks=(4,), transport=move)
    mixed, _ = method(images.requires_grad_(), labels, method.draw(4, (32, 32), generator(1)), peaks(4))
    mixed.sum().backward()
    assert images.grad.sum() == pytest.approx(images.numel(), rel=1e-5)
