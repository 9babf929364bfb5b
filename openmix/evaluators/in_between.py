"""What a network does in between images: the mixup paper's Figure 2."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import number
from .base import Evaluator, add, in_single, summed


class InBetween(Evaluator):
    """Misses and gradient norms on mixtures of two images, lam * x_i + (1 - lam) * x_j, for lam from 0 to 1.

    Zhang et al., arXiv 1710.09412, Figure 2. The partner of an image is the one before it in its batch; the data should
    be shuffled, and of the training set for the paper's figure. Values are lists, one number for each lam:

    * ``miss``: share of pairs, in percent, whose predicted class is neither of the two.
    * ``norm``: mean Euclidean norm of the gradient of the loss with respect to the mixture, in units of normalised
      images. The loss is the cross-entropy of the mixed label.

    ``miss_half`` and ``norm_half`` are those of the lam nearest to 1/2.

    Args:
        points: how many values of lam, at equal distances.

    Raises:
        ValueError: fewer than 2 points.
    """

    main, lower_is_better = "miss_half", True

    def __init__(self, points: int = 21):
        self.passes = number("points", points, 2, whole=True)
        self.lams = [k / (self.passes - 1) for k in range(self.passes)]
        self.sums, self.index, self.norms = None, 0, None

    def begin_pass(self, index: int) -> None:
        self.index = index

    def perturb(self, net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """The mixtures of this pass; the norms of their gradients are summed on the way."""
        lam = self.lams[self.index]
        images = (lam * images + (1 - lam) * images.roll(1, 0)).detach()
        with torch.enable_grad():
            mixed = images.requires_grad_()
            logits = in_single(net(mixed))
            own, other = (F.cross_entropy(logits, y.clamp(min=0), reduction="none") for y in (labels, labels.roll(1)))
            (gradient,) = torch.autograd.grad((lam * own + (1 - lam) * other).sum(), mixed)
        self.norms = gradient.double().flatten(1).norm(dim=1)
        return images.detach()

    def update(self, logits: Tensor, labels: Tensor) -> None:
        predicted, other = logits.argmax(1), labels.roll(1)
        pair = (labels >= 0) & (other >= 0)
        missed = pair & (predicted != labels) & (predicted != other)
        rows = torch.zeros(self.passes, 3, dtype=torch.float64, device=logits.device)
        rows[self.index] = torch.stack([pair.sum(), missed.sum(), torch.where(pair, self.norms, 0).sum()])
        self.sums = add(self.sums, rows)

    def compute(self) -> dict:
        count, missed, norms = summed(self.sums).view(self.passes, 3).T
        if not count[0]:
            raise ValueError("no pair was evaluated; is the data set empty?")
        miss, norm, half = (100 * missed / count).tolist(), (norms / count).tolist(), self.passes // 2
        return dict(miss=miss, norm=norm, lam=self.lams, miss_half=miss[half], norm_half=norm[half],
                    count=int(count[0]))
