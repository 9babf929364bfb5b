"""SnapMix: Huang, Wang & Tao, "SnapMix: Semantically Proportional Mixing for Augmenting Fine-grained Data", AAAI 2021.

arXiv 2012.04846.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import checks, functional, probes, sampling
from ..checks import switch
from ..target import check_labels, mix_target
from .base import MixMethod


def proportions(activation: Tensor, size) -> Tensor:
    """The share of the meaning that each pixel has, (N, h, w) -> (N, H, W) with sums of 1; uniform for constant maps.

    Class activation, enlarged bilinearly to ``size`` (H, W), less its minimum, over its sum.
    """
    maps = F.interpolate(activation.float()[:, None], tuple(size), mode="bilinear")[:, 0].flatten(1)
    low, high = maps.amin(1, keepdim=True), maps.amax(1, keepdim=True)
    constant = high - low <= 1e-5 * torch.maximum(low.abs(), high.abs())  # but for rounding
    maps = torch.where(constant, 1.0, maps - low)
    return (maps / maps.sum(1, keepdim=True)).unflatten(1, tuple(size))


def share_inside(maps: Tensor, box: Tensor) -> Tensor:
    """Sums of ``maps`` (N, H, W) over boxes (N or 1, 4): (N,)."""
    return (maps * ~functional.box_mask(box, maps.shape[1:])[:, 0]).sum((1, 2))


def paste_between(images: Tensor, partner: Tensor, box: Tensor, source: Tensor) -> Tensor:
    """``images`` that show inside ``box`` what ``partner`` has inside ``source``, resized bilinearly, corners aligned.

    Args:
        images, partner: (N, C, H, W). box, source: (N or 1, 4); where a box is empty, nothing is pasted.
    """
    places = []
    for axis, side in enumerate(images.shape[2:]):
        low, high, first, end = (edges[:, 2 * axis + k, None] for edges in (box, source) for k in (0, 1))
        step = (end - first - 1) / (high - low - 1).clamp(min=1)
        pixel = torch.arange(side, device=images.device)
        place = (first + (pixel - low) * step).maximum(first).minimum((end - 1).clamp(min=0))
        places.append(place * (2 / max(side - 1, 1)) - 1)
    grid = torch.stack(torch.broadcast_tensors(places[1][:, None, :], places[0][:, :, None]), -1)
    wide = partner if partner.dtype == torch.float64 else partner.float()  # half precision cannot name the pixels
    grid = grid.to(wide.dtype).expand(len(images), -1, -1, -1)
    shown = F.grid_sample(wide, grid, "bilinear", padding_mode="border", align_corners=True)
    return functional.blend(images, shown.to(images.dtype), functional.box_mask(box, images.shape[2:]), reuse=True)


class SnapMix(MixMethod):
    """A box of the partner is resized into another box, and labels are weighed by the meaning that each box holds.

    The meaning of a pixel is its share of the class activation map of the image's own class. The image keeps the label
    weight 1 - (meaning in its box), the partner has (meaning in its box): the two need not sum to 1. The map comes from
    a forward pass of the clean batch without gradient, in the network's mode.

    Args:
        alpha: Beta parameter of both boxes' share of the image.
        double_equal: where both images are of one class, count their summed weight twice, as the authors' code does.
        count_statistics: let batch norm count the additional pass, as the authors' code does.
        layer: name of the layer with the features that the classifier reads, pooled; by default the last with more
            than one position.
        classifier: name of the linear layer on top; by default the last ``nn.Linear``.
        image_shape: (C, H, W) of an image, for a forward pass in :meth:`attach`.

    Raises:
        ValueError: at :meth:`attach`, a classifier that does not read the channels of that layer.
    """

    paper = ('Huang, Wang & Tao, "SnapMix: Semantically Proportional Mixing for Augmenting Fine-grained Data", '
             'arXiv 2012.04846')
    year = 2021
    venue = "AAAI"
    passes = "one forward pass (class activation)"
    defaults = {"fine-grained": dict(alpha=5.0)}
    weight_from = "model"
    needs = "hidden"
    blends = False  # the partner is resized
    sums_to_one = False

    def __init__(self, alpha: float = 5.0, *, double_equal: bool = False, count_statistics: bool = False,
                 layer: str | None = None, classifier: str | None = None,
                 image_shape: tuple[int, int, int] = (3, 32, 32), **kwargs):
        super().__init__(alpha, **kwargs)
        self.double_equal = switch("double_equal", double_equal)
        self.count_statistics = switch("count_statistics", count_statistics)
        self.layer, self.classifier = layer, classifier
        self.image_shape, self.watched = checks.image_shape("image_shape", image_shape), None

    def attach(self, net):
        watched, channels, _ = probes.last_map(net, self.image_shape, self.layer)
        self.classifier, linear = probes.find_classifier(net, self.classifier)
        if linear.in_features != channels:
            raise ValueError(f"SnapMix needs a classifier on the pooled features of layer {watched!r}, but that has "
                             f"{channels} channels and {self.classifier!r} reads {linear.in_features}; name the layer")
        probes.plant(net, watched)
        self.watched = watched

    def check_images(self, images):
        self.check_maps(images)

    def draw(self, n, size, generator=None, steps=(), device=None):
        functional.check_sides(size, "SnapMix")
        draws = super().draw(n, size, generator, steps, device)
        rows = draws["lam"].shape
        draws["lam_source"] = sampling.beta(self.alpha, rows, generator, device)
        for box, lam in (("box", "lam"), ("source", "lam_source")):
            draws[box] = functional.boxes(draws[lam], sampling.centres(size, rows, generator, device), size)
        return draws

    def boxes(self, draws: dict) -> tuple[Tensor, Tensor]:
        """Where the image is covered and where its partner is cut out; both empty where nothing is mixed."""
        box, source = draws["box"], draws["source"]
        mixed = (functional.box_area(box) > 0) & (functional.box_area(source) > 0)
        return tuple(self.keep_unmixed(edges * mixed[:, None], draws, False) for edges in (box, source))

    @torch.no_grad()
    def meaning(self, net, images: Tensor, labels: Tensor) -> Tensor:
        """Class activation of each image's own class, as shares of 1: (N, H, W)."""
        linear = probes.find_classifier(net, self.classifier)[1]
        check_labels(labels, len(images), len(linear.weight))
        forward = net if self.count_statistics else probes.on_copies(net)
        features = probes.watch(net, self.watched, lambda: forward(images))
        features = probes.as_map(features, images.shape[2:]).float().relu()
        return proportions(functional.class_activation(features, linear.weight.float(), labels), images.shape[2:])

    def weights(self, meaning: Tensor, labels: Tensor | None, draws: dict) -> Tensor:
        """Label weights of the image and its partner, (N, 2)."""
        box, source = self.boxes(draws)
        own, other = 1 - share_inside(meaning, box), share_inside(self.partner(meaning, draws), source)
        weight = torch.stack([own.clamp(min=0), other], 1)
        if self.double_equal and labels is not None:
            classes = labels if labels.ndim == 1 else labels.float().argmax(1)
            equal = (classes == self.partner(classes, draws))[:, None] & (functional.box_area(box) > 0)[:, None]
            weight = torch.where(equal, weight.sum(1, keepdim=True), weight)
        return weight

    def sources(self, n: int, draws: dict, device) -> Tensor:
        """The image and its partner, (N, 2)."""
        return torch.stack([torch.arange(n, device=device), self.partner_index(n, draws, device)], 1)

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        """``loss`` and, for the log, ``label_weight``: how much all labels of an image weigh, which scales the loss."""
        if self.watched is None:
            raise ValueError("SnapMix reads a layer of the network: call method.attach(net) once before training")
        draws = self.prepare_loss(images, labels, draws)
        weight = self.weights(self.meaning(net, images, labels), labels, draws)
        mixed = paste_between(images, self.partner(images, draws), *self.boxes(draws))
        target = mix_target(labels, self.sources(len(images), draws, images.device), weight)
        loss = criterion(net(mixed), self.maybe_dense(target))
        return dict(loss=loss, label_weight=weight.sum(1).mean())

    def details(self, images, draws, net=None, labels=None):
        """Without ``net`` and ``labels`` all pixels mean the same."""
        self.check_images(images)
        draws, (n, _, *size) = self.prepare(images, draws), images.shape
        if net is None or labels is None:
            meaning = images.new_full((n, *size), 1 / (size[0] * size[1]), dtype=torch.float32)
        else:
            meaning = self.meaning(net, images, labels)
        mask = functional.box_mask(self.boxes(draws)[0], size).float().expand(n, -1, -1, -1)
        return dict(sources=self.sources(n, draws, images.device), weights=self.weights(meaning, labels, draws),
                    masks=torch.cat([mask, 1 - mask], 1))
