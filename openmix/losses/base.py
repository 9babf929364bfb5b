"""The base of all losses: targets, class weights and reduction."""
import torch
from torch import Tensor, nn

from ..target import Target, as_target, check_labels, check_range

REDUCTIONS = ("mean", "none")


def check_target(logits: Tensor, target) -> None:
    """Raise ValueError unless logits (N, C) and target (indices, probabilities or Target) fit each other."""
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"a loss takes logits (N, C), got {shape}")
    n, classes = logits.shape
    if isinstance(target, Target):
        label, weight = target
        if label.ndim != 2 or label.shape != weight.shape or len(label) != n:
            raise ValueError(f"for logits {(n, classes)} a Target holds label and weight ({n}, K), got "
                             f"{tuple(label.shape)} and {tuple(weight.shape)}")
        if label.is_floating_point() or label.dtype == torch.bool:
            raise ValueError(f"the label of a Target holds class indices, got {label.dtype}")
        check_range(label, classes)
    elif isinstance(target, Tensor) and target.ndim == 2 and target.shape[1] != classes and len(target) == n:
        raise ValueError(f"logits are of {classes} classes but the target's probabilities {tuple(target.shape)} have "
                         f"{target.shape[1]} columns")
    else:
        check_labels(target, n, classes)


def class_weights(values) -> Tensor | None:
    """``values``, one number a class (a list, array or tensor), as float32 (C,).

    Raises:
        ValueError: anything else; a number below 0, infinite or NaN.
    """
    if values is None:
        return None
    try:
        weights = torch.as_tensor(values).detach().to(torch.float32, copy=True)
    except (TypeError, ValueError, RuntimeError):
        weights = torch.empty(0)
    if weights.ndim != 1 or not len(weights) or not (weights.isfinite() & (weights >= 0)).all() or weights.sum() == 0:
        raise ValueError("class_weight must be one number a class, none of them negative and not all 0, "
                         f"got {values!r}")
    return weights


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

    The target is class indices (N,), class probabilities or one-hot (N, C) or a :class:`~openmix.target.Target`. A
    subclass defines :meth:`each` for a ``Target``. Probabilities need not sum to 1: the loss is linear in them.

    Args:
        reduction: ``"mean"`` over the batch gives a scalar, ``"none"`` gives (N,).
        class_weight: one weight a class, (C,): every term of class c counts ``class_weight[c]`` times. As ``weight``
            of ``F.cross_entropy`` for probabilities: the mean divides by N, also for indices (there torch divides by
            the sum of their weights). So a label and its one-hot form, mixed and clean batches, one process and many
            train alike; weights whose mean over the images is 1 keep the scale of the loss.

    Raises:
        ValueError: shapes that do not fit, a label out of range, a mean over no examples.
    """

    in_label = False  # True: a method of its own, which tables name beside the mixing method

    def __init__(self, reduction="mean", class_weight=None):
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")
        self.reduction = reduction
        self.register_buffer("class_weight", class_weights(class_weight), persistent=False)

    def check(self, logits: Tensor, target: Tensor | Target) -> None:
        """Raise ValueError unless logits, target and class weights fit each other."""
        check_target(logits, target)
        n, classes = logits.shape
        if self.class_weight is not None:
            self.check_classes(classes)
        if n == 0 and self.reduction == "mean":
            raise ValueError("a batch of 0 examples has no mean loss; leave it out, or use reduction='none'")

    def check_classes(self, num_classes: int) -> None:
        """Raise ValueError where there are class weights, but not ``num_classes`` of them."""
        if self.class_weight is not None and len(self.class_weight) != num_classes:
            raise ValueError(f"class_weight has {len(self.class_weight)} numbers, but there are {num_classes} classes")

    def weigh(self, terms: Tensor) -> Tensor:
        """``terms`` (N, C), one a class, each times the weight of its class."""
        return terms if self.class_weight is None else terms * self.class_weight.to(terms.dtype)

    def each(self, logits: Tensor, target: Target) -> Tensor:
        """Loss of each example, (N,)."""
        raise NotImplementedError

    def forward(self, logits: Tensor, target: Tensor | Target) -> Tensor:
        self.check(logits, target)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        label, weight = as_target(target)
        each = self.each(logits, Target(label.long(), weight.to(logits.dtype)))
        return each.mean() if self.reduction == "mean" else each


class ProbabilityLoss(nn.Module):
    """A loss of logits and class probabilities, both (N, C), as a criterion: every target is handed to it in that form.

    Args:
        loss: a module or function, e.g. ``torch.nn.CrossEntropyLoss(label_smoothing=0.1)``.
    """

    def __init__(self, loss):
        super().__init__()
        if not callable(loss):
            raise TypeError(f"a loss must be a module or a function of (logits, target), got {loss!r}")
        self.loss = loss

    def forward(self, logits: Tensor, target: Tensor | Target) -> Tensor:
        check_target(logits, target)
        return self.loss(logits, as_target(target).dense(logits.shape[1]).to(logits.dtype))


def as_criterion(loss) -> nn.Module:
    """``loss`` itself if it is a :class:`Criterion`, any other as a :class:`ProbabilityLoss`."""
    return loss if isinstance(loss, (Criterion, ProbabilityLoss)) else ProbabilityLoss(loss)
