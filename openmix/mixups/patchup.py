"""PatchUp: Faramarzi et al., "PatchUp: A Feature-Space Block-Level Regularization Technique for Convolutional Neural
Networks", AAAI 2022, arXiv 2006.07794.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import functional, probes, sampling
from ..checks import number, switch
from .manifoldmix import INPUT, ManifoldMix


def block_holes(key: Tensor, shape, gamma: float, block_size: int) -> Tensor:
    """Square holes in feature maps, each channel its own: (*key.shape, C, h, w) bool, a function of ``key`` alone.

    A position is the centre of a hole with probability gamma h w / (b^2 (h - b + 1) (w - b + 1)). The side b is the
    largest odd number of at most ``block_size`` that fits. Holes may overlap and are cut off at the border.

    Args:
        key: int64, see :func:`openmix.sampling.keyed_uniform`. shape: (C, h, w).
    """
    height, width = shape[1:]
    side = min(block_size, height, width)
    side -= 1 - side % 2
    chance = gamma * height * width / (side**2 * (height - side + 1) * (width - side + 1))
    centres = (sampling.keyed_uniform(key, shape) < chance).float()
    holes = F.max_pool2d(centres.reshape(-1, *shape), side, 1, side // 2)
    return holes.view(centres.shape) > 0


class PatchUp(ManifoldMix):
    """Blocks of hidden features are interpolated with the partner's (soft) or replaced by them (hard).

    Each batch is mixed at one of ``layers``. The holes are those of :func:`block_holes`, the same for all images of a
    batch. At the input the method is CutMix with Beta(1, 1). With q the share of features outside the holes, labels
    count q + lam (1 - q) for the image (soft) or q (hard). The loss is twice the criterion: the paper adds q times the
    loss of the label, 1 - q times that of the label in the holes, and that of both, and the first two sum to the third
    for every loss that is linear in the target. The authors use ``SoftmaxBCE``.

    Args:
        alpha: Beta parameter of ``lam``; unused with ``hard``.
        layers: names of layers with feature maps (N, C, h, w); ``"input"`` means the images. The paper's are the input,
            the first convolution and the first stage: ``("input", "conv1", "layer1")`` with the ResNets here.
        hard: replace instead of interpolating.
        gamma: share of features that are to change, before overlaps; by default 0.75, with ``hard`` 0.5.
        block_size: side of a hole.
        prob: paper: 1, with ``hard`` 0.7. per_sample: ``lam`` and holes for each image.

    Raises:
        ValueError: a parameter out of its range, no layers; at :meth:`attach`, a layer the network does not have.
    """

    weight_from = "model"

    paper = ('Faramarzi et al., "PatchUp: A Feature-Space Block-Level Regularization Technique for Convolutional '
             'Neural Networks", arXiv 2006.07794')
    year = 2022
    venue = "AAAI"
    passes = "none"
    defaults = {"CIFAR": dict(alpha=2.0, gamma=0.75, block_size=7)}

    def __init__(self, alpha: float = 2.0, layers=(INPUT, "layer1", "layer2"), *, hard: bool = False,
                 gamma: float | None = None, block_size: int = 7, **kwargs):
        super().__init__(alpha, layers, **kwargs)
        self.hard = switch("hard", hard)
        self.gamma = (0.5 if self.hard else 0.75) if gamma is None else number("gamma", gamma, 0, 1)
        self.block_size = number("block_size", block_size, 1, whole=True)

    def draw(self, n, size, generator=None, steps=(), device=None):
        rows = (*steps, n if self.per_sample else 1)
        draws = super().draw(n, size, generator, steps, device)
        draws["key"] = sampling.keys(rows, generator, device)
        draws["box_lam"] = sampling.uniform(0, 1, rows, generator, device)
        draws["centre"] = sampling.centres(size, rows, generator, device)
        return draws

    def check_images(self, images):
        self.check_maps(images)

    def mask(self, shape, draws: dict) -> Tensor:
        """The share of the first image in features (or images) of ``shape`` (C, h, w): (N or 1, C or 1, h, w)."""
        if self.layers[draws["layer"]] == INPUT:
            box = functional.boxes(draws["box_lam"], draws["centre"], shape[1:])
            share = functional.box_mask(box, shape[1:]).float()
        else:
            holes = block_holes(draws["key"], shape, self.gamma, self.block_size)
            inside = torch.zeros_like(draws["lam"]) if self.hard else draws["lam"]
            share = torch.where(holes, inside[:, None, None, None], 1.0)
        return self.keep_unmixed(share, draws)

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        draws, shares = self.prepare_loss(images, labels, draws), []
        layer = self.layers[draws["layer"]]

        def mix(state):
            if not isinstance(state, Tensor) or state.ndim != 4 or probes.channels_last(state.shape, images.shape[2:]):
                form = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
                raise ValueError(f"PatchUp needs layers with feature maps (N, C, h, w); {layer!r} puts out {form}")
            mask = self.mask(tuple(state.shape[1:]), draws)
            shares.append(mask.mean((1, 2, 3)))
            return functional.blend(state, self.partner(state, draws), mask)

        logits = self.logits_with(net, images, draws, mix)
        return dict(loss=2 * criterion(logits, self.target(labels, shares[0], draws)))

    def details(self, images, draws, net=None, labels=None):
        draws, n, shape = self.prepare(images, draws), len(images), tuple(images.shape[1:])
        layer = self.layers[draws["layer"]]
        if layer != INPUT:
            if net is None:
                raise ValueError("PatchUp's shares depend on the layer's shape; call details(images, draws, net=net)")
            shape = tuple(probes.layer_shape(net, layer, shape))
        mask = self.mask(shape, draws)
        return dict(lam=mask.mean((1, 2, 3)).expand(n), partner=self.partner_index(n, draws, images.device),
                    mask=mask.expand(n, -1, -1, -1) if layer == INPUT else None)
