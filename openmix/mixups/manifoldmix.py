"""ManifoldMix: Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", ICML 2019.

arXiv 1806.05236.
"""
from collections.abc import Callable
from functools import partial

from torch import Tensor

from .. import functional, probes, sampling
from .base import MixMethod

INPUT = "input"


class ManifoldMix(MixMethod):
    """Each batch is mixed at one layer, drawn among ``layers``: its output is interpolated with ``lam``.

    Works with any network. The layers get a permanent hook, which does nothing outside :meth:`loss`, so evaluation and
    copies of the network are never mixed. The output of a layer is a tensor whose first dimension is the batch, or a
    tuple, list or dict of such; all floating tensors in it are mixed. A layer inside reentrant activation
    checkpointing cannot be used: the backward pass would compute it again, unmixed.

    Args:
        alpha: Beta parameter; paper and CIFAR tables: 2, ImageNet: 0.2.
        layers: names of layers (``layer1`` also matches ``backbone.layer1``); ``"input"`` means the images. One
            name, ``layers="layer3"``, mixes at that layer in every batch.

    Raises:
        ValueError: no layers; at :meth:`attach`, a layer the network does not have.
    """

    paper = 'Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", arXiv 1806.05236'
    year = 2019
    venue = "ICML"
    passes = "none"
    defaults = dict(CIFAR=dict(alpha=2.0), ImageNet=dict(alpha=0.2))

    weight_from = "lam"
    needs = "hidden"
    blends = False  # the images are mixed only where the drawn layer is the input

    def __init__(self, alpha: float = 2.0, layers=(INPUT, "layer1", "layer2"), **kwargs):
        super().__init__(alpha, **kwargs)
        layers = (layers,) if isinstance(layers, str) else layers
        if not layers or not all(isinstance(layer, str) and layer for layer in layers):
            raise ValueError(f"layers must be one or more names of layers, e.g. ('input', 'layer1'), got {layers!r}")
        self.layers = tuple(layers)

    def attach(self, net):
        for layer in self.layers:
            if layer != INPUT:
                probes.plant(net, layer)

    def draw(self, n, size, generator=None, steps=(), device=None):
        draws = super().draw(n, size, generator, steps, device)
        draws["layer"] = sampling.choose([1] * len(self.layers), steps, generator)
        return draws

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        draws = self.prepare_loss(images, labels, draws)
        lam = self.drawn_lam(draws)
        logits = self.logits_with(net, images, draws, partial(self.mix, lam=lam, draws=draws, n=len(images)))
        return dict(loss=criterion(logits, self.target(labels, lam, draws)))

    def logits_with(self, net, images: Tensor, draws: dict, mix: Callable, mix_input: Callable | None = None) -> Tensor:
        """Logits of ``images`` with ``mix`` at the drawn layer; at the input ``mix_input``, if it is another."""
        layer = self.layers[draws["layer"]]
        if layer == INPUT:
            if mix_input is None and not images.is_floating_point():
                raise ValueError(f"{type(self).__name__} blends pixels and needs float images, got {images.dtype}; "
                                 "convert them first, e.g. images.float() / 255")
            return net((mix_input or mix)(images))
        with probes.acting(net, layer, mix):
            return net(images)

    def mix(self, state, lam: Tensor, draws: dict, n: int):
        """``state`` (a layer's output) with every floating tensor (N, ...) in it mixed; other parts stay."""
        if isinstance(state, dict):
            return type(state)((key, self.mix(part, lam, draws, n)) for key, part in state.items())
        if isinstance(state, (tuple, list)):
            parts = [self.mix(part, lam, draws, n) for part in state]
            return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
        if not isinstance(state, Tensor) or not state.is_floating_point():
            return state
        if state.ndim == 0 or len(state) != n:
            raise ValueError(f"the first dimension of a layer to mix must be the batch of {n}, got shape "
                             f"{tuple(state.shape)}; name another layer, e.g. one around it")
        return functional.blend(state, self.partner(state, draws), lam.reshape(-1, *[1] * (state.ndim - 1)))

    def details(self, images, draws, net=None, labels=None):
        draws = self.prepare(images, draws)
        n = len(images)
        return dict(lam=self.drawn_lam(draws).expand(n), mask=None,
                    partner=self.partner_index(n, draws, images.device))
