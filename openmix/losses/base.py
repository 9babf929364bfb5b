"""What the losses share: one form of target, one kind of answer."""
import torch
from torch import Tensor, nn

from ..target import Target, as_target, check_labels

REDUCTIONS = ("mean", "none")


def check_target(logits: Tensor, target) -> None:
    """Raise ValueError unless logits (N, C) and target (indices, probabilities or Target) fit each other."""
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"a loss takes logits (N, C), got {shape}")
    n, classes = logits.shape
    if type(target) is Tensor and target.dtype is torch.int64 and target.shape == (n,):
        return  # what most training steps hand over
    if isinstance(target, Target):
        label, weight = target
        if label.ndim != 2 or label.shape != weight.shape or len(label) != n:
            raise ValueError(f"for logits {(n, classes)} a Target holds label and weight ({n}, K), got "
                             f"{tuple(label.shape)} and {tuple(weight.shape)}")
        return
    check_labels(target, n)
    if target.ndim == 2 and target.shape[1] != classes:
        raise ValueError(f"logits are of {classes} classes but the target's probabilities {tuple(target.shape)} have "
                         f"{target.shape[1]} columns")


def log_complement(log_p: Tensor) -> Tensor:
    """log(1 - p) of softmax outputs, from their logarithm, (N, C >= 2); finite, with finite gradients, as p nears 1.

    1 - p of the most likely class is the sum of the others, so that nothing cancels.
    """
    top = log_p.argmax(1, keepdim=True)
    others = log_p.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True)
    small = torch.log1p(-log_p.scatter(1, top, -torch.inf).exp())  # p of every other class is at most a half
    return small.scatter(1, top, others)


class Criterion(nn.Module):
    """A loss of logits (N, C) and a target, computed in float32 (or wider) whatever autocast does.

    The target is class indices (N,), class probabilities (N, C) or a :class:`~openmix.target.Target`, all the same
    to a subclass, which defines :meth:`each`.

    Args:
        reduction: ``"mean"`` over the batch gives a scalar, ``"none"`` gives (N,).

    Raises:
        ValueError: shapes that do not fit.
    """

    def __init__(self, reduction="mean"):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")
        self.reduction = reduction

    def each(self, logits: Tensor, target: Target) -> Tensor:
        """Loss of each example, (N,)."""
        raise NotImplementedError

    def forward(self, logits: Tensor, target: Tensor | Target) -> Tensor:
        check_target(logits, target)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        label, weight = as_target(target)
        each = self.each(logits, Target(label, weight.to(logits.dtype)))
        return each.mean() if self.reduction == "mean" else each
