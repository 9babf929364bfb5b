"""Which inputs each cell of each output shows: Co-Mixup's optimum (Kim et al., ICLR 2021, arXiv 2102.03065).

The outputs of a part are computed one after the other, all parts of a batch at once, by tensor operations of fixed
shapes.
"""
import torch
from torch import Tensor

from ..functional import constant

NEVER = 1e3  # cost of an input that is not there
HALF_BONUS = 5e-4  # what two inputs in one cell cost less than their mean
TEMPERATURES = (0.32, 0.149, 0.069, 0.032)  # of the mean field, in units of 1 / cells
HALF_AFFINITY = 0.75  # of a cell with one input and a neighbour that shows half of it


def neighbours(rows: int, columns: int, device) -> tuple[Tensor, Tensor]:
    """Which cells share a side, (L, L) float32, and the black ones of a checkerboard, (L,) bool; L = rows * columns."""
    row = torch.arange(rows, device=device).repeat_interleave(columns)
    column = torch.arange(columns, device=device).repeat(rows)
    distance = (row[:, None] - row).abs() + (column[:, None] - column).abs()
    return (distance == 1).float(), (row + column) % 2 == 0


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


def potts(unary: Tensor, affinity: Tensor, beside: Tensor, black: Tensor, rounds: int = 2) -> Tensor:
    """Labels (P, L) of low energy on grids of L cells.

    The energy is the sum of ``unary`` (P, K, L) at the labels, less ``affinity`` (P, K, K) of each two neighbours.
    ``beside`` and ``black`` are those of :func:`neighbours`. There are two starts: the mean field at falling
    temperatures, and the one label that is the cheapest everywhere. Iterated conditional modes, black and white cells
    in turn, improve both, and the better result is taken.
    """
    parts, kinds, cells = unary.shape
    field = torch.softmax(unary * (-cells / TEMPERATURES[0]), 1)
    for temperature in TEMPERATURES[1:]:
        scale = cells / temperature
        field = torch.softmax(torch.baddbmm(unary, affinity, field @ beside, beta=-scale, alpha=scale), 1)
    labels = torch.cat([torch.baddbmm(unary, affinity, field @ beside, alpha=-1).argmin(1),
                        unary.sum(2).argmin(1, keepdim=True).expand(-1, cells)])
    unary, affinity = torch.cat([unary, unary]), torch.cat([affinity, affinity])
    known = torch.arange(kinds, device=unary.device)[:, None]
    for colour in (black, ~black) * rounds:
        near = (labels[:, None] == known).to(unary.dtype) @ beside
        labels = torch.where(colour, torch.baddbmm(unary, affinity, near, alpha=-1).argmin(1), labels)
    shown = (labels[:, None] == known).to(unary.dtype)
    energy = (shown * torch.baddbmm(unary, affinity, shown @ beside, alpha=-0.5)).sum((1, 2))
    better = energy[:parts] <= energy[parts:]
    return torch.where(better[:, None], labels[:parts], labels[parts:])


@torch.no_grad()
def compose(saliency: Tensor, compatibility: Tensor, prior: Tensor, start: Tensor, present: Tensor, beta: float = 0.32,
            gamma: float = 1.0, eta: float = 0.05, threshold: float = 0.83, sweeps: int = 4, rounds: int = 2) -> Tensor:
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
        beta, eta: weights of smoothness and prior. sweeps: over the outputs. rounds: of :func:`potts`.

    Returns:
        (P, M, M, R, C): of cell (r, c) of output o, the share of input i at [:, o, i, r, c]; sums to 1 over i.
    """
    with torch.autocast(saliency.device.type, enabled=False):
        parts, m, rows, columns = saliency.shape
        cells, device = rows * columns, saliency.device
        beside, black = constant(neighbours, saliency, rows, columns)
        pairs = constant(pairs_of_three, saliency, min(3, m))
        beta, gamma, eta, threshold = beta / cells, gamma / cells, eta / cells, threshold * cells
        cost = torch.where(present[..., None], (-saliency - eta * prior[..., None, None]).flatten(2), NEVER)
        wish = cost.mean(2) * -1e-3  # of inputs that an output uses equally often, those of higher priors come first
        inputs = torch.arange(m, device=device)
        alone = torch.eye(m + 3, device=device).expand(parts, -1, -1)
        shares = (start.flatten(2)[:, :, None] == inputs[:, None]).float() * present[:, :, None, None]
        counts = shares.sum(3)
        total, extra = counts.sum(1), None
        for sweep in range(sweeps):
            for o in range(m):
                others = total - counts[:, o]
                use = (compatibility @ others[..., None])[..., 0]
                rise = torch.where(use > threshold, 2 * gamma * use, 0)
                unary = cost + (rise if extra is None else rise + gamma * extra[:, o])[..., None]
                if sweep == 0:
                    labels = potts(unary, beta * alone[:, :m, :m], beside, black, rounds)
                    shown = (labels[:, None] == inputs[:, None]).float()
                else:
                    most = (counts[:, o] + wish).topk(len(pairs[0]), 1).indices
                    chosen = (most[..., None] == inputs) & (counts[:, o, None] > 0)
                    pair = pairs @ chosen.float()  # (P, 3, M), two ones a row, fewer where fewer inputs are used
                    half = torch.where(pair.sum(2, keepdim=True) > 1.5, 0.5 * pair @ unary - HALF_BONUS, NEVER)
                    affinity = alone.clone()
                    affinity[:, m:, :m], affinity[:, :m, m:] = HALF_AFFINITY * pair, HALF_AFFINITY * pair.mT
                    labels = potts(torch.cat([unary, half], 1), beta * affinity, beside, black, rounds)
                    one = (labels[:, None] == torch.arange(m + 3, device=device)[:, None]).float()
                    shown = one[:, :m] + 0.5 * pair.mT @ one[:, m:]
                shares[:, o] = shown * present[:, o, None, None]
                counts[:, o] = shares[:, o].sum(2)
                total = others + counts[:, o]
            if sweep == sweeps - 2:
                extra = resolve(counts > 0)
        return shares.view(parts, m, m, rows, columns)


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
