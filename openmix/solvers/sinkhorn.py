"""Entropic optimal transport: Cuturi, "Sinkhorn Distances", NeurIPS 2013, arXiv 1306.0895."""
import math

from torch import Tensor


def sinkhorn(cost: Tensor, epsilon: float, iterations: int) -> Tensor:
    """The plan between two uniform distributions that is cheap and, the more so the larger ``epsilon``, spread out.

    So many rounds in the log domain, which nothing underflows. The last update is of the columns, whose sums are exact;
    those of the rows are as far as the rounds have come.

    Args:
        cost: (N, R, C) of moving a share of row r to column c. epsilon: weight of the entropy, in units of the cost.

    Returns:
        (N, R, C) non-negative: every column sums to 1 / C, every row to nearly 1 / R.
    """
    score = cost / -epsilon
    rows, columns = (-math.log(side) for side in cost.shape[1:])
    of_column = score.new_zeros(len(score), 1, score.shape[2])
    for _ in range(iterations):
        of_row = rows - (score + of_column).logsumexp(2, keepdim=True)
        of_column = columns - (score + of_row).logsumexp(1, keepdim=True)
    return (score + of_row + of_column).exp()
