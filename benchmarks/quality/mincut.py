"""An exact reference for ``openmix.solvers.gridcut``: the same energy as a minimum cut, grid by grid, by networkx.

Three labels make a cut in two layers, x1 = [t >= 1/2] and x2 = [t = 1] with x2 <= x1, so t = (x1 + x2) / 2. With the
identity x y = (x + y - |x - y|) / 2 a pair w (t_p - t_q)^2 becomes
w/4 (sum over layers i, j of |x_ip - x_jq| - x1p + x2p - x1q + x2q).
"""
import networkx
import torch
from networkx.algorithms.flow import boykov_kolmogorov
from torch import Tensor

UNITS = 10**10  # capacities are whole numbers, so that the cut is exact
NEVER = 10**16


def pairs(down, right):
    """(cell, neighbour, weight) of every pair; down (R - 1, C), right (R, C - 1) as nested lists."""
    for r, row in enumerate(down):
        yield from (((r, c), (r + 1, c), w) for c, w in enumerate(row))
    for r, row in enumerate(right):
        yield from (((r, c), (r, c + 1), w) for c, w in enumerate(row))


def energy(labels, unary, down, right) -> float:
    """Energy of one labelling, term by term; labels (R, C) and unary (K, R, C) as nested lists."""
    top = len(unary) - 1
    cells = sum(unary[k][r][c] for r, row in enumerate(labels) for c, k in enumerate(row))
    return cells + sum(w * ((labels[p[0]][p[1]] - labels[q[0]][q[1]]) / top) ** 2 for p, q, w in pairs(down, right))


def minimum_cut(unary, down, right) -> list[list[int]]:
    """Labels (R, C) of least energy for K = 2 or 3; unary convex in the labels, weights >= 0."""
    layers = range(1, len(unary))
    rows, columns = len(unary[0]), len(unary[0][0])
    single = {(r, c, k): unary[k][r][c] - unary[k - 1][r][c] for r in range(rows) for c in range(columns)
              for k in layers}  # cost of x_k = 1
    graph = networkx.DiGraph()
    for p, q, w in pairs(down, right):
        if len(layers) == 2:
            w = w / 4
            for cell in (p, q):
                single[(*cell, 1)] -= w
                single[(*cell, 2)] += w
        for i in layers:
            for j in layers:
                graph.add_edge((*p, i), (*q, j), capacity=round(w * UNITS))
                graph.add_edge((*q, j), (*p, i), capacity=round(w * UNITS))
    for (r, c, k), cost in single.items():  # on the source's side x is 1
        edge = ((r, c, k), "sink") if cost > 0 else ("source", (r, c, k))
        graph.add_edge(*edge, capacity=round(abs(cost) * UNITS))
        if k == 2:
            graph.add_edge((r, c, 2), (r, c, 1), capacity=NEVER)
    graph.add_nodes_from(["source", "sink"])
    _, (ones, _) = networkx.minimum_cut(graph, "source", "sink", flow_func=boykov_kolmogorov)
    return [[sum((r, c, k) in ones for k in layers) for c in range(columns)] for r in range(rows)]


def split(grid):
    """The N grids of an ``openmix.solvers.gridcut.Grid`` (samples last) as nested lists."""
    return list(zip(*(costs.movedim(-1, 0).double().tolist() for costs in grid), strict=True))


def energies(labels: Tensor, grid) -> Tensor:
    """Energies (N,) float64 of labels (R, C, N)."""
    chosen = labels.movedim(-1, 0).tolist()
    return torch.tensor([energy(one, *costs) for one, costs in zip(chosen, split(grid), strict=True)]).double()


def optimum(grid) -> tuple[Tensor, Tensor]:
    """Labels (R, C, N) of N minimum cuts and their energies (N,) float64."""
    cuts = [minimum_cut(*costs) for costs in split(grid)]
    labels = torch.tensor(cuts).movedim(0, -1)
    return labels, energies(labels, grid)
