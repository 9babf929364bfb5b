"""Transport plans against plain loops, and what they must do for images."""
import pytest
import torch

from openmix.solvers.transport import distances, move, transport_plan


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def example(n, rows, columns, seed=0):
    """Saliency shares with peaks, and places of which about half are visible."""
    saliency = torch.rand(n, rows, columns, generator=generator(seed)) ** 6
    visible = (torch.rand(n, rows, columns, generator=generator(seed + 1)) > 0.5).float()
    return saliency / saliency.sum((1, 2), keepdim=True), visible


def slow_plan(saliency, visible, eps):
    """One image's plan, {place: patch}, by plain loops over the whole cost matrix."""
    rows, columns = saliency.shape
    places = [(r, c) for r in range(rows) for c in range(columns)]
    longest = max(rows, columns) - 1
    squared = torch.tensor([[float((r - u)**2 + (c - v)**2) for u, v in places] for r, c in places]) / longest**2
    cost = eps * squared - saliency.flatten()[:, None] * visible.flatten()
    for _ in range(max(rows, columns)):
        wish = [min(range(len(places)), key=lambda j: (cost[i, j].item(), j)) for i in range(len(places))]  # noqa: B023
        plan = {}
        for j in set(wish):
            plan[j] = min((i for i in range(len(places)) if wish[i] == j), key=lambda i: (cost[i, j].item(), i))  # noqa: B023
        for i, j in enumerate(wish):
            if plan[j] != i:
                cost[i, j] += 1
    return plan


@pytest.mark.parametrize("rows, columns", [(2, 2), (4, 4), (3, 5), (8, 8)])
def test_plan_is_that_of_plain_loops(rows, columns):
    saliency, visible = example(4, rows, columns)
    for eps in (0.8, 0.05):
        source, won = transport_plan(saliency, visible, eps)
        for i in range(4):
            expected = slow_plan(saliency[i], visible[i], eps)
            assert {j: source[i, j].item() for j in range(rows * columns) if won[i, j]} == expected


@pytest.mark.parametrize("rows, columns", [(4, 4), (8, 8), (4, 8)])
def test_plan_is_a_partial_permutation_that_fills_what_is_visible(rows, columns):
    saliency, visible = example(50, rows, columns)
    source, won = transport_plan(saliency, visible, 0.8)
    moves = torch.nn.functional.one_hot(source, rows * columns) * won[..., None]  # (N, place, patch)
    assert (moves.sum(1) <= 1).all() and (moves.sum(2) <= 1).all()
    assert won[visible.flatten(1) > 0].all()
    own = torch.arange(rows * columns).expand(50, -1)
    assert torch.equal(source[~won], own[~won]), "places without a winner keep their patch"


def test_moves_bring_more_saliency_into_view():
    saliency, visible = example(50, 8, 8)
    source, _ = transport_plan(saliency, visible, 0.8)
    seen = (saliency.flatten(1).gather(1, source) * visible.flatten(1)).sum(1)
    before = (saliency * visible).sum((1, 2))
    assert (seen >= before - 1e-6).all() and seen.mean() > 1.05 * before.mean()


def test_dear_moves_and_full_or_no_view_leave_everything_in_place():
    saliency, visible = example(10, 8, 8)
    own = torch.arange(64).expand(10, -1)
    for seen, eps in ((visible, 1e4), (torch.ones_like(visible), 0.8), (torch.zeros_like(visible), 0.8)):
        source, won = transport_plan(saliency, seen, eps)
        assert torch.equal(source, own) and won.all()
    assert not torch.equal(transport_plan(saliency, visible, 0.8)[0], own)


def test_a_salient_patch_moves_next_door_to_be_seen():
    saliency = torch.full((1, 4, 4), 0.01)
    saliency[0, 1, 1] = 0.85
    visible = torch.zeros(1, 4, 4)
    visible[0, :, 2:] = 1
    source, _ = transport_plan(saliency, visible, 0.8)
    assert source[0, 1 * 4 + 2] == 1 * 4 + 1


def test_distances_count_squares_with_the_longer_side_as_1():
    squared = distances(2, 4, torch.device("cpu"))
    assert squared.shape == (8, 8) and torch.equal(squared, squared.T) and (squared.diagonal() == 0).all()
    assert squared[0, 3] == 1 and squared[0, 4] == pytest.approx(1 / 9) and squared[0, 7] == pytest.approx(10 / 9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bfloat16])
@pytest.mark.parametrize("rows, columns", [(2, 2), (4, 2), (1, 8)])
def test_move_puts_patches_where_the_plan_says(dtype, rows, columns):
    images = torch.randint(200, (3, 2, 8, 16), generator=generator()).to(dtype)
    source = torch.randint(rows * columns, (3, rows * columns), generator=generator(1))
    before, moved = images.clone(), move(images, source, rows, columns)
    assert moved.dtype == dtype and torch.equal(images, before)
    h, w = 8 // rows, 16 // columns
    for n in range(3):
        for j in range(rows * columns):
            (r, c), (u, v) = divmod(j, columns), divmod(source[n, j].item(), columns)
            there = moved[n, :, r * h:(r + 1) * h, c * w:(c + 1) * w]
            assert torch.equal(there, images[n, :, u * h:(u + 1) * h, v * w:(v + 1) * w])
