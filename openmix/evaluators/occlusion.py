"""Accuracy on images of which a part is hidden."""
import torch
from torch import Tensor

from ..checks import number
from .base import Evaluator, add, check_batch, refuse_empty, summed


class Occlusion(Evaluator):
    """Accuracy on images whose cells are hidden at random, for growing shares of hidden cells.

    Naseer et al., "Intriguing Properties of Vision Transformers", NeurIPS 2021, arXiv 2105.10497 (random patch drop).
    A hidden cell is black before the normalisation. ``top1`` is a list, one number for each share; ``mean`` is their
    mean.

    Args:
        cells: along each side; 14 in the paper at 224 pixels, where a cell has 16.
        shares: of the cells that are hidden, from 0 to 1. black: hide by black pixels; else by 0, the mean colour.
        seed: of the random cells.

    Raises:
        ValueError: a number out of its range.
    """

    main = "mean"

    def __init__(self, cells: int = 8, shares=(0.0, 0.25, 0.5, 0.75), black: bool = True, seed: int = 0):
        shares = list(shares) if isinstance(shares, (list, tuple)) else [shares]
        if not shares:
            raise ValueError("shares must be one or more numbers from 0 to 1, got none")
        self.cells, self.shares = number("cells", cells, 1, whole=True), [number("shares", s, 0, 1) for s in shares]
        self.passes, self.seed, self.black = len(shares), number("seed", seed, 0, whole=True), bool(black)
        self.sums, self.index, self.hidden = None, 0, 0.0

    def begin(self, loader) -> None:
        mean, std = getattr(loader, "mean", None), getattr(loader, "std", None)
        self.hidden = -mean / std if self.black and mean is not None and std is not None else 0.0

    def begin_pass(self, index: int) -> None:
        self.index, self.random = index, torch.Generator().manual_seed(self.seed)  # larger shares hide more of the same

    def transform(self, images: Tensor, labels: Tensor) -> Tensor:
        n, (height, width) = len(images), images.shape[2:]
        rank = torch.rand(n, self.cells**2, generator=self.random).argsort(1).argsort(1)
        hide = (rank < round(self.shares[self.index] * self.cells**2)).to(images.device)
        rows, columns = (torch.arange(side, device=images.device) * self.cells // side for side in (height, width))
        hide = hide[:, rows[:, None] * self.cells + columns][:, None]
        return torch.where(hide, torch.as_tensor(self.hidden, dtype=images.dtype, device=images.device), images)

    def update(self, logits: Tensor, labels: Tensor) -> None:
        check_batch(logits, labels)
        rows = torch.zeros(self.passes, 2, dtype=torch.float64, device=logits.device)
        rows[self.index] = torch.stack([(labels >= 0).sum(), (logits.argmax(1) == labels).sum()])
        self.sums = add(self.sums, rows)

    def compute(self) -> dict:
        count, right = summed(self.sums).view(self.passes, 2).T
        images = refuse_empty(count[0].item())
        top1 = (100 * right / count).tolist()
        return dict(top1=top1, share=self.shares, mean=sum(top1) / len(top1), count=images)
