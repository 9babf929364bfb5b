"""Two methods that share a name: GridMixup, which the benchmark tables call GridMix, and the GridMix of the paper."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import checks, probes, sampling
from ..checks import number, pair, switch
from ..target import Target, pair_target
from .mask import MaskMethod


def in_hole(position: Tensor, start: Tensor, length: Tensor, patch: Tensor, hole: Tensor) -> Tensor:
    """Whether a row or column is in a hole of a grid: (K, 2 axes, L) bool; ``position`` may be outside the image."""
    offset = position - start
    return (offset >= 0) & (offset < length) & (offset % patch < hole)


class GridMixup(MaskMethod):
    """Regular holes inside a random crop show the partner; the label weight is the remaining area.

    Dobrynin, "GridMixup", github.com/IlyaDobrynin/GridMixup, after GridMask and CutMix; the tables list it as GridMix.
    Holes fill a share 1 - lam of the crop, so that the image's share is almost always more than a half.

    Args:
        alpha: Beta parameter of the image's share of the crop. CIFAR-100 tables: 0.2.
        holes: least and largest number of holes in a row.
        area: least and largest area of the crop, as a share of the image's.
        aspect: least and largest height / width of the crop. Parts of a crop beyond the image are cut off.
        hole_aspect: height / width of the grid's patches and holes.
        negative_slices: as the upstream code, whose slices begin at a negative number where a crop begins above or left
            of the image. Holes that the edge cuts are lost, and those wholly outside show at the opposite edge. With
            ``alpha=0.2`` at 32 pixels the image's mean share is 0.744 instead of 0.729. The published table cells used
            this.
    """

    paper = 'Dobrynin, "GridMixup", https://github.com/IlyaDobrynin/GridMixup'
    year = 2020
    venue = "GitHub"
    passes = "none"
    defaults = dict(CIFAR=dict(alpha=0.2))

    def __init__(self, alpha: float = 1.0, *, holes: tuple[int, int] = (2, 6), area: tuple[float, float] = (0.5, 1.0),
                 aspect: tuple[float, float] = (0.5, 2.0), hole_aspect: float = 1.0,
                 negative_slices: bool = False, **kwargs):
        super().__init__(alpha, **kwargs)
        self.holes, self.area = pair("holes", holes, 1, whole=True), pair("area", area, 0, 1, above=True)
        self.aspect = pair("aspect", aspect, above=True)
        self.hole_aspect = number("hole_aspect", hole_aspect, above=True)
        self.negative_slices = switch("negative_slices", negative_slices)

    def draw(self, n, size, generator=None, steps=(), device=None):
        height, width = size
        if self.area[1] * height * width <= 1:
            raise ValueError(f"GridMixup cannot cut a grid out of images of {height}x{width} pixels; use MixUp")
        rows = (*steps, n if self.per_sample else 1)
        draws = super().draw(n, size, generator, steps, device)
        area = (sampling.uniform(*self.area, rows, generator, device) * (height * width)).floor()
        aspect = sampling.uniform(*self.aspect, rows, generator, device)
        columns = sampling.integers(self.holes[1] + 1, rows, generator, device, low=self.holes[0])
        cut_width = (area / aspect).sqrt().floor()
        cut_height = (cut_width * aspect).floor()
        patch_width = (cut_width / columns).ceil().clamp(min=2)  # one pixel of each image at least
        patch_height = (patch_width * self.hole_aspect).floor().clamp(min=2)
        ratio = (1 - draws.pop("lam")).sqrt()[..., None]
        cut, patch = torch.stack([cut_height, cut_width], -1), torch.stack([patch_height, patch_width], -1)
        room = torch.stack([height - cut_height, width - cut_width], -1)
        start = (room * sampling.uniform(0, 1, (*rows, 2), generator, device)).trunc()
        hole = torch.minimum((patch * ratio).floor().clamp(min=1), patch - 1)
        draws["grid"] = torch.stack([start, cut, patch, hole], -1).long()  # (..., 2, 4): rows and columns, of each four
        return draws

    def mask(self, images, draws):
        height, width = images.shape[2:]
        grid = start, length, patch, hole = draws["grid"][..., None].unbind(2)  # (K, 2 axes, 1)
        position = torch.arange(max(height, width), device=images.device)
        shown = in_hole(position, *grid)
        if self.negative_slices:
            before = torch.stack([position - height, position - width])  # the index of a slice from the other end
            offset = before - start
            end = start + torch.minimum(offset - offset % patch + hole, length)
            first = position - (position - start) % patch  # of the hole that a pixel is in
            shown = shown & (first >= 0) | in_hole(before, *grid) & (before < 0) & (end < 0)
        rows, columns = (~shown).unbind(1)
        return rows[:, None, :height, None] | columns[:, None, None, :width]


class GridMix(MaskMethod):
    """Each cell of a grid comes from one of two images, and a local head learns the class of each cell.

    Baek, Bang & Shim, "GridMix: Strong regularization through local context mapping", Pattern Recognition 109 (2021).
    A call mixes the batch: images and the target of the whole image. :meth:`loss` adds the local loss: a linear
    classifier on the last feature map, averaged over each cell, which shares all earlier layers with the network's own.

    Args:
        alpha: Beta parameter of ``lam``, the chance that a cell stays.
        grid: cells along each side.
        patch_weight: weight of the local loss.
        layer: name of the layer to read, feature maps (N, C, h, w) or tokens (N, L, C); by default the last with
            more than one position, e.g. the last stage of a ResNet.
        image_shape: (C, H, W) of an image, for a forward pass in :meth:`attach`.
    """

    paper = 'Baek, Bang & Shim, "GridMix: Strong regularization through local context mapping"'
    year = 2021
    venue = "Pattern Recognition"
    passes = "none"
    defaults = dict(CIFAR=dict(alpha=1.0, grid=4))

    def __init__(self, alpha: float = 1.0, *, grid: int = 4, patch_weight: float = 1.0, layer: str | None = None,
                 image_shape: tuple[int, int, int] = (3, 32, 32), **kwargs):
        super().__init__(alpha, **kwargs)
        self.grid, self.patch_weight = number("grid", grid, 1, whole=True), number("patch_weight", patch_weight)
        self.layer, self.image_shape = layer, checks.image_shape("image_shape", image_shape)
        self.patch_head, self.watched = None, layer

    def attach(self, net):
        if self.patch_head is not None:  # once: the optimizer holds its parameters
            return
        self.watched, channels, classes = probes.last_map(net, self.image_shape, self.layer)
        probes.plant(net, self.watched)
        parameter = next(net.parameters())
        self.patch_head = nn.Linear(channels, classes, device=parameter.device, dtype=parameter.dtype)

    def draw(self, n, size, generator=None, steps=(), device=None):
        rows = (*steps, n if self.per_sample else 1)
        draws = super().draw(n, size, generator, steps, device)
        chance = sampling.uniform(0, 1, (*rows, self.grid**2), generator, device)
        draws["cells"] = chance < draws.pop("lam")[..., None]
        return draws

    def mask(self, images, draws):
        rows, columns = (torch.arange(side, device=images.device) * self.grid // side for side in images.shape[2:])
        return draws["cells"][:, rows[:, None] * self.grid + columns][:, None]

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        if self.patch_head is None:
            raise ValueError("GridMix trains a local head: call method.attach(net) once, before the optimizer is built")
        draws = self.prepare_loss(images, labels, draws)
        mixed, target = self(images, labels, draws)
        logits = []
        features = probes.watch(net, self.watched, lambda: logits.append(net(mixed)))
        whole = criterion(logits[0], target)
        cells = criterion(self.cell_logits(features, images.shape[2:]), self.cell_target(labels, draws))
        return dict(loss=whole + self.patch_weight * cells, whole=whole.detach(), cells=cells.detach())

    def cell_logits(self, features: Tensor, size=None) -> Tensor:
        """One prediction a cell: (N * grid^2, classes), image by image. ``size``: (H, W) of the images."""
        maps = F.adaptive_avg_pool2d(probes.as_map(features, size), self.grid)
        return self.patch_head(maps.flatten(2).transpose(1, 2).flatten(0, 1))

    def cell_target(self, labels: Tensor, draws: dict) -> Target | Tensor:
        """The label of the image that each cell shows, in the order of :meth:`cell_logits`."""
        each = self.grid**2
        own, other = (values.repeat_interleave(each, 0) for values in (labels, self.partner(labels, draws)))
        kept = self.keep_unmixed(draws["cells"], draws).expand(len(labels), each).flatten()
        return self.maybe_dense(pair_target(own, other, kept))
