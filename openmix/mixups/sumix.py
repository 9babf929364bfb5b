"""SUMix: Qin et al., "SUMix: Mixup with Semantic and Uncertain Information", ECCV 2024, arXiv 2407.07805."""
import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import probes
from ..checks import number
from ..target import Target, as_sources, as_target, mix_target
from .base import MixMethod, touch_parameters
from .cutmix import CutMix
from .mixblock import start_small
from .wrapper import Wrapper


def unit_softmax(values: Tensor) -> Tensor:
    """Softmax over classes, scaled to Euclidean length 1: (N, C) -> (N, C) float32."""
    return F.normalize(values.float().softmax(1), dim=1)


class SUMix(Wrapper):
    """Another method mixes the images; how near the mixture is to each of the two images weighs their labels.

    Let p and p~ be the class probabilities of an image and its mixture. The distance to the image is
    alpha = ``scale`` * unit(softmax(p~ - p)), without p of the other image's class. Its label weighs
    lam * exp(-alpha[class]), and the two weights are scaled to a sum of 1, for each image. A second head learns the
    uncertainty beta = u + u~, u the unit vector of its softmax, by the loss
    ``gamma`` * (lam * CE(exp(-(alpha + beta)), class) + the same of the other image). The network sees the clean batch,
    then the mixed one.

    The authors' code takes the mean of the label weights over the batch where it means each, and the size of the batch
    as ``scale``, 100 in the published runs. Here ``scale`` does not change with the number of processes. At 100 the
    entries of alpha are near 10 for 100 classes, so that the second head gets small gradients.

    Args:
        method: mixes the images; by default CutMix. Its mixtures are of each image and one partner.
        gamma: weight of the loss of uncertainty.
        scale: factor of the distances.
        classifier: name of the layer that makes the logits; by default the last ``nn.Linear``.

    Raises:
        ValueError: a method of other mixtures; at :meth:`attach`, a network without such a layer.
    """

    paper = 'Qin et al., "SUMix: Mixup with Semantic and Uncertain Information", arXiv 2407.07805'
    year = 2024
    venue = "ECCV"
    passes = "one forward and backward pass (clean images)"
    defaults = {"CIFAR": dict(method=dict(type="CutMix", alpha=0.2), gamma=0.5, scale=100.0)}
    needs = "learned"

    def __init__(self, method: MixMethod | None = None, gamma: float = 0.5, scale: float = 100.0,
                 classifier: str | None = None, num_classes: int | None = None):
        super().__init__(CutMix() if method is None else method, num_classes)
        if self.neighbours is not None:
            raise ValueError("SUMix looks at both images of a mixture, so the partner must be of the batch, not 'knn'")
        if not (self.permutes and self.sums_to_one):
            raise ValueError("SUMix weighs an image and its one partner by weights that sum to 1; "
                             f"{type(self.method).__name__} mixes otherwise, take e.g. CutMix")
        self.gamma, self.scale = number("gamma", gamma), number("scale", scale, above=True)
        self.weight_from, self.sums_to_one = "model", True
        self.classifier, self.head = classifier, None

    def attach(self, net):
        super().attach(net)
        if self.head is not None:  # once: the optimizer holds its parameters
            return
        self.classifier, head = probes.find_classifier(net, self.classifier)
        probes.plant(net, self.classifier)
        self.head = start_small(copy.deepcopy(head))

    forward = MixMethod.forward  # label weights depend on the network

    def predict_both(self, net, images: Tensor, forward: Callable) -> tuple[Tensor, Tensor]:
        """Logits (N, C) of the network and of the second head on the same features, in one pass ``forward(images)``."""
        logits = []
        features = probes.watch_input(net, self.classifier, lambda: logits.append(forward(images)))
        return logits[0], self.head(features)

    def distances(self, clean: Tensor, mixed: Tensor, labels: Tensor, partner: Tensor) -> tuple[Tensor, Tensor]:
        """alpha of each image and of its partner to the mixture, (N, C) each; ``clean`` and ``mixed`` are logits."""
        with torch.no_grad():
            p, mixture = (logits.float().softmax(1) for logits in (clean, mixed))
            own, other = p * (1 - labels[partner]), p[partner] * (1 - labels)
            return self.scale * unit_softmax(mixture - own), self.scale * unit_softmax(mixture - other)

    def estimate(self, net, forward: Callable, images: Tensor, mixed: Tensor, labels: Tensor, details: dict):
        """Logits of the mixture (N, C), the label weight of each image (N,), and the loss of uncertainty."""
        sources, drawn, _ = as_sources(details)
        partner, lam = sources[:, 1], drawn[:, 0]
        (clean, u), (logits, u_mixed) = (self.predict_both(net, x, forward) for x in (images, mixed))
        own = as_target(labels).dense(clean.shape[1]).float()
        other = own[partner]
        near, far = self.distances(clean, logits, own, partner)
        weight = (lam.log() - (1 - lam).log() + (other * far).sum(1) - (own * near).sum(1)).sigmoid()
        u, u_mixed = unit_softmax(u), unit_softmax(u_mixed)
        uncertainty = F.cross_entropy((-(near + u + u_mixed)).exp(), lam[:, None] * own)
        uncertainty = uncertainty + F.cross_entropy((-(far + u[partner] + u_mixed)).exp(), (1 - lam)[:, None] * other)
        return logits, weight, uncertainty

    def new_target(self, labels: Tensor, details: dict, weight: Tensor) -> Target | Tensor:
        """The label of each image with ``weight`` (N,), its partner's with the rest."""
        sources = as_sources(details)[0]
        return self.maybe_dense(mix_target(labels, sources, torch.stack([weight, 1 - weight], 1)))

    def check_attached(self) -> None:
        """Raise ValueError unless :meth:`attach` was called."""
        if self.head is None:
            raise ValueError("SUMix learns a second head: call method.attach(net) once, before the optimizer is built")

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        """``loss`` and, for the log, its part ``uncertainty``, before it is weighed."""
        self.check_attached()
        draws = self.prepare_loss(images, labels, draws)
        mixed, _ = self.method(images, labels, draws)
        details = self.method.details(images, draws, labels=labels)
        logits, weight, uncertainty = self.estimate(net, net, images, mixed, labels, details)
        loss = criterion(logits, self.new_target(labels, details, weight)) + self.gamma * uncertainty
        return dict(loss=touch_parameters(self.method, loss), uncertainty=uncertainty.detach())

    @torch.no_grad()
    def details(self, images, draws, net=None, labels=None):
        """Without ``net`` and ``labels`` those of the wrapped method."""
        draws = self.prepare(images, draws)
        details = self.method.details(images, draws, labels=labels)
        if net is None or labels is None:
            return details
        self.check_attached()
        mixed, _ = self.method(images, labels, draws)
        forward = probes.on_copies(net)
        _, weight, _ = self.estimate(net, forward, images, mixed, labels, details)
        sources, _, masks = as_sources(details)
        return dict(sources=sources, weights=torch.stack([weight, 1 - weight], 1), masks=masks)

    def extra_repr(self):
        return f"gamma={self.gamma}, scale={self.scale}"
