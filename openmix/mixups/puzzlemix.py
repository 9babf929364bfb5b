"""PuzzleMix: Kim, Choo & Song, "Puzzle Mix: Exploiting Saliency and Local Statistics for Optimal Mixup", ICML 2020,
arXiv 2009.06962."""
import torch
from torch import Tensor

from .. import functional, sampling
from ..checks import number, switch
from ..solvers import gridcut
from ..solvers.transport import move, transport_plan
from .guided import Guided


class PuzzleMix(Guided):
    """A grid of cells shows the salient parts of both images, with a smooth mask.

    A cell shows all, half (``n_labels=3``) or nothing of the first image. The cells minimise an energy
    (:mod:`openmix.solvers.gridcut`) of the saliencies, a prior from ``lam`` ~ Beta(alpha, alpha), and smoothness. Then
    patches of each image move to where that image is visible (:mod:`openmix.solvers.transport`). The ``lam`` of an
    image is the mean of its mask.

    Where the saliency comes from: :class:`~openmix.mixups.guided.Guided`.

    Args:
        blocks: grid sizes, one of which is drawn a batch; each must divide both sides of the images.
        beta, gamma, eta: weights of label smoothness, of image smoothness relative to it, and of the prior.
        neigh_size: pixels that are averaged before image smoothness is computed (at most a cell).
        n_labels: 2 (all or nothing) or 3.
        transport: move patches. t_eps: cost of a move. t_size: side of a patch in pixels; larger than a cell,
            -1 or None means a cell. Images larger than CIFAR's need -1: memory grows with patches squared.
        clean_weight: as of ``Guided``; Tiny-ImageNet in the paper: 1.
        std: standard deviations of the normalisation, so that borders are compared in images with the range of [0, 1],
            as in the paper's code; None uses the images unchanged.

    Raises:
        ValueError: a parameter out of its range; in :meth:`draw`, blocks or patches that do not fit the images.
    """

    paper = ("Kim, Choo & Song, "
             '"Puzzle Mix: Exploiting Saliency and Local Statistics for Optimal Mixup", arXiv 2009.06962')
    year = 2020
    venue = "ICML"
    passes = "one forward and backward pass of the clean batch (saliency)"
    defaults = {"CIFAR": dict(alpha=1.0), "Tiny-ImageNet": dict(alpha=1.0, clean_weight=1.0)}

    def __init__(self, alpha: float = 1.0, *, blocks=(2, 4, 8, 16), beta: float = 1.2, gamma: float = 0.5,
                 eta: float = 0.2, neigh_size: int = 4, n_labels: int = 3, transport: bool = True, t_eps: float = 0.8,
                 t_size: int | None = 4, std=None, **kwargs):
        super().__init__(alpha, **kwargs)
        blocks = blocks if isinstance(blocks, (tuple, list)) else [blocks]
        self.blocks = tuple(number("blocks", b, 2, whole=True) for b in blocks)
        if not self.blocks:
            raise ValueError("blocks must be one or more whole numbers of at least 2, got none")
        if std is not None:
            std = [number("std", s, above=True) for s in std]
            if len(std) != 3:
                raise ValueError(f"std must be three positive numbers, one a channel, got {len(std)}")
        weights = dict(beta=beta, gamma=gamma, eta=eta)
        self.energy = dict(n_labels=number("n_labels", n_labels, 2, 3, whole=True),
                           neigh_size=number("neigh_size", neigh_size, 1, whole=True),
                           **{name: number(name, value) for name, value in weights.items()})
        self.transport = switch("transport", transport)
        self.t_eps = number("t_eps", t_eps, above=True, hint=": else moving is free")
        t_size = -1 if t_size is None else number("t_size", t_size, -1, whole=True)
        if t_size == 0:
            raise ValueError("t_size must be a number of pixels, or -1 or None for a cell, got 0")
        self.t_size = None if t_size == -1 else t_size
        self.blends = not transport  # with transport, pixels have moved before they are blended
        self.register_buffer("std", None if std is None else torch.tensor(std).view(-1, 1, 1), persistent=False)

    # -- draw ------------------------------------------------------------------------------------------------------

    def draw(self, n, size, generator=None, steps=(), device=None):
        self.check_size(*size)
        draws = super().draw(n, size, generator, steps, device)
        return {**draws, "blocks": sampling.choose([1] * len(self.blocks), steps, generator)}

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError unless every grid fits images of this size."""
        size, t_size = f"{height}x{width}", self.t_size
        for blocks in self.blocks:
            if height % blocks or width % blocks:
                valid = [b for b in range(2, min(height, width) + 1) if height % b == width % b == 0]
                raise ValueError(f"blocks={self.blocks}: {blocks} does not divide both sides of {size} images; "
                                 f"possible are {', '.join(map(str, valid)) or 'none: resize the images'}")
        for blocks in self.blocks:
            cell = height // blocks, width // blocks
            if t_size and t_size < min(cell) and (cell[0] % t_size or cell[1] % t_size):
                raise ValueError(f"t_size={t_size} does not divide the {cell[0]}x{cell[1]} pixels a cell that {blocks} "
                                 f"blocks make of {size} images; use a divisor, or -1 to move whole cells")

    def patches(self, blocks: int, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the patches that move."""
        if self.t_size is None or self.t_size >= min(height, width) // blocks:
            return blocks, blocks
        return height // self.t_size, width // self.t_size

    # -- mix -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def cell_labels(self, images: Tensor, saliency: Tensor, draws: dict) -> Tensor:
        """The share of the first image in each cell, (N, B, B) in {0, 1/2, 1}."""
        seen = images.float() if self.std is None else images.float() * self.std.to(images.device)
        grid = gridcut.costs(seen, self.partner(seen, draws), saliency, self.partner(saliency, draws), draws["lam"],
                             self.blocks[draws["blocks"]], **self.energy)
        kept = 1 - gridcut.solve(grid).permute(2, 0, 1).float() / (self.energy["n_labels"] - 1)
        return self.keep_unmixed(kept, draws)

    def transported(self, images: Tensor, saliency: Tensor, kept: Tensor, draws: dict) -> tuple[Tensor, Tensor]:
        """Images and partners with their patches moved to where they are visible."""
        rows, columns = self.patches(kept.shape[1], *images.shape[2:])
        with torch.no_grad():
            share, shown = gridcut.cell_shares(saliency, rows, columns), gridcut.spread(kept, rows, columns)
            shares = torch.cat([share, self.partner(share, draws)])
            source, _ = transport_plan(shares, torch.cat([shown > 0, shown < 1]).float(), self.t_eps)
        moved = move(torch.cat([images, self.partner(images, draws)]), source, rows, columns)
        return moved[:len(images)], moved[len(images):]

    def mask(self, images, saliency, draws):
        return gridcut.spread(self.cell_labels(images, saliency, draws), *images.shape[2:])[:, None]

    def mix(self, images, labels, saliency, draws):
        if not self.transport:
            return super().mix(images, labels, saliency, draws)
        kept = self.cell_labels(images, saliency, draws)
        first, second = self.transported(images, saliency, kept, draws)
        mixed = functional.blend(first, second, gridcut.spread(kept, *images.shape[2:])[:, None], reuse=True)
        return mixed, self.target(labels, kept.mean((1, 2)), draws)

    def check_images(self, images: Tensor) -> None:
        """Raise ValueError unless these are float images that every grid fits."""
        super().check_images(images)
        self.check_size(*images.shape[2:])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, blocks={self.blocks}, transport={self.transport}"
