"""RecursiveMix: Yang et al., "RecursiveMix: Mixed Learning with History", NeurIPS 2022, arXiv 2203.06844."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import checks, functional, probes, sampling
from ..checks import number
from ..target import as_target
from .base import MixMethod, touch_parameters


def roi_weights(low: Tensor, high: Tensor, pixels: int, cells: int) -> Tensor:
    """How much each cell along one side of a feature map counts in the mean of a region: (K,) -> (K, cells), sum 1.

    RoIAlign with one bin, ``aligned=True`` and as many samples as the region has cells, rounded up (He et al., ICCV
    2017). The weights of both sides, multiplied, are those of the region.

    Args:
        low, high: first pixel of the region and the one after its last. pixels, cells: sides of the image and the map.
    """
    start, end = (edge.float() * (cells / pixels) - 0.5 for edge in (low, high))
    length = end - start
    count = length.ceil().clamp(min=1)
    step = torch.arange(cells + 1, device=low.device)
    point = start[:, None] + (step + 0.5) * (length / count)[:, None]
    cell = torch.arange(cells, device=low.device)
    tent = F.relu(1 - (point.clamp(0, cells - 1)[..., None] - cell).abs())  # of linear interpolation
    return (tent * (step < count[:, None])[..., None]).sum(1) / count[:, None]


class RecursiveMix(MixMethod):
    """The previous mixed batch, shrunk, is pasted into this one; its labels, mixed before, get the share of the box.

    Image i shows what image i of the batch before was after its own mixing. A linear head on the features in the box
    learns the prediction that the network made of that image. Its loss is weighed by ``consistency`` times the share
    of the box. The first batch of a run is not mixed, nor is one of another shape than the batch before.

    Each process remembers its own images, see :meth:`history`. Labels become dense, (N, C) of the network's classes.

    Args:
        area: the box has a share of the image drawn from U(0, area), before it is clipped.
        consistency: weight of the head's loss, omega in the paper. CIFAR: 0.1; ImageNet: 0.5.
        layer: name of the layer with the features, maps (N, C, h, w) or tokens (N, L, C); by default the last with
            more than one position.
        image_shape: (C, H, W) of an image, for a forward pass in :meth:`attach`.
        prob: share of the batches that are mixed.
        num_classes: must be the network's, if it is given.
    """

    paper = 'Yang, Li, Zhao, Song & Yang, "RecursiveMix: Mixed Learning with History", arXiv 2203.06844'
    year = 2022
    venue = "NeurIPS"
    passes = "none"
    defaults = {"CIFAR": dict(area=0.5, consistency=0.1), "ImageNet": dict(area=0.5, consistency=0.5)}
    needs = "hidden"
    permutes = False  # the second image is of another batch

    def __init__(self, area: float = 0.5, consistency: float = 0.1, *, layer: str | None = None,
                 image_shape: tuple[int, int, int] = (3, 32, 32), prob: float = 1.0, num_classes: int | None = None):
        super().__init__(prob=prob, num_classes=num_classes)
        self.area, self.consistency = number("area", area, 0, 1, above=True), number("consistency", consistency)
        self.layer, self.image_shape = layer, checks.image_shape("image_shape", image_shape)
        self.watched, self.classes, self.head, self.past = None, None, None, None

    def attach(self, net):
        if self.head is not None:  # once: the optimizer holds its parameters
            return
        self.watched, channels, self.classes = probes.last_map(net, self.image_shape, self.layer)
        probes.plant(net, self.watched)
        parameter = next(net.parameters())
        self.head = nn.Linear(channels, self.classes, device=parameter.device, dtype=parameter.dtype)

    def check_images(self, images):
        self.check_maps(images)

    # -- memory ----------------------------------------------------------------------------------------------------

    def history(self) -> dict[str, Tensor]:
        return dict(self.past or {})

    def load_history(self, history: dict[str, Tensor]) -> None:
        device = None if self.head is None else self.head.weight.device
        self.past = {name: value.to(device, copy=True) for name, value in history.items()} or None

    @torch.no_grad()
    def remember(self, **now: Tensor) -> None:
        """Write in place where the shapes are those of before: a captured graph goes on reading the same memory."""
        if self.fitting(now["images"]) is None:
            self.past = {name: value.detach().clone() for name, value in now.items()}
        else:
            for name, value in now.items():
                self.past[name].copy_(value)

    def fitting(self, images: Tensor) -> dict | None:
        """What was remembered of a batch like this one: same shape, type and device."""
        old = None if self.past is None else self.past["images"]
        alike = old is not None and (old.shape, old.dtype, old.device) == (images.shape, images.dtype, images.device)
        return self.past if alike else None

    # -- a step ----------------------------------------------------------------------------------------------------

    def draw(self, n, size, generator=None, steps=(), device=None):
        functional.check_sides(size, "RecursiveMix")
        share = sampling.uniform(0, self.area, (*steps, 1), generator, device).sqrt()
        box = functional.boxes_around(share, sampling.centres(size, (*steps, 1), generator, device), size)
        return dict(box=box, **self.draw_common(n, generator, steps, device))

    def variant(self, draws):
        return (*super().variant(draws), "first" if self.past is None else "recursive")

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        """``loss`` and, for the log, its part ``consistency``, before it is weighed."""
        if self.head is None:
            raise ValueError("RecursiveMix trains a second head: call method.attach(net) once, before the optimizer is "
                             "built")
        draws, past = self.prepare_loss(images, labels, draws), self.fitting(images)
        mixed, target, box = images, as_target(labels).dense(self.classes).float(), self.box(draws)
        if past is None:
            logits = net(images)
            loss, consistency = touch_parameters(self.head, criterion(logits, target)), logits.new_zeros(())
        else:
            lam = functional.share_outside(box, images.shape[2:])
            shown = functional.resize_into(past["images"], box)
            mixed = functional.blend(images, shown, functional.box_mask(box, images.shape[2:]))
            target = lam * target + (1 - lam) * past["target"]
            logits, pooled = self.forward_region(net, mixed, box)
            consistency = criterion(self.head(pooled), past["logits"].softmax(1))
            loss = criterion(logits, target) + (self.consistency * (1 - lam) * consistency).sum()
        self.remember(images=mixed, target=target, logits=logits.float())
        return dict(loss=loss, consistency=consistency.detach())

    def box(self, draws: dict) -> Tensor:
        """The box of the batch, (1, 4), empty where ``prob`` leaves the batch alone."""
        return self.keep_unmixed(draws["box"], draws, False)

    def forward_region(self, net, images: Tensor, box: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, C) and the features in the box, (N, channels), of one pass."""
        logits = []
        features = probes.watch(net, self.watched, lambda: logits.append(net(images)))
        features = probes.as_map(features, images.shape[2:])
        sides = zip((box[:, :2], box[:, 2:]), images.shape[2:], features.shape[2:], strict=True)
        rows, columns = (roi_weights(*edges.unbind(1), pixels, cells)[0] for edges, pixels, cells in sides)
        return logits[0], torch.einsum("nchw,h,w->nc", features, rows.to(features), columns.to(features))

    def details(self, images, draws, net=None, labels=None):
        """Source -1 is an image of the batch before; without one, of the same shape, nothing is mixed."""
        self.check_images(images)
        box, n = self.box(self.prepare(images, draws)), len(images)
        box = torch.zeros_like(box) if self.fitting(images) is None else box
        outside = functional.box_mask(box, images.shape[2:]).float().expand(n, -1, -1, -1)
        lam = functional.share_outside(box, images.shape[2:]).expand(n)
        own = torch.arange(n, device=images.device)
        return dict(sources=torch.stack([own, torch.full_like(own, -1)], 1), weights=torch.stack([lam, 1 - lam], 1),
                    masks=torch.cat([outside, 1 - outside], 1))

    def extra_repr(self):
        return f"area={self.area}, consistency={self.consistency}, prob={self.prob}"
