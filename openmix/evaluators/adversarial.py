"""Accuracy on adversarial examples of the evaluated network, or of another."""
import torch
from torch import Tensor, nn

from ..attacks import Pixels, check_eps, ifgsm
from ..checks import number
from ..frozen import Frozen
from .accuracy import Accuracy

LABELS = ("true", "predicted")


class IFGSM(Accuracy):
    """Accuracy on images of the iterated fast gradient sign method; see :func:`openmix.attacks.ifgsm`.

    The mixup paper (arXiv 1710.09412, Table 3): ``eps=4``, 10 steps.

    Args:
        eps: largest change of a pixel, in grey levels from 0 to 255. steps: how many. step: change a step, ``eps /
            steps`` by default.
        labels: the loss that grows is that of the ``"true"`` or of the ``"predicted"`` class.
        source: the network whose gradient is used, a module or ``dict(type="Teacher", ...)``; by default each
            network is attacked by itself (white box).
        topk: see :class:`Accuracy`.

    Raises:
        ValueError: a number out of its range; data without ``mean`` and ``std``, so without pixels.
    """

    def __init__(self, eps: float = 4.0, steps: int = 10, step: float | None = None, labels: str = "true",
                 source: nn.Module | None = None, topk=(1, 5)):
        super().__init__(topk)
        self.eps, self.steps = check_eps("eps", eps), number("steps", steps, 1, whole=True)
        self.step = None if step is None else check_eps("step", step)
        if labels not in LABELS:
            raise ValueError(f"labels must be one of {LABELS}, got {labels!r}")
        if source is not None and not callable(source):
            raise TypeError(f"source must be a network or dict(type='Teacher', ...), got {source!r}")
        self.labels, self.source, self.pixels = labels, source, None

    def begin(self, loader) -> None:
        if getattr(loader, "mean", None) is None or getattr(loader, "std", None) is None:
            raise ValueError(f"{type(self).__name__} changes pixels and needs images with mean and std; "
                             f"{loader.data.name} has none")
        if isinstance(self.source, Frozen):
            self.source.load()  # before it is moved to the images' device
        self.pixels = Pixels(loader.mean, loader.std, loader.device)

    def start(self, images: Tensor) -> Tensor | None:
        """The change that the first step begins with, as a share of ``eps``."""

    def perturb(self, net, images, labels):
        source = net if self.source is None else self.source
        if isinstance(self.source, nn.Module):
            self.source.to(images.device).eval()
        labels = labels.clamp(min=0) if self.labels == "true" else net(images).argmax(1)
        moved = ifgsm(source, images, labels, self.pixels, self.eps, self.steps, self.step, self.start(images))
        return moved.to(images.dtype)


class FGSM(IFGSM):
    """Accuracy on images of the fast gradient sign method: one step of ``eps``; see :class:`IFGSM`."""

    def __init__(self, eps: float = 4.0, labels: str = "true", source: nn.Module | None = None, topk=(1, 5)):
        super().__init__(eps, 1, None, labels, source, topk)


class PGD(IFGSM):
    """Accuracy on images of projected gradient descent: :class:`IFGSM` from a random start in the box.

    Args:
        seed: of the random starts. The other arguments are those of :class:`IFGSM`.
    """

    def __init__(self, eps: float = 4.0, steps: int = 10, step: float | None = 1.0, labels: str = "true",
                 source: nn.Module | None = None, topk=(1, 5), seed: int = 0):
        super().__init__(eps, steps, step, labels, source, topk)
        self.seed = number("seed", seed, 0, whole=True)

    def begin(self, loader) -> None:
        super().begin(loader)
        self.random = torch.Generator().manual_seed(self.seed)

    def start(self, images):
        return (2 * torch.rand(images.shape, generator=self.random) - 1).to(images.device)
