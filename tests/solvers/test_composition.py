import itertools

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from openmix.solvers import composition
from openmix.solvers.composition import checkerboard, compatibility, compose, pairs_of_three, potts, resolve


def problem(parts=2, m=5, grid=4, seed=0, peaky=3):
    """Saliency, compatibility, prior and start of random parts without empty slots."""
    g = torch.Generator().manual_seed(seed)
    saliency = torch.rand(parts, m, grid, grid, generator=g) ** peaky
    present = torch.ones(parts, m, dtype=torch.bool)
    return dict(saliency=saliency / saliency.sum((2, 3), keepdim=True), present=present,
                compatibility=compatibility(torch.randint(0, 25, (parts, m, 2), generator=g), present),
                prior=torch.rand(parts, m, generator=g).softmax(1).log(),
                start=torch.randint(0, m, (parts, m, grid, grid), generator=g))


def energy(labels, unary, affinity, beside):
    """Term by term: labels a list of L, unary (K, L), affinity (K, K), beside (L, L)."""
    cells = range(len(labels))
    total = sum(unary[labels[p]][p] for p in cells)
    return total - sum(affinity[labels[p]][labels[q]] for p in cells for q in cells if p < q and beside[p][q])


def sides(rows, columns):
    """Which cells, row by row, share a side: (L, L) float32."""
    places = list(itertools.product(range(rows), range(columns)))
    return torch.tensor([[float(abs(y - v) + abs(x - u) == 1) for v, u in places] for y, x in places])


# -- single labellings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows, columns, kinds, exact", [(2, 2, 3, 0.95), (2, 2, 6, 0.95), (2, 3, 3, 0.9)])
def test_labels_are_those_of_brute_force_in_most_grids_and_near_them_in_all(rows, columns, kinds, exact):
    """Costs and smoothness as in training. Iterated conditional modes alone, from the least costs, miss the bounds."""
    g, count, cells = torch.Generator().manual_seed(0), 100, rows * columns
    order, beside = checkerboard(rows, columns, "cpu")
    saliency = torch.rand(count, kinds, cells, generator=g) ** 3
    unary = -saliency / saliency.sum(2, keepdim=True)
    affinity = 0.32 / cells * torch.eye(kinds).expand(count, -1, -1)
    labels = potts(unary[:, :, order].mT, affinity, beside)[:, order.argsort()]
    touch = sides(rows, columns)
    actual = torch.tensor([energy(*one, touch.tolist()) for one in
                          zip(labels.tolist(), unary.tolist(), affinity.tolist(), strict=True)])
    every = torch.tensor(list(itertools.product(range(kinds), repeat=cells)))
    one_hot = torch.nn.functional.one_hot(every, kinds).float()  # (A, L, K)
    smooth = 0.32 / cells * (one_hot.mT @ touch @ one_hot).diagonal(dim1=1, dim2=2).sum(1) / 2
    best = (torch.einsum("alk,nkl->na", one_hot, unary) - smooth).amin(1)
    gap = (actual - best) / best.abs()
    assert (gap > -1e-5).all() and (gap < 1e-5).float().mean() >= exact and gap.mean() <= 0.005


@pytest.mark.parametrize("rows, columns", [(1, 1), (1, 4), (3, 3), (4, 4), (2, 5)])
def test_black_and_white_cells_come_apart_and_touch_each_other_alone(rows, columns):
    order, beside = checkerboard(rows, columns, "cpu")
    black = len(beside)
    touch = sides(rows, columns)[order][:, order]
    assert torch.equal(touch[:black, black:], beside) and order.sort().values.tolist() == [*range(rows * columns)]
    assert not touch[:black, :black].any() and not touch[black:, black:].any()


def test_cells_of_equal_cost_join_their_neighbours():
    order, beside = checkerboard(3, 3, "cpu")
    unary = torch.zeros(1, 9, 2)
    unary[0, 4, 0], unary[0, :, 1] = 0.1, 0.05  # the middle alone would rather have label 1
    assert potts(unary[:, order], 0.2 * torch.eye(2)[None], beside).tolist() == [[0] * 9]


# -- compositions ---------------------------------------------------------------------------------------------------


def test_without_smoothness_diversity_and_prior_every_output_is_the_most_salient_input_of_each_cell():
    case = problem()
    actual = compose(**case, beta=0, gamma=0, eta=0, sweeps=1)
    best = case["saliency"].argmax(1)  # (P, R, C)
    assert (actual.argmax(2) == best[:, None]).all() and (actual.amax(2) == 1).all()


def test_shares_of_a_cell_are_one_or_two_halves():
    actual = compose(**problem(3, 12))
    assert torch.equal(actual.sum(2), torch.ones(3, 12, 4, 4))
    assert set(actual.unique().tolist()) == {0, 0.5, 1}
    assert ((actual == 0.5).sum(2) % 2 == 0).all() and ((actual > 0).sum(2) <= 2).all()


def test_halves_are_of_inputs_that_the_output_used():
    case = problem(2, 8, peaky=1)
    two, three = (compose(**case, sweeps=sweeps) for sweeps in (1, 2))
    used = two.sum((3, 4)) > 0
    half = (three == 0.5).any(-1).any(-1)
    assert half.any() and (used | ~half).all()


@pytest.mark.parametrize("seed", range(3))
def test_an_output_uses_no_input_that_the_others_use_too_often(seed):
    """The last output is solved when all others are final: it uses a worn input only where every input is worn."""
    case = problem(3, 10, seed=seed)
    actual = compose(**case)
    counts = actual.sum((3, 4))
    others = counts[:, :-1].sum(1)
    use = (case["compatibility"] @ others[..., None])[..., 0]
    worn = use > 0.83 * 16
    last = counts[:, -1] > 0
    assert worn.any() and not (last & worn)[~worn.all(1)].any()


