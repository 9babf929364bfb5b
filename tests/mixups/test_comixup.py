import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from openmix import functional
from openmix.mixups import CoMixup
from openmix.mixups.comixup import parts_of, salient_places
from openmix.solvers import gridcut
from openmix.solvers.composition import compatibility, compose


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def peaks(n, seed=0):
    coarse = torch.rand(n, 1, 8, 8, generator=generator(seed)) ** 4
    return F.interpolate(coarse, size=(32, 32), mode="bilinear")[:, 0]


@pytest.mark.parametrize("n, sizes", [(1, [1]), (7, [7]), (20, [20]), (21, [11, 10]), (33, [17, 16]),
                                      (50, [17, 17, 16]), (100, [20] * 5), (381, [20] + [19] * 19)])
def test_parts_are_in_order_and_differ_by_one_image_at_most(n, sizes):
    index, present, slot = parts_of(n, 20, "cpu")
    assert present.sum(1).tolist() == sizes and index.shape == (len(sizes), max(sizes))
    assert index[present].tolist() == list(range(n)) and (present.flatten()[slot]).all()
    assert torch.equal(index.flatten()[slot], torch.arange(n))


@pytest.mark.parametrize("n", [1, 7, 33, 50])
def test_padding_never_shows_each_part_is_solved_as_if_it_were_alone(n):
    method, saliency = CoMixup(), peaks(n)
    draws = method.draw(n, (32, 32), generator(1))
    sources, shares = method.composition(saliency, draws)
    index, present, _ = parts_of(n, 20, "cpu")
    place = salient_places(saliency)
    for images in (members[there] for members, there in zip(index, present, strict=True)):
        m, ones = len(images), torch.ones(1, len(images), dtype=torch.bool)
        prior = draws["prior"][images] / draws["prior"][images].sum() + 1e-8
        expected = compose(gridcut.cell_shares(saliency[images], 4, 4)[None], compatibility(place[None, images], ones),
                           prior.log()[None], draws["start"][images].long().view(1, m, 4, 4) % m, ones)[0]
        assert torch.equal(shares[images, :m], expected) and (shares[images, m:] == 0).all()
        assert torch.equal(sources[images, :m], images.expand(m, m))


def test_images_and_labels_are_those_of_the_cells(make_batch):
    """Cell by cell: half and half of two inputs, or one; a label weighs what its image covers."""
    method, (images, labels) = CoMixup(), make_batch(23)
    draws, saliency = method.draw(23, (32, 32), generator(2)), peaks(23)
    mixed, target = method(images, labels, draws, saliency)
    sources, shares = method.composition(saliency, draws)
    halves = 0
    for i in range(23):
        area = torch.zeros(10)
        for row in range(4):
            for column in range(4):
                cell = (..., slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8))
                shown = [(sources[i, k], shares[i, k, row, column]) for k in range(12)
                         if shares[i, k, row, column] > 0]
                assert [share.item() for _, share in shown] in ([1.0], [0.5, 0.5])
                halves += len(shown) == 2
                expected = sum(share * images[source][cell] for source, share in shown)
                assert torch.allclose(mixed[i][cell], expected, atol=1e-6)
                for source, share in shown:
                    area[labels[source]] += share / 16
        assert torch.allclose(target.dense(10)[i], area, atol=1e-6)
    assert halves > 0 and target.label.shape == (23, 12)


def test_outputs_are_more_diverse_and_more_salient_than_random_ones():
    method, n = CoMixup(), 40
    saliency = peaks(n)
    draws = method.draw(n, (32, 32), generator())
    sources, shares = method.composition(saliency, draws)
    cells = gridcut.cell_shares(saliency, 4, 4)
    shown = (shares * cells[sources]).sum((1, 2, 3))
    use = torch.zeros(n).index_add_(0, sources.flatten(), shares.sum((2, 3)).flatten())
    assert shown.mean() > 1.2, "an image by itself has 1"
    assert use.max() < 32 and use.min() > 0 and ((shares.sum((2, 3)) > 0).sum(1).float().mean() - 2.8).abs() < 0.8


