"""TokenMix: Liu et al., "TokenMix: Rethinking Image Mixing for Data Augmentation in Vision Transformers", ECCV 2022,
arXiv 2207.08409."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import functional, probes, sampling
from ..checks import number
from ..frozen import frozen
from ..target import check_range, mix_target
from .base import MixMethod

ROUNDS, ASPECT = 60, 0.3  # tries of a rectangle; its least ratio of sides


def blocks(count: int, grid: int, shape, generator=None, device=None) -> Tensor:
    """Unions of random rectangles of ``count`` cells in all on a grid: (*shape, grid, grid) bool, True inside.

    A rectangle has an area from 1 to what is left and a ratio of sides in [0.3, 1 / 0.3], log-uniform; one that does
    not fit, adds nothing or too much is left out. 60 are tried, which leave cells missing in rare cases.
    """
    device = device if generator is None else generator.device
    covered = torch.zeros(*shape, grid, grid, dtype=torch.bool, device=device)
    cell = torch.arange(grid, device=covered.device)
    for _ in range(ROUNDS):
        area, aspect, top, left = sampling.uniform(0, 1, (4, *shape), generator, device)
        rest = count - covered.sum((-2, -1))
        area, aspect = 1 + area * (rest - 1).clamp(min=0), ((2 * aspect - 1) * -math.log(ASPECT)).exp()
        height, width = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
        inside = []
        for place, side in ((top, height), (left, width)):
            low = (place * (grid - side + 1)).long()[..., None]
            inside.append((cell >= low) & (cell < low + side[..., None]))
        united = covered | inside[0][..., :, None] & inside[1][..., None, :]
        fits = (height < grid) & (width < grid) & (united.sum((-2, -1)) <= count)
        covered = torch.where(fits[..., None, None], united, covered)
    return covered


class TokenMix(MixMethod):
    """Scattered rectangles of tokens come from the partner, and labels weigh what a teacher sees in the tokens shown.

    The label weight of an image is the share of its activation map of its own class that stays visible, that of the
    partner the share that is pasted: they need not sum to 1. The map is the teacher's softmax over classes at each
    position of its last feature map, under its own classifier. The paper trains with binary cross-entropy.

    Args:
        teacher: a trained network, in a config ``dict(type="Teacher", ...)``; None: labels by area.
        lam: share of tokens kept, before ``extra``; the paper's code fixes 0.5.
        grid: tokens along each side.
        extra: tokens that are pasted beside the (1 - lam) * grid^2. The official code calls it a minimum, and adds it.
        prob, per_sample, pairing, mix_rate, num_classes: as of every method.

    Raises:
        ValueError: a parameter out of its range; images smaller than the grid; a label that the teacher does not know.
        TypeError: a teacher that is no network.
    """

    weight_from = "model"
    sums_to_one = False
    paper = ('Liu et al., "TokenMix: Rethinking Image Mixing for Data Augmentation in Vision Transformers", '
             'arXiv 2207.08409')
    year = 2022
    venue = "ECCV"
    passes = "one forward pass of a teacher"
    defaults = {"ImageNet": dict(lam=0.5, grid=14, extra=14)}

    def __init__(self, teacher, *, lam: float = 0.5, grid: int = 14, extra: int = 14, prob: float = 1.0,
                 per_sample: bool = False, pairing: str = "roll", mix_rate: float = 1.0,
                 num_classes: int | None = None):
        super().__init__(prob=prob, per_sample=per_sample, pairing=pairing, mix_rate=mix_rate, num_classes=num_classes)
        self.teacher = None if teacher is None else frozen(teacher)
        self.lam, self.grid = number("lam", lam, 0, 1), number("grid", grid, 2, whole=True)
        self.extra = number("extra", extra, 0, whole=True)

    @classmethod
    def example(cls):
        """With a tiny teacher of 10 classes for images of any channels, on a grid of 4."""
        with torch.random.fork_rng(devices=[]):  # layers draw their weights, which are then set
            return cls(Glance(), grid=4, extra=1)

    @property
    def count(self) -> int:
        """Tokens that come from the partner."""
        return min(self.grid**2, int((1 - self.lam) * self.grid**2) + self.extra)

    def attach(self, net):
        if self.teacher is not None and not next(net.parameters()).is_meta:  # a net without memory trains nothing
            self.teacher.load()

    def draw(self, n, size, generator=None, steps=(), device=None):
        self.check_size(size)
        rows = (*steps, n if self.per_sample else 1)
        draws = dict(cells=blocks(self.count, self.grid, rows, generator, device))
        return {**draws, **self.draw_common(n, generator, steps, device)}

    def check_size(self, size) -> None:
        if min(size) < self.grid:
            raise ValueError(f"grid={self.grid} does not fit images of {size[0]}x{size[1]} pixels; take fewer tokens")

    def check_images(self, images):
        self.check_maps(images)

    @torch.no_grad()
    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """How much of the label is seen in each token: (N, grid, grid), of sum 1."""
        if self.teacher is None:
            return torch.full((len(images), self.grid, self.grid), self.grid**-2, device=images.device)
        features = self.teacher.features(images.float().contiguous()).float()
        classifier = probes.find_classifier(self.teacher.net)[1]
        classes, channels = classifier.weight.shape
        if features.shape[1] != channels:
            raise ValueError(f"the teacher's feature map has {features.shape[1]} channels, but its classifier takes "
                             f"{channels}: name its last feature map, layer=...")
        bias = 0 if classifier.bias is None else classifier.bias.float()[:, None]
        seen = (classifier.weight.float() @ features.flatten(2) + bias).softmax(1)  # (N, classes, h * w)
        if labels.ndim == 2:
            if labels.shape[1] != classes:
                raise ValueError(f"labels have {labels.shape[1]} columns, but the teacher knows {classes} classes")
            seen = (labels.to(seen.dtype)[..., None] * seen).sum(1, keepdim=True)
        else:
            check_range(labels, classes)
            seen = seen.gather(1, labels.long()[:, None, None].expand(-1, 1, seen.shape[2]))
        maps = F.interpolate(seen.unflatten(2, features.shape[2:]), (self.grid, self.grid), mode="bilinear")[:, 0]
        return maps / maps.sum((1, 2), keepdim=True).clamp(min=1e-8)

    def plan(self, images: Tensor, labels: Tensor, draws: dict) -> tuple[Tensor, Tensor]:
        """What stays, pixels (N or 1, 1, H, W) bool, and the label weights of image and partner (N, 2)."""
        self.check_size(images.shape[2:])
        kept = self.keep_unmixed(~draws["cells"], draws)
        rows, columns = (torch.arange(side, device=images.device) * self.grid // side for side in images.shape[2:])
        score = self.score(images, labels)
        weight = torch.stack([(score * kept).sum((1, 2)), (self.partner(score, draws) * ~kept).sum((1, 2))], 1)
        return kept[:, rows[:, None], columns][:, None], weight.clamp(max=1)  # sums round to a little above

    def sources(self, n: int, draws: dict, device) -> Tensor:
        """Image and partner of each, (N, 2) int64."""
        return torch.stack([torch.arange(n, device=device), self.partner_index(n, draws, device)], 1)

    def forward(self, images, labels, draws=None):
        self.check_batch(images, labels)
        draws, n = self.prepare(images, draws), len(images)
        if n == 0:
            return images.clone(), self.target(labels, torch.ones(1, device=images.device), draws)
        mask, weight = self.plan(images, labels, draws)
        mixed = functional.blend(images, self.partner(images, draws), mask, reuse=True)
        return mixed, self.maybe_dense(mix_target(labels, self.sources(n, draws, images.device), weight))

    def details(self, images, draws, net=None, labels=None):
        """Without ``labels``, weights are those of the area."""
        draws, n = self.prepare(images, draws), len(images)
        if labels is None:
            mask = self.plan(images, torch.zeros(n, dtype=torch.int64, device=images.device), draws)[0]
            share = mask.float().mean((1, 2, 3)).expand(n)
            weight = torch.stack([share, 1 - share], 1)
        else:
            mask, weight = self.plan(images, labels, draws)
        masks = torch.cat([mask, ~mask], 1).float().expand(n, -1, -1, -1)
        return dict(sources=self.sources(n, draws, images.device), weights=weight, masks=masks)


class Glance(nn.Sequential):
    """A teacher for tests, always the same: the mean of the channels through one convolution of single pixels."""

    def __init__(self, width: int = 8, num_classes: int = 10):
        super().__init__(nn.Conv2d(1, width, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(width, num_classes))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.arange(parameter.numel()).sin().view_as(parameter))

    def forward(self, images):
        return super().forward(images.mean(1, keepdim=True))
