"""The batched solver against brute force and minimum cuts, its costs against plain loops and closed forms."""
import importlib.util
import itertools
import math
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from openmix.solvers import gridcut
from openmix.solvers.gridcut import Grid

spec = importlib.util.spec_from_file_location("mincut", Path(__file__).parents[2] / "benchmarks/quality/mincut.py")
mincut = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mincut)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n, size=32, seed=0):
    """Images (n, 3, H, H) with smooth areas and edges, and saliencies (n, H, H) with a few peaks on a low ground."""
    noise = torch.randn(n, 5, size // 4, size // 4, generator=generator(seed))
    fields = F.interpolate(noise, size=(size, size), mode="bicubic")
    shapes = F.interpolate(torch.randn(n, 3, 4, 4, generator=generator(seed + 1)), size=(size, size)).sign()
    images = 0.5 * fields[:, :3] + 0.7 * shapes
    ground = torch.rand(n, size, size, generator=generator(seed + 2))
    return images, ground * (0.1 + (fields[:, 3] * fields[:, 4]).abs())


def real_costs(n, blocks, n_labels=3, seed=0):
    images, saliency = pictures(n, 32, seed)
    lam = torch.rand(n, generator=generator(seed + 3))
    return gridcut.costs(images, images.roll(1, 0), saliency, saliency.roll(1, 0), lam, blocks, n_labels=n_labels)


def random_grid(k, rows, columns, n, seed=0, convex=False):
    rand = generator(seed)
    unary = torch.rand(k, rows, columns, n, generator=rand)
    if convex and k == 3:
        unary[1] = torch.minimum(unary[1], (unary[0] + unary[2]) / 2)
    down, right = (rows - 1, columns, n), (rows, columns - 1, n)
    return Grid(unary, torch.rand(down, generator=rand), torch.rand(right, generator=rand))


def brute_force(grid):
    """Least energies (N,), by looking at every labelling."""
    k, rows, columns, n = grid.unary.shape
    best = torch.full((n,), math.inf)
    for labels in itertools.product(range(k), repeat=rows * columns):
        one = torch.tensor(labels).view(rows, columns, 1).expand(-1, -1, n)
        best = torch.minimum(best, gridcut.energy(one, grid))
    return best


def gaps(labels, grid):
    """Relative energies above the minimum cut's, (N,)."""
    _, least = mincut.optimum(grid)
    return mincut.energies(labels, grid) / least - 1


# -- energies and the references ------------------------------------------------------------------------------------


@pytest.mark.parametrize("k, rows, columns", [(2, 3, 4), (3, 4, 3), (3, 1, 1)])
def test_energy_is_the_sum_of_its_terms(k, rows, columns):
    grid = random_grid(k, rows, columns, 5)
    labels = torch.randint(k, (rows, columns, 5), generator=generator())
    assert torch.allclose(gridcut.energy(labels, grid).double(), mincut.energies(labels, grid), atol=1e-5)


@pytest.mark.parametrize("k, rows, columns", [(2, 2, 2), (2, 3, 3), (3, 2, 2), (3, 2, 3)])
def test_the_reference_cut_is_the_brute_force_optimum(k, rows, columns):
    grid = random_grid(k, rows, columns, 6, convex=True)
    _, least = mincut.optimum(grid)
    assert torch.allclose(least.float(), brute_force(grid), atol=1e-5)


# -- costs ----------------------------------------------------------------------------------------------------------


def slow_mismatch(u, v, blocks, side):
    """d_uv of a cell and the one below it, (blocks - 1, blocks), by plain loops over images (C, blocks * side, ...)."""
    return [[sum(abs(float(u[ch, (r + 1) * side - 1, c * side + x] - v[ch, (r + 1) * side, c * side + x]))
                 for ch in range(len(u)) for x in range(side)) / (len(u) * side)
             for c in range(blocks)] for r in range(blocks - 1)]


def slow_costs(image, other, s_a, s_b, lam, blocks, neigh, k, beta, gamma, eta):
    """The energy of one pair from the paper's formulas; nested lists (K, R, C), (R - 1, C), (R, C - 1)."""
    cell = image.shape[1] // blocks
    side = cell // min(neigh, cell)  # pooled pixels a cell

    def pool(x, to):
        step = x.shape[-1] // to
        return torch.stack([torch.stack([x[..., i * step:(i + 1) * step, j * step:(j + 1) * step].mean((-1, -2))
                                         for j in range(to)], -1) for i in range(to)], -2)

    a, b = (pool(s, blocks) / pool(s, blocks).sum() for s in (s_a, s_b))
    prior = {2: [lam, 1 - lam], 3: [lam**2, 2 * lam * (1 - lam), (1 - lam)**2]}[k]
    unary = [[[t * float(a[r, c]) + (1 - t) * float(b[r, c]) - eta / blocks**2 * math.log(p) for c in range(blocks)]
              for r in range(blocks)] for t, p in zip(torch.linspace(0, 1, k).tolist(), prior, strict=True)]
    pooled = dict(a=pool(image, blocks * side), b=pool(other, blocks * side))
    scale, weights = beta / (16 * blocks), []
    for across in (False, True):
        d = {u + v: slow_mismatch(*(x.transpose(1, 2) if across else x for x in (pooled[u], pooled[v])), blocks, side)
             for u in "ab" for v in "ab"}
        weight = [[0.0] * blocks for _ in range(blocks - 1)]
        for r in range(blocks - 1):
            for c in range(blocks):
                aa, ab, ba, bb = (d[key][r][c] for key in ("aa", "ab", "ba", "bb"))
                weight[r][c] = max(0, scale + gamma * scale * (ab + ba - aa - bb) / 2)
                for i in range(k):
                    t = i / (k - 1)
                    first, second = ((c, r), (c, r + 1)) if across else ((r, c), (r + 1, c))
                    unary[i][first[0]][first[1]] += gamma * scale * ((1 - t) * (aa + ab) + t * (ba + bb)) / 2
                    unary[i][second[0]][second[1]] += gamma * scale * ((1 - t) * (aa + ba) + t * (ab + bb)) / 2
        weights.append([list(column) for column in zip(*weight, strict=True)] if across else weight)
    return unary, *weights


@pytest.mark.parametrize("blocks, k, neigh", [(2, 3, 4), (4, 3, 2), (4, 2, 4), (8, 3, 4), (2, 3, 2), (4, 3, 1)])
def test_costs_are_the_papers_formulas(blocks, k, neigh):
    images, saliency = pictures(3, 16)
    lam = torch.tensor([0.2, 0.5, 0.9])
    options = dict(beta=1.5, gamma=0.7, eta=0.3)
    partner, other = images.roll(1, 0), saliency.roll(1, 0)
    grid = gridcut.costs(images, partner, saliency, other, lam, blocks, n_labels=k, neigh_size=neigh, **options)
    for i, fast in enumerate(mincut.split(grid)):
        slow = slow_costs(images[i], partner[i], saliency[i], other[i], lam[i].item(), blocks, neigh, k, **options)
        for ours, papers in zip(fast, slow, strict=True):
            assert torch.allclose(torch.tensor(ours), torch.tensor(papers), atol=2e-7, rtol=1e-4)


def test_taking_whole_images_costs_the_mismatch_at_the_borders():
    """For labels in {0, 1} the energy is lost saliency + prior + label steps + mismatch of the pixels that meet."""
    blocks, beta, gamma = 4, 1.2, 0.5
    images, saliency = pictures(2, 16)
    images = images * 0.2  # small enough that no weight is clamped
    partner, other = images.roll(1, 0), saliency.roll(1, 0)
    grid = gridcut.costs(images, partner, saliency, other, torch.tensor([0.5]), blocks, n_labels=2, eta=0.0,
                         neigh_size=1)
    a, b = (gridcut.cell_shares(s, blocks, blocks) for s in (saliency, other))
    rest = []
    for seed in range(5):
        labels = torch.randint(2, (blocks, blocks, 2), generator=generator(seed))
        t = labels.movedim(-1, 0).float()
        lost = (t * a + (1 - t) * b).sum((1, 2))
        mixed = torch.where(gridcut.spread(t, 16, 16)[:, None] > 0, partner, images)
        steps = t.diff(dim=1).square().sum((1, 2)) + t.diff(dim=2).square().sum((1, 2))
        jumps = sum((x[:, :, 4::4] - x[:, :, 3:-1:4]).abs().mean(1).unflatten(-1, (4, 4)).mean(-1).sum((1, 2))
                    for x in (mixed, mixed.transpose(2, 3)))
        rest.append(gridcut.energy(labels, grid) - lost - beta / (16 * blocks) * (steps + gamma * jumps))
    assert torch.stack(rest).std(0).max() < 1e-6, "up to a constant that no labelling changes"


@pytest.mark.parametrize("k", [2, 3])
def test_prior_is_a_probability_of_mean_lam_and_finite_at_the_ends(k):
    lam = torch.tensor([0.0, 0.1, 0.5, 0.8, 1.0])
    cost = gridcut.prior_cost(lam, k)
    p = (-cost).exp()
    assert cost.isfinite().all() and torch.allclose(p.sum(0), torch.ones(5))
    assert torch.allclose((p * torch.linspace(1, 0, k)[:, None]).sum(0), lam, atol=1e-6)


def test_saliency_of_zeros_counts_as_uniform():
    assert torch.equal(gridcut.cell_shares(torch.zeros(2, 8, 8), 4, 4), torch.full((2, 4, 4), 1 / 16))


# -- solvers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k, rows, columns", [(2, 2, 2), (2, 4, 3), (3, 2, 2), (3, 3, 3), (3, 2, 4), (3, 4, 1)])
def test_dynamic_programming_finds_the_brute_force_optimum(k, rows, columns):
    grid = random_grid(k, rows, columns, 7, seed=k)
    labels = gridcut.solve_exactly(grid)
    assert labels.shape == (rows, columns, 7) and labels.dtype == torch.int64
    assert torch.allclose(gridcut.energy(labels, grid), brute_force(grid), atol=1e-6)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("blocks", [2, 4])
def test_solver_is_the_exact_minimum_cut_up_to_4_blocks(blocks, k):
    grid = real_costs(40, blocks, k)
    assert gaps(gridcut.solve(grid), grid).abs().max() < 1e-6


@pytest.mark.parametrize("blocks, n, goal", [(8, 40, 0.001), (16, 12, 0.0015)])
def test_solver_is_close_to_the_minimum_cut_on_larger_grids(blocks, n, goal):
    grid = real_costs(n, blocks)
    actual, unary_alone = gaps(gridcut.solve(grid), grid), gaps(grid.unary.argmin(0), grid)
    assert actual.min() > -1e-6 and actual.mean() <= goal
    assert unary_alone.mean() > 10 * goal, "the problem is too easy to tell solvers apart"


def checkerboard_icm(grid, rounds=10):
    """Iterated conditional modes: cells of one colour, then of the other, take their best label."""
    k, rows, columns, _ = grid.unary.shape
    labels, t = grid.unary.argmin(0), torch.linspace(0, 1, k).view(-1, 1, 1, 1)
    colour = (torch.arange(rows)[:, None] + torch.arange(columns))[..., None] % 2
    for i in range(2 * rounds):
        now = labels / (k - 1)
        cost = sum([grid.unary,
                    F.pad(grid.down * (t - now[1:])**2, (0, 0, 0, 0, 0, 1)),
                    F.pad(grid.down * (t - now[:-1])**2, (0, 0, 0, 0, 1, 0)),
                    F.pad(grid.right * (t - now[:, 1:])**2, (0, 0, 0, 1)),
                    F.pad(grid.right * (t - now[:, :-1])**2, (0, 0, 1, 0))])
        labels = torch.where(colour == i % 2, cost.argmin(0), labels)
    return labels


@pytest.mark.parametrize("blocks", [4, 8, 16])
def test_solver_is_better_than_iterated_conditional_modes(blocks):
    grid = real_costs(40, blocks, seed=5)
    ours, icm = gridcut.energy(gridcut.solve(grid), grid), gridcut.energy(checkerboard_icm(grid), grid)
    assert ours.mean() < icm.mean() and (ours <= icm + 1e-3 * icm.abs()).all()


@pytest.mark.parametrize("blocks", [2, 4, 8, 16])
@pytest.mark.parametrize("lam, expected", [(1.0, 0), (0.9, 0), (0.5, 1), (0.1, 2), (0.0, 2)])
def test_flat_saliency_and_flat_images_have_one_label(blocks, lam, expected):
    flat = torch.ones(2, 32, 32)
    grid = gridcut.costs(flat[:, None], flat[:, None], flat, flat, torch.tensor([lam]), blocks)
    assert (gridcut.solve(grid) == expected).all()


@pytest.mark.parametrize("rows, width", [(8, 4), (16, 4), (7, 2), (6, 4), (5, 3), (9, 1)])
def test_a_sweep_never_raises_the_energy_and_then_stays(rows, width):
    grid = random_grid(3, rows, rows, 6)
    grid = Grid(grid.unary, 0.3 * grid.down, 0.3 * grid.right)
    labels = torch.randint(3, (rows, rows, 6), generator=generator())
    before = gridcut.energy(labels, grid)
    for i in range(8):
        labels = gridcut.sweep(labels, grid, width)
        now = gridcut.energy(labels, grid)
        assert (now <= before + 1e-5).all()
        assert i or (now < before).all(), "from random labels it must improve"
        if i == 7:
            assert torch.allclose(now, before), "no strip can be improved any more"
        before = now


def test_a_sweep_with_one_strip_over_everything_is_exact():
    grid = random_grid(3, 4, 4, 6)
    labels = gridcut.sweep(torch.zeros(4, 4, 6, dtype=torch.int64), grid, 4)
    assert torch.allclose(gridcut.energy(labels, grid), gridcut.energy(gridcut.solve_exactly(grid), grid))


def test_belief_propagation_is_exact_on_a_tree():
    """Without the pairs that close loops (a comb: one row, and all columns) messages find the optimum."""
    unary, down, right = random_grid(3, 6, 6, 8, convex=True)
    comb = Grid(unary, down, torch.cat([right[:1], torch.zeros_like(right[1:])]))
    assert gaps(gridcut.propagate(comb, iterations=20, damping=0.0), comb).max() < 1e-6
    assert gaps(gridcut.propagate(comb, iterations=1), comb).max() > 1e-6, "one message a cell cannot be enough"


def test_each_sample_is_solved_on_its_own():
    grid = real_costs(6, 8)
    whole = gridcut.solve(grid)
    for part in (slice(0, 1), slice(2, 5)):
        assert torch.equal(gridcut.solve(Grid(*(costs[..., part] for costs in grid))), whole[..., part])


@pytest.mark.parametrize("blocks", [2, 4, 8, 16])
def test_solver_reads_nothing_back_and_writes_to_nothing(blocks):
    grid = real_costs(3, blocks)
    before = [costs.clone() for costs in grid]
    gridcut.solve(grid)
    assert all(map(torch.equal, grid, before))
    with FakeTensorMode():  # tensors without values: a host read or a shape that depends on data would raise
        fake = Grid(*(torch.empty(costs.shape, device="cuda") for costs in grid))
        assert gridcut.solve(fake).shape == (blocks, blocks, 3)


def test_spread_repeats_cells():
    cells = torch.arange(6.0).view(1, 2, 3)
    fine = gridcut.spread(cells, 4, 9)
    assert fine[0].tolist() == [[cells[0, i // 2, j // 3] for j in range(9)] for i in range(4)]
