"""R-Mix: Luu, Nguyen, Vo & Le, "Expeditious Saliency-guided Mix-up through Random Gradient Thresholding", 2022."""
import torch
from torch import Tensor

from .. import sampling
from ..checks import number, pair
from ..solvers import gridcut
from .guided import Guided


def row_quantiles(values: Tensor, q: Tensor) -> Tensor:
    """The ``q[i]``-quantile of row i, between two values in proportion, as ``torch.quantile``: (N, L), (N,) -> (N,)."""
    ordered, last = values.sort(1).values, values.shape[1] - 1
    position = q * last
    below = position.floor().long()
    low, high = (ordered.gather(1, at[:, None])[:, 0] for at in (below, (below + 1).clamp(max=last)))
    return low.lerp(high, position - below)


class RMix(Guided):
    """Cells that are salient in one image alone show that image; all others are interpolated with ``lam``.

    The salient cells of an image are those whose saliency is at least its q-quantile, with a ``q`` drawn for each
    image. The label weight is the mean of the mask. Where the saliency comes from:
    :class:`~openmix.mixups.guided.Guided`. The authors' code takes it in training mode and drops the clean gradient.

    Args:
        alpha: Beta parameter of ``lam``. The authors' code has 1 for CIFAR-100.
        blocks: cells along a side, one of which is drawn a batch; each must divide both sides of the images.
        quantiles: least and largest ``q``; ``levels``: how many equidistant ones there are to draw from.

    Raises:
        ValueError: a parameter out of its range; cells that do not fit the images.
    """

    paper = ('Luu, Nguyen, Vo & Le, "Expeditious Saliency-guided Mix-up through Random Gradient Thresholding", '
             'arXiv 2212.04875')
    year = 2022
    venue = "arXiv"
    passes = "one forward and backward pass (saliency)"
    defaults = {"CIFAR": dict(alpha=1.0, blocks=(2, 4))}

    def __init__(self, alpha: float = 1.0, *, blocks=(2, 4), quantiles: tuple[float, float] = (0.0, 0.99),
                 levels: int = 10, **kwargs):
        super().__init__(alpha, **kwargs)
        blocks = blocks if isinstance(blocks, (tuple, list)) else [blocks]
        self.blocks = tuple(number("blocks", b, 1, whole=True) for b in blocks)
        if not self.blocks:
            raise ValueError("blocks must be one or more whole numbers, got none")
        self.quantiles, self.levels = pair("quantiles", quantiles, 0, 1), number("levels", levels, 2, whole=True)

    def draw(self, n, size, generator=None, steps=(), device=None):
        self.check_size(*size)
        level = sampling.integers(self.levels, (*steps, n), generator, device)
        low, high = self.quantiles
        return dict(super().draw(n, size, generator, steps, device), q=low + (high - low) * level / (self.levels - 1),
                    blocks=sampling.choose([1] * len(self.blocks), steps, generator))

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError unless every grid fits images of this size."""
        for blocks in self.blocks:
            if height % blocks or width % blocks:
                raise ValueError(f"blocks={self.blocks}: {blocks} does not divide both sides of {height}x{width} "
                                 "images; resize the images, or set blocks")

    def check_images(self, images: Tensor) -> None:
        """Raise ValueError unless these are float images that every grid fits."""
        super().check_images(images)
        self.check_size(*images.shape[2:])

    @torch.no_grad()
    def mask(self, images, saliency, draws):
        blocks = self.blocks[draws["blocks"]]
        cells = gridcut.cell_shares(saliency, blocks, blocks)
        least = row_quantiles(cells.flatten(1), draws["q"].expand(len(cells)))
        salient = cells >= least[:, None, None]
        mixed = torch.where(salient == self.partner(salient, draws), draws["lam"][:, None, None], salient.float())
        return gridcut.spread(self.keep_unmixed(mixed, draws), *images.shape[2:])[:, None]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, blocks={self.blocks}"
