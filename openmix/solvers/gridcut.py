"""Cutting two images along a grid (PuzzleMix, Kim et al., arXiv 2009.06962): the costs and their minimisation.

A labelling gives each cell of a b x b grid a label k in 0 ... K - 1, the share t = k / (K - 1) taken of the second
image. Its energy is ``sum unary[t] + sum w (t_p - t_q)^2`` over cells and neighbouring pairs: convex in the labels,
so an exact optimum is a minimum cut. A whole batch is solved at once, by tensor operations of fixed shapes. Labels
come first and samples last in memory, (K, R, C, N), so that every kernel runs along samples.
"""
import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

EXACT_STATES = 256  # labellings of one row up to which dynamic programming solves the whole grid
STRIP = 4  # columns (then rows) that are solved exactly together in the final sweep over larger grids


class Grid(NamedTuple):
    """Costs of N grids: ``unary`` (K, R, C, N), ``down`` (R - 1, C, N) and ``right`` (R, C - 1, N) weights >= 0."""

    unary: Tensor
    down: Tensor
    right: Tensor

    def transpose(self) -> "Grid":
        return Grid(self.unary.transpose(1, 2), self.right.transpose(0, 1), self.down.transpose(0, 1))


# -- costs -----------------------------------------------------------------------------------------------------


