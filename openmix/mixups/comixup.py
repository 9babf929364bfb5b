"""Co-Mixup: Kim et al., "Co-Mixup: Saliency Guided Joint Mixup with Supermodular Diversity", ICLR 2021.

arXiv 2102.03065.
"""
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import functional, sampling
from ..checks import number
from ..solvers import gridcut
from ..solvers.composition import compatibility, compose, compose_untraced
from ..solvers.transport import move
from ..target import mix_target
from .guided import Guided

WINDOW = 8  # side in pixels of the window whose mean saliency decides which place of an image is the most salient


def parts_of(n: int, size: int, device) -> tuple[Tensor, Tensor, Tensor]:
    """Parts of at most ``size`` out of ``n`` images, in order, which differ in size by one at most.

    Returns:
        index (P, M) int64, the images of each part; present (P, M) bool, False for the last slot of smaller parts,
        which repeats the first image; slot (n,) int64, where each image is among the P * M slots.
    """
    parts = -(-n // size)
    m = -(-n // parts)
    full = parts - (parts * m - n)  # how many parts have m images
    part, image = torch.arange(parts, device=device), torch.arange(n, device=device)
    first = part * m - (part - full).clamp(min=0)
    place = torch.arange(m, device=device)
    present = place < (m - (part >= full).long())[:, None]
    index = torch.where(present, first[:, None] + place, first[:, None])
    own = torch.where(image < full * m, image // m, full + (image - full * m) // max(m - 1, 1))
    return index, present, own * m + image - first[own]


def salient_places(saliency: Tensor) -> Tensor:
    """Row and column of the window of greatest mean saliency (N, H, W): (N, 2) int64."""
    window = [min(WINDOW, side) for side in saliency.shape[1:]]
    mean = F.avg_pool2d(saliency[:, None].float(), window, 1)[:, 0]
    best = mean.flatten(1).argmax(1)
    return torch.stack([best // mean.shape[2], best % mean.shape[2]], 1)


class CoMixup(Guided):
    """Each output is made of cells of up to ``part`` inputs, all outputs of a part together.

    Salient cells are shown, neighbouring cells tend to show the same input, and no input is used much more often than
    others. A cell shows one input, or two half and half. The label weights of an output are its inputs' areas. The
    solver is :mod:`openmix.solvers.composition`. Where the saliency comes from: :class:`~openmix.mixups.guided.Guided`.

    Args:
        alpha: the inputs' prior is Dirichlet(alpha, ..., alpha), drawn for each part.
        blocks: cells along a side; must divide both sides of the images.
        part: how many images are mixed with each other at most; the parts of a batch differ by one image at most.
        beta, gamma, eta: weights of label smoothness, of diversity and of the prior.
        threshold: share of an output's cells from which on the use of an input by the other outputs has a cost.
        omega: weight of the distances between salient cells in the compatibility of inputs.
        sweeps: how often each output is solved.
        clean_weight: weight of the loss of the clean batch; with 0 the saliency is that of eval mode.

    Raises:
        ValueError: a parameter out of its range; cells that do not fit the images.
    """

    paper = ('Kim, Choo, Jeong & Song, "Co-Mixup: Saliency Guided Joint Mixup with Supermodular Diversity", '
             'arXiv 2102.03065')
    year = 2021
    venue = "ICLR"
    passes = "one forward and backward pass (saliency and clean gradient)"
    defaults = {"CIFAR": dict(alpha=2.0, clean_weight=1.0)}

    permutes = False  # the k-th source is the k-th image of the part

    def __init__(self, alpha: float = 2.0, *, blocks: int = 4, part: int = 20, beta: float = 0.32, gamma: float = 1.0,
                 eta: float = 0.05, threshold: float = 0.83, omega: float = 0.001, sweeps: int = 4,
                 clean_weight: float = 1.0, saliency: str = "gradient", prob: float = 1.0, mix_rate: float = 1.0,
                 num_classes: int | None = None):
        super().__init__(alpha, saliency=saliency, clean_weight=clean_weight, prob=prob, mix_rate=mix_rate,
                         num_classes=num_classes)
        self.blocks, self.part = number("blocks", blocks, 1, whole=True), number("part", part, 1, whole=True)
        self.omega = number("omega", omega, 0, 1)
        weights = dict(beta=beta, gamma=gamma, eta=eta, threshold=threshold)
        self.energy = {name: number(name, value) for name, value in weights.items()}
        self.energy["sweeps"] = number("sweeps", sweeps, 1, whole=True)

    # -- draw ------------------------------------------------------------------------------------------------------

    def draw(self, n, size, generator=None, steps=(), device=None):
        self.check_size(*size)
        start = sampling.integers(256, (*steps, n, self.blocks**2), generator, device).to(torch.uint8)
        return dict(prior=sampling.gamma(self.alpha, (*steps, n), generator, device), start=start,
                    **self.draw_common(n, generator, steps, device))

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError unless the cells fit images of this size."""
        if height % self.blocks or width % self.blocks:
            raise ValueError(f"blocks={self.blocks} does not divide both sides of {height}x{width} images; "
                             "resize the images, or set blocks")

    def check_images(self, images: Tensor) -> None:
        """Raise ValueError unless these are float images that the cells fit."""
        super().check_images(images)
        self.check_size(*images.shape[2:])

    # -- mix -------------------------------------------------------------------------------------------------------

    def problem(self, saliency: Tensor, draws: dict) -> dict[str, Tensor]:
        """What :func:`~openmix.solvers.composition.compose` asks for, of all parts."""
        index, present, _ = self.parts(saliency)
        start = draws["start"].long()[index] % present.sum(1)[:, None, None]
        prior = draws["prior"][index] * present
        return dict(saliency=gridcut.cell_shares(saliency, self.blocks, self.blocks)[index],
                    compatibility=compatibility(salient_places(saliency)[index], present, self.omega),
                    prior=(prior / prior.sum(1, keepdim=True) + 1e-8).log(),
                    start=start.unflatten(2, (self.blocks, self.blocks)), present=present)

    def parts(self, saliency: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """:func:`parts_of` this batch."""
        return functional.constant(parts_of, saliency, len(saliency), self.part)

    @torch.no_grad()
    def composition(self, saliency: Tensor, draws: dict) -> tuple[Tensor, Tensor]:
        """The images of each image's part, (N, M) int64, and their shares in its cells, (N, M, B, B)."""
        index, _, slot = self.parts(saliency)
        solve = compose_untraced if torch.compiler.is_compiling() else compose
        shares = solve(**self.problem(saliency, draws), **self.energy).flatten(0, 1)[slot]
        m = index.shape[1]
        own = torch.arange(m, device=slot.device) == (slot % m)[:, None]
        return index[slot // m], self.keep_unmixed(shares, draws, own[..., None, None].to(shares.dtype))

    def mix(self, images, labels, saliency, draws):
        sources, shares = self.composition(saliency, draws)
        m, cells = shares.shape[1], self.blocks**2
        slot = torch.arange(m, device=images.device)[:, None]
        shows = shares.flatten(2) > 0
        one, other = torch.where(shows, slot, m).amin(1), torch.where(shows, slot, -1).amax(1)  # (N, cells)
        cell, image = torch.arange(cells, device=images.device), torch.arange(len(images), device=images.device)
        one, other = (move(images, (sources.gather(1, which) - image[:, None]) * cells + cell, self.blocks, self.blocks)
                      for which in (one, other))
        return one.lerp(other, 0.5), self.maybe_dense(mix_target(labels, sources, shares.mean((2, 3))))

    def shown(self, images, saliency, draws):
        sources, shares = self.composition(saliency, draws)
        masks = gridcut.spread(shares.flatten(0, 1), *images.shape[2:]).unflatten(0, sources.shape)
        return dict(sources=sources, weights=shares.mean((2, 3)), masks=masks)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, blocks={self.blocks}, part={self.part}, clean_weight={self.clean_weight}"
