"""Plans against the scaling of matrices, and the optimum of an assignment."""
import itertools

import pytest
import torch

from openmix.solvers.sinkhorn import sinkhorn


@pytest.mark.parametrize("rows, columns", [(5, 5), (3, 6), (1, 4)])
def test_the_plan_is_that_of_as_many_rounds_of_scaling_a_matrix(rows, columns):
    cost = torch.rand(4, rows, columns, dtype=torch.float64)
    actual = sinkhorn(cost, 0.3, 7)
    for i in range(4):
        kernel = (-cost[i] / 0.3).exp()
        right = torch.ones(columns, dtype=torch.float64)
        for _ in range(7):
            left = 1 / rows / (kernel @ right)
            right = 1 / columns / (kernel.T @ left)
        assert torch.allclose(actual[i], left[:, None] * kernel * right, atol=1e-12)


def test_columns_have_their_exact_sum_and_rows_come_near():
    actual = sinkhorn(torch.rand(8, 16, 16), 0.1, 50)
    assert torch.allclose(actual.sum(1), torch.full((8, 16), 1 / 16), atol=1e-6)
    assert torch.allclose(actual.sum(2), torch.full((8, 16), 1 / 16), atol=1e-3)


def test_little_entropy_gives_the_cheapest_permutation_and_much_gives_the_uniform_plan():
    cost = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    best = min(itertools.permutations(range(4)), key=lambda p: sum(cost[i, p[i]] for i in range(4)))
    plan = sinkhorn(cost[None], 0.003, 2000)[0] * 4
    assert plan.argmax(1).tolist() == list(best)
    assert (plan * cost).sum() == pytest.approx(sum(cost[i, best[i]] for i in range(4)).item(), abs=0.01)
    assert torch.allclose(sinkhorn(cost[None], 1e4, 5), torch.full((1, 4, 4), 1 / 16), atol=1e-5)


def test_large_costs_underflow_nothing():
    actual = sinkhorn(1e4 * torch.rand(2, 6, 6), 0.1, 20)
    assert actual.isfinite().all() and torch.allclose(actual.sum(1), torch.full((2, 6), 1 / 6), atol=1e-3)
