"""Which inputs each cell of each output shows: Co-Mixup's optimum (Kim et al., ICLR 2021, arXiv 2102.03065).

The outputs of a part are computed one after the other, all parts of a batch at once, by tensor operations of fixed
shapes.
"""
import torch
from torch import Tensor
from torch.nn import functional as F

from ..functional import constant

NEVER = 1e3  # cost of an input that is not there
HALF_BONUS = 5e-4  # what two inputs in one cell cost less than their mean
HALF_AFFINITY = 0.75  # of a cell with one input and a neighbour that shows half of it
TEMPERATURES = (0.32, 0.1, 0.032)  # of the mean field, in units of 1 / cells: for black, white and black cells
LABELS = 4  # so many of the labels that are the cheapest everywhere are starts beside it


def checkerboard(rows: int, columns: int, device) -> tuple[Tensor, Tensor]:
    """Cells with the black ones first, (L,) int64, and which black and white ones share a side, (black, white) float32.

    L = rows * columns.
    """
    cell = torch.arange(rows * columns, device=device)
    row, column = cell // columns, cell % columns
    order = ((row + column) % 2).argsort(stable=True)
    distance = (row[:, None] - row).abs() + (column[:, None] - column).abs()
    black = (rows * columns + 1) // 2
    return order, (distance == 1).float()[order[:black, None], order[black:]]


def pairs_of_three(count: int, device) -> Tensor:
    """The pairs (1, 2), (1, 3) and (2, 3) of the first ``count`` of three things, (3, count) float32."""
    return (torch.arange(3, device=device)[:, None] + torch.arange(count, device=device) != 2).float()


def resolve(used: Tensor) -> Tensor:
    """Extra costs (P, O, M) that tell outputs apart which use the same two or more inputs: ``used`` (P, O, M) bool.

    The first of their inputs costs 1 where a later output is the same, the second where an earlier one is.
    """
    same = (used[:, :, None] == used[:, None]).all(-1) & (used.sum(-1) > 1)[:, :, None]
    later = torch.ones(used.shape[1], used.shape[1], dtype=torch.bool, device=used.device).triu(1)
    is_first, is_second = (same & later).any(2), (same & later).any(1)
    rank = used.cumsum(2) * used
    return ((rank == 1) & is_first[..., None]).float() + ((rank == 2) & is_second[..., None]).float()


def potts(unary: Tensor, affinity: Tensor, beside: Tensor, rounds: int = 2) -> Tensor:
    """Labels (P, L) of low energy on grids of L cells, the black ones of a checkerboard first.

    The energy is the sum of ``unary`` (P, L, K) at the labels, less ``affinity`` (P, K, K) of each two neighbours.
    ``beside`` is that of :func:`checkerboard`. There are several starts: the mean field at falling temperatures, and
    the labels that are the cheapest everywhere. Iterated conditional modes improve all, and the best result is taken.
    Both treat black and white cells in turn, as cells of one colour do not touch.
    """
    (parts, cells, kinds), split = unary.shape, beside.shape
    costs, near = unary.split(split, 1), [each.expand(parts, -1, -1) for each in (beside, beside.mT)]
    cost = costs[0]
    for step, temperature in enumerate(TEMPERATURES, 1):
        field = torch.softmax(cost * (-cells / temperature), 2)
        cost = torch.baddbmm(costs[step % 2], near[step % 2], torch.bmm(field, affinity), alpha=-1)
    cheapest = unary.sum(1).topk(min(LABELS, kinds), 1, largest=False).indices.mT[..., None].expand(-1, -1, split[1])
    white = torch.cat([cost.argmin(2)[None], cheapest])
    starts, total = len(white), len(white) * parts
    labels = [None, white.view(total, split[1])]
    costs = unary.expand(starts, -1, -1, -1).reshape(total, cells, kinds).split(split, 1)
    near = [each.expand(total, -1, -1) for each in (beside, beside.mT)]
    rows, first = affinity.flatten(0, 1), (torch.arange(parts, device=unary.device) * kinds).repeat(starts)[:, None]
    for colour in (0, 1) * rounds:
        alike = rows.index_select(0, (labels[1 - colour] + first).flatten()).view(total, split[1 - colour], kinds)
        cost = torch.baddbmm(costs[colour], near[colour], alike, alpha=-1)
        labels[colour] = cost.argmin(2)
    energy = costs[0].gather(2, labels[0][..., None]).sum((1, 2)) + cost.amin(2).sum(1)
    best = energy.view(starts, parts).argmin(0)[None, :, None].expand(1, -1, cells)
    return torch.cat(labels, 1).view(starts, parts, cells).gather(0, best)[0]