def test_the_most_salient_place_is_the_window_of_greatest_mean():
    saliency = peaks(5)
    for actual, one in zip(salient_places(saliency).tolist(), saliency, strict=True):
        sums = {(y, x): one[y:y + 8, x:x + 8].sum().item() for y in range(25) for x in range(25)}
        assert sums[tuple(actual)] == pytest.approx(max(sums.values()), rel=1e-6)
    assert salient_places(torch.rand(2, 4, 4)).tolist() == [[0, 0], [0, 0]]


def test_half_of_the_batches_or_images_can_stay_as_they_are(make_batch):
    images, labels = make_batch(8)
    for method in (CoMixup(prob=0.5), CoMixup(mix_rate=0.5)):
        for seed in range(4):
            draws = method.draw(8, (32, 32), generator(seed))
            mixed, target = method(images, labels, draws, peaks(8))
            off = ~draws["on"].expand(8)
            assert torch.equal(mixed[off], images[off])
            assert torch.equal(target.dense(10)[off], torch.eye(10)[labels[off]])


def test_the_prior_of_a_part_is_dirichlet():
    prior = CoMixup().draw(20, (32, 32), generator(), steps=(2000,))["prior"]
    share = prior / prior.sum(1, keepdim=True)
    assert share.mean() == pytest.approx(0.05) and share.var().item() == pytest.approx(0.05 * 0.95 / 41, rel=0.05)


def test_the_loss_is_the_mixed_one_and_the_clean_one_in_two_passes(make_net, make_batch, criterion):
    net, (images, labels), method, seen = make_net().eval(), make_batch(6), CoMixup(clean_weight=0.5), []
    draws = method.draw(6, (32, 32), generator())
    mixed, target = method(images, labels, draws, method.saliency(net, images, labels))
    expected = criterion(net(mixed), target) + 0.5 * criterion(net(images), labels)
    handle = net.register_forward_hook(lambda *args: seen.append(args))
    assert torch.allclose(method.loss(net, images, labels, criterion, draws)["loss"], expected, atol=1e-6)
    handle.remove()
    assert len(seen) == 2


def test_probabilities_and_dense_targets_have_one_column_a_class(make_batch):
    images, labels = make_batch(6)
    draws, saliency = CoMixup().draw(6, (32, 32), generator()), peaks(6)
    expected = CoMixup()(images, labels, draws, saliency)[1].dense(10)
    soft = CoMixup()(images, torch.eye(10)[labels], draws, saliency)[1]
    assert soft.label.shape == (6, 10) and torch.allclose(soft.dense(10), expected, atol=1e-6)
    assert torch.allclose(CoMixup(num_classes=10)(images, labels, draws, saliency)[1], expected, atol=1e-6)


def test_nothing_is_read_from_the_device():
    method = CoMixup(prob=0.5, part=4, sweeps=3)
    draws = method.draw(7, (32, 32), generator())
    functional._kept_constant.cache_clear()
    with FakeTensorMode(allow_non_fake_inputs=True):
        images, labels = torch.empty(7, 3, 32, 32, device="cuda"), torch.empty(7, dtype=torch.int64, device="cuda")
        mixed, target = method(images, labels, draws, torch.empty(7, 32, 32, device="cuda"))
        masks = method.shown(images, torch.empty(7, 32, 32, device="cuda"), method.prepare(images, draws))["masks"]
    functional._kept_constant.cache_clear()
    assert (mixed.shape, target.label.shape, masks.shape) == (images.shape, (7, 4), (7, 4, 32, 32))


@pytest.mark.parametrize("options, word", [
    (dict(alpha=0), "alpha"), (dict(blocks=0), "blocks"), (dict(part=0), "part"), (dict(beta=-1), "beta"),
    (dict(omega=2), "omega"), (dict(sweeps=0), "sweeps"), (dict(threshold=-1), "threshold")], ids=str)
def test_settings_out_of_range_are_refused_by_name(options, word):
    with pytest.raises(ValueError, match=word):
        CoMixup(**options)


def test_cells_that_do_not_fit_are_refused(make_batch):
    with pytest.raises(ValueError, match="blocks=4 does not divide both sides of 30x32"):
        CoMixup().draw(4, (30, 32))
    with pytest.raises(ValueError, match="blocks=5"):
        CoMixup(blocks=5)(*make_batch(4), saliency=torch.ones(4, 32, 32))