def _pool(x: Tensor, rows: int, columns: int) -> Tensor:
    """Adaptive average pooling to (rows, columns), by the faster plain kernel where that is the same."""
    height, width = x.shape[-2:]
    if (height, width) == (rows, columns):
        return x
    if height % rows or width % columns:
        return F.adaptive_avg_pool2d(x, (rows, columns))
    return F.avg_pool2d(x, (height // rows, width // columns))


def cell_shares(saliency: Tensor, rows: int, columns: int) -> Tensor:
    """Each cell's share of the saliency (N, H, W) >= 0 of its image: (N, rows, columns), summing to one."""
    cells = _pool(saliency.float()[:, None], rows, columns)[:, 0]
    cells = cells + torch.finfo(torch.float32).tiny  # a map of zeros counts as uniform
    return cells / cells.sum((1, 2), keepdim=True)


def spread(cells: Tensor, rows: int, columns: int) -> Tensor:
    """Values of cells (N, R, C) repeated on a finer grid (N, rows, columns)."""
    return cells.repeat_interleave(rows // cells.shape[1], 1).repeat_interleave(columns // cells.shape[2], 2)


def _taken(n_labels: int, device, dims: int) -> Tensor:
    """t = 0 ... 1 of the labels, shaped to broadcast over ``dims`` axes behind them."""
    return torch.linspace(0, 1, n_labels, device=device).view(-1, *[1] * dims)


def prior_cost(lam: Tensor, n_labels: int) -> Tensor:
    """-log P(label) where the labels are binomial with P(keep) = lam (N,): (K, N), finite also for lam 0 and 1."""
    keep, take = -lam.log().clamp(min=-5e3), -(1 - lam).log().clamp(min=-5e3)
    top = n_labels - 1
    return torch.stack([(top - k) * keep + k * take - math.log(math.comb(top, k)) for k in range(n_labels)])


def _borders(pair: Tensor, cells: int, side: int, smooth: float, gamma: float) -> tuple[Tensor, Tensor]:
    """Costs across the borders between rows of cells, ``side`` pooled pixels a cell; pair (2, N, C, h, w).

    With d_uv = mean |u above - v below|, weights and a part linear in the labels together charge
    ``smooth * gamma * d_uv`` (up to a constant) for cells taken wholly from images u and v.

    Returns:
        weight (R - 1, C, N), and the linear part of choosing the first or second image, (2, R, C, N).
    """
    above, below = pair[..., side - 1:-1:side, :], pair[..., side::side, :]
    d = (above[:, None] - below[None]).abs().mean(3).unflatten(-1, (cells, side)).mean(-1)  # (u, v, N, R - 1, C)
    d = d.permute(0, 1, 3, 4, 2).contiguous() * (smooth * gamma)
    weight = smooth + (d[0, 1] + d[1, 0] - d[0, 0] - d[1, 1]) / 2
    linear = F.pad(d.mean(1), (0, 0, 0, 0, 0, 1)) + F.pad(d.mean(0), (0, 0, 0, 0, 1, 0))
    return weight.clamp(min=0), linear


def costs(images: Tensor, partner: Tensor, saliency: Tensor, partner_saliency: Tensor, lam: Tensor, blocks: int, *,
          n_labels: int = 3, beta: float = 1.2, gamma: float = 0.5, eta: float = 0.2, neigh_size: int = 4) -> Grid:
    """The energy of mixing ``images`` (N, C, H, W) with ``partner`` on a grid of ``blocks`` x ``blocks`` cells.

    Args:
        saliency, partner_saliency: (N, H, W). Taking a share t of the partner costs t of the cell's own saliency and
            1 - t of the partner's.
        lam: (N,) or (1,) share to keep, as a prior on the labels with weight ``eta``.
        beta: smoothness of the labels. gamma: smoothness of the image across borders, relative to beta.
        neigh_size: images are pooled by so many pixels (at most a cell) before borders are compared.
    """
    n = len(images)
    own, other = (cell_shares(s, blocks, blocks).permute(1, 2, 0).contiguous() for s in (saliency, partner_saliency))
    cell = min(images.shape[2:]) // blocks
    side = cell // min(neigh_size, cell)
    pair = _pool(torch.cat([images, partner]).float(), blocks * side, blocks * side).unflatten(0, (2, n))
    smooth = beta / (16 * blocks)
    down, linear = _borders(pair, blocks, side, smooth, gamma)
    right, across = _borders(pair.transpose(-1, -2), blocks, side, smooth, gamma)
    linear = linear + across.transpose(1, 2)
    prior = prior_cost(lam.float().expand(n), n_labels)[:, None, None] * (eta / blocks**2)
    unary = torch.lerp(other + linear[0], own + linear[1], _taken(n_labels, images.device, 3)) + prior
    return Grid(unary, down, right.transpose(0, 1))


def energy(labels: Tensor, grid: Grid) -> Tensor:
    """Energy (N,) of labels (R, C, N) int64."""
    unary, down, right = grid
    t = labels.to(unary.dtype) / (len(unary) - 1)
    pairs = (down * t.diff(dim=0).square()).sum((0, 1)) + (right * t.diff(dim=1).square()).sum((0, 1))
    return unary.gather(0, labels[None])[0].sum((0, 1)) + pairs


# -- minimisation ----------------------------------------------------------------------------------------------


def solve_exactly(grid: Grid) -> Tensor:
    """Labels (R, C, N) of least energy, by dynamic programming over the labels of the last C cells: K^C states."""
    unary, down, right = grid
    k, rows, columns, n = unary.shape
    t = _taken(k, unary.device, 0)
    square = (t[:, None] - t).square()[..., None]  # (K, K, 1)
    rest = k ** (columns - 1)
    best = unary.new_zeros(k, rest, 1, n)  # least cost so far by the label of the oldest cell and of the others
    options = []  # costs by the label above the new cell, kept to read the best one back
    for r in range(rows):
        for c in range(columns):
            if r == 0:
                step = best[0].expand(rest, k, n)  # nothing above: the oldest label is a placeholder
            else:
                option = best + square[:, None] * down[r - 1, c]
                options.append(option.view(k, -1, n))
                step = option.amin(0)
            if c == 0:
                step = step + unary[:, r, c]
            else:
                step = step.reshape(-1, k, k, n) + (unary[:, r, c] + square * right[r, c - 1])
            best = step.reshape(k, rest, 1, n)
    state = best.view(-1, n).argmin(0)[None]
    labels = []
    for _ in range(rows * columns):
        labels.append(state % k)
        above = options.pop().gather(1, state.expand(k, 1, n)).argmin(0) if options else 0
        state = state // k + above * rest
    return torch.cat(labels[::-1]).view(rows, columns, n)


def _min_plus(h: Tensor, w: Tensor) -> Tensor:
    """Messages min_j h[j] + w (t_i - t_j)^2, less their minimum; labels along the first axis of ``h``."""
    top = len(h) - 1
    messages = []
    for i in range(top + 1):
        least = h[i]
        for j in range(top + 1):
            if i != j:
                least = torch.minimum(least, h[j].add(w, alpha=((i - j) / top) ** 2))
        messages.append(least)
    message = torch.stack(messages)
    return message - message.amin(0)


def propagate(grid: Grid, iterations: int = 16, damping: float = 0.25) -> Tensor:
    """Labels (B, B, N) by damped min-sum belief propagation on square grids."""
    unary = torch.stack([grid.unary, grid.unary.transpose(1, 2)], 1)  # both directions as rows: (K, 2, B, B, N)
    weight = torch.stack([grid.right, grid.down.transpose(0, 1)])
    forward = backward = torch.zeros_like(unary[:, :, :, 1:])

    def belief():
        along = F.pad(forward, (0, 0, 1, 0)) + F.pad(backward, (0, 0, 0, 1))
        return unary + along + along.flip(1).transpose(2, 3)

    for _ in range(iterations):
        b = belief()
        to_right, to_left = _min_plus(b[:, :, :, :-1] - backward, weight), _min_plus(b[:, :, :, 1:] - forward, weight)
        forward, backward = to_right.lerp(forward, damping), to_left.lerp(backward, damping)
    return belief()[:, 0].argmin(0)


def _solve_strips(labels: Tensor, grid: Grid, width: int, phase: int) -> Tensor:
    """Labels after solving exactly every other strip of ``width`` columns, the strips between them held."""
    unary, down, right = grid
    k, rows, columns, n = unary.shape
    t, column = _taken(k, unary.device, 3), torch.arange(columns, device=unary.device)[:, None]
    now = labels.to(unary.dtype) / (k - 1)
    to_left = F.pad(right * (t - now[:, :-1]).square(), (0, 0, 1, 0)) * (column % width == 0)
    to_right = F.pad(right * (t - now[:, 1:]).square(), (0, 0, 0, 1)) * ((column + 1) % width == 0)
    pad = -columns % (2 * width)

    def split(x):  # (..., C, N) -> (..., pairs of strips, 2, width, N)
        return F.pad(x, (0, 0, 0, pad)).unflatten(-2, (-1, 2, width))

    def strips(x):  # the free strips as further samples: (..., width, strips * N)
        return split(x).select(-3, phase).transpose(-3, -2).flatten(-2)

    inner = strips(F.pad(right, (0, 0, 0, 1)))[:, :-1]
    solved = solve_exactly(Grid(strips(unary + to_left + to_right), strips(down), inner))
    both = list(split(labels).unbind(2))
    both[phase] = solved.unflatten(-1, (-1, n)).transpose(1, 2)
    return torch.stack(both, 2).flatten(1, 3)[:, :columns]


def sweep(labels: Tensor, grid: Grid, width: int = STRIP) -> Tensor:
    """Labels (R, C, N) of no higher energy, after solving strips of columns and then of rows exactly."""
    for _ in range(2):
        for phase in (0, 1):
            labels = _solve_strips(labels, grid, width, phase)
        labels, grid = labels.transpose(0, 1), grid.transpose()
    return labels


def solve(grid: Grid) -> Tensor:
    """Labels (B, B, N) int64 of least energy: exact on small grids, else within about 0.05 % of it on average.

    Larger grids start from belief propagation or from the best constant labelling, whichever is better (flat
    saliency maps have constant optima), and go through one :func:`sweep`.
    """
    k, _, columns, _ = grid.unary.shape
    if k**columns <= EXACT_STATES:
        return solve_exactly(grid)
    labels = propagate(grid)
    constant = grid.unary.sum((1, 2)).min(0)  # no pair costs anything
    labels = torch.where(energy(labels, grid) <= constant.values, labels, constant.indices)
    return sweep(labels, grid)