def with_halves(counts: Tensor, wish: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Labels of M inputs and three pairs, by what each output used: ``counts`` (P, O, M), ``wish`` (P, M) in ties.

    Returns:
        What each label shows of each input, (O, P, M + 3, M); how much neighbouring labels agree, (O, P, M + 3, M + 3);
        costs of the labels beside those of what they show, (O, P, 1, M + 3).
    """
    parts, outputs, m = counts.shape
    pairs = constant(pairs_of_three, counts, min(3, m))
    most = (counts + wish[:, None]).transpose(0, 1).topk(len(pairs[0]), 2)
    alone = torch.eye(m, device=counts.device)
    chosen = alone[most.indices] * (most.values > 0)[..., None]  # zeros for inputs that are not used
    pair = pairs @ chosen  # (O, P, 3, M), two ones a row, fewer where fewer inputs are used
    table = torch.cat([alone.expand(outputs, parts, -1, -1), 0.5 * pair], 2)
    affinity = torch.eye(m + 3, device=counts.device).repeat(outputs, parts, 1, 1)
    affinity[..., m:, :m], affinity[..., :m, m:] = HALF_AFFINITY * pair, HALF_AFFINITY * pair.mT
    offset = torch.where(pair.sum(3) > 1.5, -HALF_BONUS, NEVER)
    return table, affinity, F.pad(offset, (m, 0))[:, :, None]


@torch.no_grad()
def compose(saliency: Tensor, compatibility: Tensor, prior: Tensor, start: Tensor, present: Tensor, beta: float = 0.32,
            gamma: float = 1.0, eta: float = 0.05, threshold: float = 0.83, sweeps: int = 4) -> Tensor:
    """Compositions of P parts, each of M inputs and M outputs on a grid of R x C cells.

    An output prefers salient cells, inputs of a high prior, and neighbouring cells of the same input. Where the other
    outputs use an input in more than ``threshold`` of R * C cells, its cost is raised by ``gamma`` times twice that
    number. From the second sweep on a cell may show two of the three inputs that its output uses most, half and half.
    After the last sweep but one, outputs that use the same inputs are separated (:func:`resolve`).

    Args:
        saliency: each input's shares, (P, M, R, C), summing to 1. compatibility: (P, M, M), see
            :func:`compatibility`. prior: logarithms of the inputs' shares, (P, M). start: inputs that the cells of
            each output show at first, (P, M, R, C) int64.
        present: (P, M) bool, False for inputs and outputs that are not there.
        beta, eta: weights of smoothness and prior. sweeps: over the outputs.

    Returns:
        (P, M, M, R, C): of cell (r, c) of output o, the share of input i at [:, o, i, r, c]; sums to 1 over i.
    """
    with torch.autocast(saliency.device.type, enabled=False):
        parts, m, rows, columns = saliency.shape
        cells, device = rows * columns, saliency.device
        order, beside = constant(checkerboard, saliency, rows, columns)
        beta, gamma, eta, threshold = beta / cells, gamma / cells, eta / cells, threshold * cells
        cost = torch.where(present[:, None], (-saliency - eta * prior[..., None, None]).flatten(2).mT, NEVER)[:, order]
        # of inputs that an output uses equally often, those of higher priors come first
        wish = cost.mean(1).argsort(stable=True).argsort() * (-0.5 / m)
        table = torch.eye(m, device=device).repeat(m, parts, 1, 1)  # (O, P, K, M): what each label shows
        affinity, unary = table, cost.expand(m, -1, -1, -1)
        others = (present * ~torch.eye(m, dtype=torch.bool, device=device)[:, None]).float()[:, :, None].unbind()
        counts = (start.flatten(2)[..., None] == torch.arange(m, device=device)).sum(2).float()
        for sweep in range(sweeps):
            if sweep > 0:  # what an output uses does not change until its turn: one call for all
                table, affinity, offset = with_halves(counts, wish)
                unary = cost @ table.mT + offset
            if sweep > 0 and sweep == sweeps - 1:
                extra = resolve((counts > 0) & present[..., None]).transpose(0, 1)[:, :, None]
                unary = unary + gamma * extra @ table.mT
            first = torch.arange(parts, device=device)[:, None] * table.shape[2]
            each = zip(others, unary, beta * affinity, table.mT.contiguous(), table.flatten(1, 2), strict=True)
            labels = []
            for o, (other, costs, alike, columns_of, rows_of) in enumerate(each):
                rise = F.threshold(torch.bmm(torch.bmm(other, counts), compatibility), threshold, 0)
                label = potts(torch.add(costs, torch.bmm(rise, columns_of), alpha=2 * gamma), alike, beside)
                counts[:, o] = rows_of.index_select(0, (label + first).flatten()).view(parts, cells, m).sum(1)
                labels.append(label)
        shown = torch.stack(labels)[..., None] == torch.arange(table.shape[2], device=device)
        shares = (shown.float() @ table).transpose(0, 1) * present[..., None, None]
        return shares[:, :, order.argsort()].mT.contiguous().view(parts, m, m, rows, columns)


def compatibility(position: Tensor, present: Tensor, omega: float = 0.001) -> Tensor:
    """How much the use of one input speaks against another: (P, M, M), mostly against itself.

    ``(1 - omega)`` times the identity, and ``omega`` times the distances |rows| + |columns| between the most salient
    positions, scaled to a sum of M.

    Args:
        position: (P, M, 2) row and column. present: (P, M) bool, False for inputs that are not there.
    """
    distance = (position[:, :, None] - position[:, None]).abs().sum(-1).float()
    distance = distance * (present[:, :, None] & present[:, None])
    scale = present.sum(1) / distance.sum((1, 2)).clamp(min=1)  # of whole numbers
    eye = torch.eye(position.shape[1], device=position.device)
    return (1 - omega) * eye + omega * distance * scale[:, None, None]


@torch.library.custom_op("openmix::compose", mutates_args=())
def compose_untraced(saliency: Tensor, compatibility: Tensor, prior: Tensor, start: Tensor, present: Tensor,
                     beta: float, gamma: float, eta: float, threshold: float, sweeps: int) -> Tensor:
    """:func:`compose` as one operation: torch.compile need not trace its thousands of kernels."""
    return compose(saliency, compatibility, prior, start, present, beta, gamma, eta, threshold, sweeps)


@compose_untraced.register_fake
def _(saliency, compatibility, prior, start, present, beta, gamma, eta, threshold, sweeps):
    parts, m, rows, columns = saliency.shape
    return saliency.new_empty(parts, m, m, rows, columns)
