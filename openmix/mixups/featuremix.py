"""Feature-map mixup with a mix rate, as in an MXNet project on ResNet-50 and CIFAR-10 (notes, not a paper)."""
import torch

from ..checks import number
from .manifoldmix import INPUT, ManifoldMix


class FeatureMix(ManifoldMix):
    """A share of the batch is mixed pair by pair, at the input or at one layer; the others stay as they are.

    Of N images the first m = floor(mix_rate * N), made even, are mixed: those of the first half, A, with those of the
    second, B. Image i of A becomes ``lam_i * A_i + (1 - lam_i) * B_i``; its partner ``lam_j * A_i + (1 - lam_j) * B_i``
    with a ``lam_j`` of its own. Batches are shuffled, so the first m are any. Several processes count in their own part
    of the batch. In the head's feature map, ``layer="layer4"`` of a ResNet, this is the variant of the source.

    Args:
        alpha: Beta parameter; 0.2 in the source.
        layer: name of a layer, as of :class:`ManifoldMix`; ``"input"`` means the images.
        mix_rate: share of the images that are mixed; 0.7 in the source.
        num_classes: as of :class:`~openmix.mixups.base.MixMethod`.

    Raises:
        ValueError: a parameter out of its range; at :meth:`attach`, a layer the network does not have.
    """

    weight_from = "model"  # the share of the own image: lam or 1 - lam, by the half it is in
    paper = 'notes on feature mixup with MXNet, after Verma et al., "Manifold Mixup", arXiv 1806.05236'
    year = 2019
    venue = "ICML"
    passes = "none"
    defaults = {"CIFAR": dict(alpha=0.2, mix_rate=0.7)}

    def __init__(self, alpha: float = 0.2, layer: str = INPUT, *, mix_rate: float = 0.7,
                 num_classes: int | None = None):
        super().__init__(alpha, layers=layer, per_sample=True, num_classes=num_classes)
        self.mix_rate = number("mix_rate", mix_rate, 0, 1)

    def draw_common(self, n, generator=None, steps=(), device=None):
        return {}  # it is the place in the batch that decides which images are mixed

    def prepare(self, images, draws):
        draws = super().prepare(images, draws)
        n, lam = len(images), draws["lam"]
        half, place = int(self.mix_rate * n + 1e-9) // 2, torch.arange(n, device=images.device)
        first, mixed = place < half, place < 2 * half
        partner = torch.where(first, place + half, torch.where(mixed, place - half, place))
        lam = torch.where(mixed, torch.where(first, lam, 1 - lam), 1.0)
        return type(draws)({**draws, "partner": partner, "lam": lam})

    def extra_repr(self):
        return f"alpha={self.alpha}, layer={self.layers[0]!r}, mix_rate={self.mix_rate}"
