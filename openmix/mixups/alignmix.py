"""AlignMix: Venkataramanan et al., "AlignMixup: Improving Representations By Interpolating Aligned Features".

CVPR 2022, arXiv 2103.15375.
"""
import torch
from torch import Tensor

from .. import functional, probes, sampling
from ..checks import check_choice, image_shape, number
from ..solvers.sinkhorn import sinkhorn
from .base import MixMethod

COST_SCALES = (None, "mean")


class AlignMix(MixMethod):
    """The last feature maps are interpolated after the positions of one are matched with those of the other.

    A transport plan between the positions of both maps gives the matching R. In half of the batches the partner is put
    in the image's order, ``lam * a + (1 - lam) * R b``. In the others the image is put in the partner's,
    ``lam * R^T a + (1 - lam) * b``. R gets no gradient. The authors train with AlignMix and MixUp in turn:
    ``RandomChoice([MixUp(2.0), AlignMix(2.0)])``.

    The layer gets a permanent hook, which does nothing outside :meth:`loss`. Tokens in front of a square map (class,
    distillation) are interpolated as they are.

    Args:
        alpha: Beta parameter of ``lam``.
        layer: feature maps (N, C, h, w) or tokens (N, L, C); by default the last with more than one position.
        epsilon: weight of the plan's entropy. iterations: rounds of Sinkhorn's algorithm.
        cost_scale: None: squared distances as they are (authors). With large features the plan is then almost a
            permutation and not converged. ``"mean"``: divided by their mean in each pair; 20 iterations are enough.
        image_size: side, or (C, H, W), of the network's images, for a forward pass in :meth:`attach`.

    Raises:
        ValueError: a parameter out of its range; at :meth:`attach`, no layer with a map.
    """

    weight_from = "lam"
    needs = "hidden"
    blends = False

    paper = ('Venkataramanan et al., "AlignMixup: Improving Representations By Interpolating Aligned Features", '
             "arXiv 2103.15375")
    year = 2022
    venue = "CVPR"
    passes = "none"
    defaults = {"CIFAR": dict(alpha=2.0)}

    def __init__(self, alpha: float = 2.0, *, layer: str | None = None, epsilon: float = 0.1, iterations: int = 100,
                 cost_scale: str | None = None, image_size=32, **kwargs):
        super().__init__(alpha, **kwargs)
        check_choice("cost_scale", cost_scale, COST_SCALES)
        self.epsilon = number("epsilon", epsilon, above=True)
        self.iterations = number("iterations", iterations, 1, whole=True)
        self.layer, self.cost_scale, self.image_shape = layer, cost_scale, image_shape("image_size", image_size)
        self.acts_at = None

    def attach(self, net):
        self.acts_at = probes.last_map(net, self.image_shape, self.layer)[0]
        probes.plant(net, self.acts_at)

    def draw(self, n, size, generator=None, steps=(), device=None):
        draws = super().draw(n, size, generator, steps, device)
        draws["direction"] = sampling.choose([1, 1], steps, generator)
        return draws

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        if self.acts_at is None:
            raise ValueError("AlignMix has no network: call method.attach(net) once before training")
        draws = self.prepare_loss(images, labels, draws)
        with probes.acting(net, self.acts_at, lambda features: self.mix(features, draws, images.shape[2:])):
            logits = net(images)
        return dict(loss=criterion(logits, self.target(labels, self.drawn_lam(draws), draws)))

    def mix(self, features: Tensor, draws: dict, size=None) -> Tensor:
        """Mixed features of the same form: maps (N, C, h, w), or (N, h, w, C) for images of ``size``, or tokens."""
        own, other = features, self.partner(features, draws)
        lam = self.drawn_lam(draws).view(-1, 1, 1)
        a, b = (probes.as_map(values, size).flatten(2).transpose(1, 2) for values in (own, other))  # (N, L, C)
        with torch.autocast(features.device.type, enabled=False):  # scores of the plan need float32
            a, b = (values.to(torch.promote_types(values.dtype, torch.float32)) for values in (a, b))
            plan = self.plan(a, b)
            mixed = functional.blend(a, plan @ b, lam) if draws["direction"] == 0 else functional.blend(
                plan.transpose(1, 2) @ a, b, lam)
        mixed = mixed.to(features.dtype)
        if features.ndim == 4 and size is not None and probes.channels_last(features.shape, size):
            mixed = mixed.reshape(features.shape)
        elif features.ndim == 4:
            mixed = mixed.transpose(1, 2).reshape(features.shape)
        else:
            front = features.shape[1] - mixed.shape[1]
            mixed = torch.cat([functional.blend(own[:, :front], other[:, :front], lam), mixed], 1)
        return self.keep_unmixed(mixed, draws, own)

    @torch.no_grad()
    def plan(self, a: Tensor, b: Tensor) -> Tensor:
        """R (N, L, L) of two sets of L positions (N, L, C): columns sum to 1, rows nearly so."""
        cost = (a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None] - 2 * a @ b.transpose(1, 2)).clamp(min=0)
        if self.cost_scale == "mean":
            cost = cost / cost.mean((1, 2), keepdim=True).clamp(min=torch.finfo(cost.dtype).tiny)
        return sinkhorn(cost, self.epsilon, self.iterations) * a.shape[1]

    def details(self, images, draws, net=None, labels=None):
        draws = self.prepare(images, draws)
        n = len(images)
        return dict(lam=self.drawn_lam(draws).expand(n), mask=None,
                    partner=self.partner_index(n, draws, images.device))