def test_diversity_spreads_the_use_of_the_inputs():
    case = problem(3, 12, peaky=6)
    spread = [compose(**case, gamma=gamma).sum((1, 3, 4)).std(1).mean() for gamma in (0.0, 1.0)]
    assert spread[1] < spread[0] / 3


def test_the_prior_favours_inputs():
    case = problem(1, 5)
    case["prior"] = torch.tensor([0.96, 0.01, 0.01, 0.01, 0.01]).log()[None]
    counts = compose(**case, gamma=0, eta=5.0).sum((1, 3, 4))[0]
    assert counts.argmax() == 0 and counts[0] > 40


def test_permuting_the_inputs_of_a_part_permutes_the_composition(monkeypatch):
    """But for equal outputs, which keep the order of their inputs."""
    monkeypatch.setattr(composition, "resolve", lambda used: torch.zeros(used.shape))
    case, order = problem(2, 7), torch.tensor([3, 0, 6, 1, 5, 2, 4])
    turned = dict(saliency=case["saliency"][:, order], present=case["present"],
                  compatibility=case["compatibility"][:, order][:, :, order], prior=case["prior"][:, order],
                  start=order.argsort()[case["start"]])
    assert torch.equal(compose(**turned), compose(**case)[:, :, order])


@pytest.mark.parametrize("m", [2, 5, 9])
def test_an_empty_slot_shows_nowhere(m):
    """A part with an empty slot has the composition of the part without it."""
    case = problem(2, m)
    wide = dict(present=torch.ones(2, m + 1, dtype=torch.bool))
    wide["present"][:, -1] = False
    g = torch.Generator().manual_seed(9)
    for name, shape in (("saliency", (2, 1, 4, 4)), ("prior", (2, 1)), ("start", (2, 1, 4, 4))):
        junk = torch.rand(shape, generator=g)
        wide[name] = torch.cat([case[name], junk.to(case[name].dtype)], 1)
    wide["compatibility"] = torch.zeros(2, m + 1, m + 1)
    wide["compatibility"][:, :m, :m] = case["compatibility"]
    actual = compose(**wide)
    assert torch.equal(actual[:, :m, :m], compose(**case))
    assert (actual[:, -1] == 0).all() and (actual[:, :, -1] == 0).all()


def test_one_and_two_inputs_make_compositions():
    assert (compose(**problem(2, 1)) == 1).all()
    assert torch.equal(compose(**problem(2, 2)).sum(2), torch.ones(2, 2, 4, 4))


def test_a_grid_of_one_cell_shows_one_input_or_two_halves():
    actual = compose(**problem(2, 6, grid=1))
    assert torch.equal(actual.sum(2), torch.ones(2, 6, 1, 1)) and set(actual.unique().tolist()) <= {0, 0.5, 1}


def test_outputs_of_the_same_inputs_are_kept_apart_as_pair_by_pair():
    g = torch.Generator().manual_seed(1)
    used = torch.rand(4, 9, 4, generator=g) < 0.5
    expected = torch.zeros(4, 9, 4)
    for part in range(4):
        for i, j in itertools.combinations(range(9), 2):
            members = used[part, i].nonzero().flatten().tolist()
            if used[part, i].equal(used[part, j]) and len(members) > 1:
                expected[part, i, members[0]] = expected[part, j, members[1]] = 1
    assert expected.any() and torch.equal(resolve(used), expected)


def test_compatibility_is_the_distance_of_salient_places_scaled_to_the_number_of_inputs():
    place, present = torch.tensor([[[0, 0], [3, 4], [1, 0]]]), torch.ones(1, 3, dtype=torch.bool)
    distance = torch.tensor([[0.0, 7, 1], [7, 0, 6], [1, 6, 0]])
    expected = 0.9 * torch.eye(3) + 0.1 * distance / 28 * 3
    assert torch.allclose(compatibility(place, present, 0.1)[0], expected)
    assert torch.equal(compatibility(torch.zeros(1, 3, 2), present)[0], 0.999 * torch.eye(3)), "all at one place"
    present[0, 2] = False
    assert torch.allclose(compatibility(place, present, 0.1)[0, :2, :2],
                          compatibility(place[:, :2], present[:, :2], 0.1)[0])


def test_the_pairs_of_three_are_those_of_the_first_ones():
    assert pairs_of_three(3, "cpu").tolist() == [[1, 1, 0], [1, 0, 1], [0, 1, 1]]
    assert pairs_of_three(2, "cpu").tolist() == [[1, 1], [1, 0], [0, 1]]


# -- the device -----------------------------------------------------------------------------------------------------


def test_autocast_changes_nothing():
    case = problem(2, 6)
    with torch.autocast("cpu", torch.bfloat16):
        actual = compose(**case)
    assert torch.equal(actual, compose(**case))


def test_nothing_is_read_from_the_device():
    with FakeTensorMode(allow_non_fake_inputs=True):
        case = {name: torch.empty_like(value, device="cuda") for name, value in problem(2, 4).items()}
        assert compose(**case).shape == (2, 4, 4, 4, 4)


def test_while_tracing_it_is_one_operation_with_the_same_numbers():
    case, settings = problem(2, 4), (0.32, 1.0, 0.05, 0.83, 4)
    tensors = [case[name] for name in ("saliency", "compatibility", "prior", "start", "present")]
    torch.library.opcheck(composition.compose_untraced, (*tensors, *settings), test_utils="test_faketensor")
    assert torch.equal(composition.compose_untraced(*tensors, *settings), compose(**case))
