"""Moving the salient patches of an image to where they are visible (PuzzleMix, arXiv 2009.06962)."""
import torch
from torch import Tensor

from ..functional import constant


def distances(rows: int, columns: int, device: torch.device) -> Tensor:
    """Squared distances between the patches of a grid, 1 along its longer side: (L, L) with L = rows * columns."""
    row = torch.arange(rows, device=device).repeat_interleave(columns)
    column = torch.arange(columns, device=device).repeat(rows)
    squared = (row[:, None] - row).square() + (column[:, None] - column).square()
    return squared.float() / max(max(rows, columns) - 1, 1) ** 2


def transport_plan(saliency: Tensor, visible: Tensor, eps: float = 0.8) -> tuple[Tensor, Tensor]:
    """Where each patch of the moved image comes from.

    Moving patch i to position j costs ``eps * distance(i, j) - saliency[i] * visible[j]``. Every patch picks its
    cheapest position. A contested position goes to its cheapest patch, and its cost rises by 1 for the others. The
    number of rounds is the longer side of the grid. The winners' positions form a partial permutation.

    Args:
        saliency: each patch's share, (N, R, C). visible: 1 where the image shows, (N, R, C) float.

    Returns:
        source (N, L) int64, the own index where nobody won, and won (N, L) bool, L = R * C.
    """
    n, rows, columns = saliency.shape
    count = rows * columns
    table = constant(distances, saliency, rows, columns)
    cost = torch.addcmul(eps * table, saliency.reshape(n, count, 1),
                         visible.reshape(n, 1, count), value=-1).view(-1, columns)
    # The best of each row of positions is stored, so that a raised cost needs one row again and not the grid.
    least = cost.view(n, count, rows, columns).amin(3)
    own = torch.arange(count, device=saliency.device).expand(n, count)
    first = torch.arange(n * count, device=saliency.device) * rows  # each patch's first row in cost
    for _ in range(max(rows, columns)):
        row = least.min(2).indices  # (faster on CPU than argmin)
        line = cost.index_select(0, first + row.flatten())
        price, column = line.min(1, keepdim=True)
        position, price = row * columns + column.view(n, count), price.view(n, count)
        cheapest = torch.full_like(price, torch.inf).scatter_reduce(1, position, price, "amin")
        claims = torch.where(price == cheapest.gather(1, position), own, count)  # the first of equal ones wins
        winner = torch.full_like(own, count).scatter_reduce(1, position, claims, "amin")
        lost = winner.gather(1, position) != own
        line = line.scatter_add(1, column, lost.view(-1, 1).to(line.dtype))
        cost.index_copy_(0, first + row.flatten(), line)
        least = least.scatter(2, row[..., None], line.amin(1).view(n, count, 1))
    won = winner < count
    return torch.where(won, winner, own), won


def move(images: Tensor, source: Tensor, rows: int, columns: int) -> Tensor:
    """Images (N, C, H, W) with patch ``source[:, j]`` (N, rows * columns) moved to position j, as a new tensor."""
    n, channels, height, width = images.shape
    patches = images.reshape(n, channels, rows, height // rows, columns, width // columns).permute(0, 2, 4, 1, 3, 5)
    start = torch.arange(n, device=images.device)[:, None] * (rows * columns)
    moved = patches.reshape(n * rows * columns, -1).index_select(0, (source + start).flatten())
    return moved.view(patches.shape).permute(0, 3, 1, 4, 2, 5).reshape(images.shape)
