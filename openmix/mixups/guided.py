"""What methods share that mix by a map of how much each pixel matters."""
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import functional, probes
from ..checks import check_choice, number
from ..target import Target, as_target, check_labels
from .base import MixMethod
from .saliencymix import CONTRAST, saliency_map

SCALE = 1024.0
SALIENCY = ("gradient", "fine_grained", *CONTRAST)


def summed_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy whose gradient at each image does not depend on the size of the batch.

    Scaled up, as gradients of images that are easy would vanish in half precision.
    """
    check_labels(labels, *logits.shape)
    labels = labels.float() if labels.ndim == 2 else labels.long()
    return SCALE * F.cross_entropy(logits.float(), labels, reduction="sum")


class Guided(MixMethod):
    """Mixing guided by a saliency (N, H, W) >= 0. A subclass defines :meth:`mask`, or :meth:`mix` and :meth:`shown`.

    With ``saliency="gradient"``, :meth:`loss` takes it from the gradient at the clean batch, with the network in eval
    mode. This is one more forward and backward pass, which changes no gradients of parameters and no buffers. With
    ``clean_weight`` one pass in the net's own mode gives the saliency and the clean logits. By hand::

        saliency = openmix.probes.input_gradient(net, images, labels, F.cross_entropy)
        mixed, target = PuzzleMix()(images, labels, saliency=saliency)

    Args:
        saliency: ``"gradient"`` of the loss, or a filter of the images as of :class:`~openmix.mixups.SaliencyMix`,
            which needs no network: ``"fine_grained"``, ``"centre_surround"``, ``"balanced"``, ``"spectral_residual"``.
        clean_weight: also train on the clean batch, with this weight.
    """

    needs = "gradient"

    def __init__(self, alpha: float = 1.0, *, saliency: str = "gradient", clean_weight: float = 0.0, **kwargs):
        super().__init__(alpha, **kwargs)
        check_choice("saliency", saliency, SALIENCY)
        self.guide, self.clean_weight = saliency, number("clean_weight", clean_weight)
        self.needs = "gradient" if saliency == "gradient" else "batch"

    # -- saliency --------------------------------------------------------------------------------------------------

    def filtered(self, images: Tensor) -> Tensor:
        """The saliency (N, H, W) of a filter of the images.

        Raises:
            TypeError: the saliency is the gradient of a network.
        """
        if self.guide == "gradient":
            raise TypeError(f"{type(self).__name__} needs the gradient of a network: call method.attach(net) once and "
                            "then method.loss(net, images, labels, criterion)['loss'], or give a map of importance, "
                            "saliency=probes.input_gradient(net, images, labels, F.cross_entropy)")
        with torch.no_grad():
            return saliency_map(images, self.guide)

    def saliency(self, net, images: Tensor, labels: Tensor) -> Tensor:
        """The saliency (N, H, W) that :meth:`loss` mixes by, changing nothing of the network."""
        if self.guide != "gradient":
            return self.filtered(images)
        if self.clean_weight:
            return probes.input_gradient(probes.on_copies(net), images, labels, summed_cross_entropy) / SCALE
        with probes.evaluating(net):
            return probes.input_gradient(net, images, labels, summed_cross_entropy) / SCALE

    def clean_logits(self, net, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """The saliency and, with ``clean_weight``, the logits of the clean batch; in one pass where both need it."""
        if self.clean_weight and self.guide == "gradient":
            logits, saliency = probes.clean_pass(net, images, labels, summed_cross_entropy)
            return saliency / SCALE, logits
        return self.saliency(net, images, labels), net(images) if self.clean_weight else None

    # -- mix -------------------------------------------------------------------------------------------------------

    def check_images(self, images: Tensor) -> None:
        """Raise ValueError unless these are float images (N, C, H, W)."""
        self.check_maps(images)
        if not images.is_floating_point():
            raise ValueError(f"{type(self).__name__} blends pixels and needs float images, got {images.dtype}; "
                             "convert them first, e.g. images.float() / 255")

    def mask(self, images: Tensor, saliency: Tensor, draws: dict) -> Tensor:
        """Share of each image in each pixel, (N, 1, H, W); 1 for images that stay unmixed."""
        raise NotImplementedError(f"{type(self).__name__} must define mask(), or mix() and shown()")

    def pair_up(self, saliency: Tensor, draws: dict) -> dict:
        """``draws`` with the partners of this batch, where they depend on the saliency."""
        return draws

    def mix(self, images: Tensor, labels: Tensor, saliency: Tensor, draws: dict) -> tuple[Tensor, Target | Tensor]:
        """Mixed images and their target under the given saliency."""
        mask = self.mask(images, saliency, draws)
        mixed = functional.blend(images, self.partner(images, draws), mask, reuse=True)
        return mixed, self.target(labels, mask.mean((1, 2, 3)), draws)

    def shown(self, images: Tensor, saliency: Tensor, draws: dict) -> dict:
        """As :meth:`details`, under the given saliency."""
        mask = self.mask(images, saliency, draws)
        return dict(lam=mask.mean((1, 2, 3)), mask=mask, partner=self.partner_index(len(images), draws, images.device))

    def forward(self, images, labels, draws=None, saliency: Tensor | None = None):
        """Mixed images and target; ``saliency`` (N, H, W), non-negative, is the importance of each pixel."""
        self.check_batch(images, labels)
        if saliency is not None and saliency.shape != (len(images), *images.shape[2:]):
            raise ValueError(f"saliency must be (N, H, W) = {(len(images), *images.shape[2:])}, "
                             f"got {tuple(saliency.shape)}")
        if len(images) == 0:
            return images.clone(), self.target(labels, torch.ones(1, device=images.device), dict(partner=slice(None)))
        saliency = self.filtered(images) if saliency is None else saliency
        draws = self.pair_up(saliency, self.prepare(images, draws))
        return self.mix(images, labels, saliency, draws)

    # -- train -----------------------------------------------------------------------------------------------------

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        self.check_batch(images, labels)
        self.check_some(images)
        saliency, logits = self.clean_logits(net, images, labels)
        clean = None if logits is None else criterion(logits, self.maybe_dense(as_target(labels)))
        mixed, target = self(images, labels, draws, saliency)
        loss = criterion(net(mixed), target)
        return dict(loss=loss if clean is None else loss + self.clean_weight * clean)

    def details(self, images, draws, net=None, labels=None):
        """Without ``net`` and ``labels``, where the saliency is their gradient, all pixels are equally salient."""
        self.check_images(images)
        if self.guide == "gradient" and (net is None or labels is None):
            saliency = torch.ones(len(images), *images.shape[2:], device=images.device)
        else:
            saliency = self.saliency(net, images, labels)
        return self.shown(images, saliency, self.pair_up(saliency, self.prepare(images, draws)))
