"""The label side of every mixing method: example *i* is ``weight[i, k]`` of class ``label[i, k]``."""
from typing import NamedTuple

import torch
from torch import Tensor

from .functional import extremes


class Target(NamedTuple):
    """Sparse soft labels.

    Attributes:
        label: classes, (N, K) int64.
        weight: how much of each, (N, K) float; rows usually sum to one.
    """

    label: Tensor
    weight: Tensor

    def dense(self, num_classes: int) -> Tensor:
        """Class probabilities (N, C), for losses that want one column a class.

        Raises:
            ValueError: a label outside 0 ... C - 1 (on a GPU: an assertion of the device).
        """
        label = self.label.long()
        check_range(label, num_classes)
        zeros = self.weight.new_zeros(label.shape[0], num_classes)
        return zeros.scatter_add(1, label, self.weight)

    def to(self, *args, **kwargs) -> "Target":
        """Both tensors moved to a device; a dtype concerns the weights alone."""
        weight = self.weight.to(*args, **kwargs)
        return Target(self.label.to(weight.device, non_blocking=kwargs.get("non_blocking", False)), weight)

    @property
    def device(self) -> torch.device:
        """Where the weights are, and so the labels."""
        return self.weight.device

    def pin_memory(self) -> "Target":
        """Both tensors in page-locked memory, which a GPU reads without waiting (``DataLoader(pin_memory=True)``)."""
        return Target(self.label.pin_memory(), self.weight.pin_memory())

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", str(func))
        raise TypeError(
            f"{name} got an openmix Target, which is a pair of tensors (label, weight). Use one of openmix.losses "
            "(SoftCrossEntropy()(logits, target)), or target.dense(num_classes) for class probabilities (N, C), or "
            "give num_classes=... to the mixing method so that it hands out probabilities."
        )


def check_range(label: Tensor, num_classes: int | None = None) -> None:
    """Raise ValueError for a label below 0 or, where it is known, from ``num_classes`` on.

    Labels on a GPU are not read, as that would wait for it: there, indexing itself asserts the range.
    """
    low, high = extremes(label) or (0, -1)
    if low >= 0 and (num_classes is None or high < num_classes):
        return
    wrong = low if low < 0 else high
    classes = "class indices start at 0" if num_classes is None else f"{num_classes} classes have labels 0 ... " \
                                                                      f"{num_classes - 1}"
    hint = "; leave images without a label out of the batch: keep = labels >= 0" if wrong < 0 else ""
    raise ValueError(f"label {wrong} is out of range: {classes}{hint}")


def check_form(labels: Tensor, n: int | None = None) -> None:
    """Raise unless ``labels`` have the type and shape of n (or any number of) labels; as :func:`check_labels`."""
    if not isinstance(labels, Tensor):
        hint = "mix once, or hand on target.dense(num_classes)" if isinstance(labels, Target) else \
            "torch.as_tensor(labels) makes one"
        raise TypeError(f"labels must be a tensor of class indices or probabilities, got {type(labels).__name__}; "
                        f"{hint}")
    kind, shape = labels.dtype, tuple(labels.shape)
    whole = not kind.is_floating_point and not kind.is_complex and kind != torch.bool
    indices = labels.ndim == 1 and whole
    shares = labels.ndim == 2 and not kind.is_complex and (kind.is_floating_point or shape[1] > 1)
    if (indices or shares) and n in (None, shape[0]):
        return
    count, batch = ("N", "") if n is None else (n, f" for a batch of {n} images")
    hint = ""
    if labels.ndim == 1 and not whole:
        hint = "; labels.long() makes class indices"
    elif labels.ndim == 2 and shape[1] == 1:
        hint = "; labels.squeeze(1) has the shape of class indices"
    raise ValueError(f"labels must be {count} class indices (int64, shape ({count},)) or class probabilities (float, "
                     f"or one-hot integers, shape ({count}, C)){batch}, got {kind} of shape {shape}{hint}")


def check_labels(labels: Tensor, n: int, num_classes: int | None = None) -> None:
    """Raise unless ``labels`` are n labels: class indices (n,), class probabilities (n, C) or one-hot (n, C).

    Indices may be of any integer type. Probabilities are taken as they are: rows need not sum to 1, and scale what
    is learned of an image if they do not. Integers and bools (n, C) hold 0 and 1. Values are looked at on CPUs alone.

    Args:
        num_classes: C, where it is known.

    Raises:
        TypeError: no tensor. ValueError: another type or shape, another number of columns, a label out of its range.
    """
    check_form(labels, n)
    if labels.ndim == 1:
        check_range(labels, num_classes)
        return
    if num_classes is not None and labels.shape[1] != num_classes:
        raise ValueError(f"labels have {labels.shape[1]} columns but num_classes={num_classes}; "
                         "leave num_classes out when labels are probabilities, or make them agree")
    if not labels.is_floating_point():
        low, high = extremes(labels) or (0, 1)
        if low < 0 or high > 1:
            raise ValueError(f"integer labels of shape {tuple(labels.shape)} are one-hot, of 0 and 1, got values from "
                             f"{low} to {high}; class indices have the shape ({n},), probabilities are floats")


def as_target(labels: Tensor | Target) -> Target:
    """Class indices (N,), probabilities or one-hot (N, C) as a :class:`Target` with K = 1 or K = C; a Target stays.

    Raises:
        TypeError, ValueError: what is neither, as :func:`check_labels`.
    """
    if isinstance(labels, Target):
        return labels
    check_form(labels)
    if labels.ndim == 1:
        return Target(labels.long()[:, None], torch.ones(len(labels), 1, device=labels.device))
    classes = torch.arange(labels.shape[1], device=labels.device)
    return Target(classes.expand(labels.shape[0], -1), labels if labels.is_floating_point() else labels.float())


def pair_target(labels: Tensor, partner: Tensor, lam: Tensor) -> Target:
    """``lam`` of each example's own label and ``1 - lam`` of its partner's.

    Args:
        labels, partner: indices (N,), or probabilities or one-hot (N, C), in the same form.
        lam: the share kept of the first image, (N,), (1,) or ().

    Returns:
        Target with K = 2, or K = 2C for probabilities.

    Raises:
        TypeError, ValueError: labels as for :func:`as_target`; a partner of another shape.
    """
    check_form(labels)
    if partner.shape != labels.shape:
        raise ValueError(f"labels of shape {tuple(labels.shape)} need partners of the same shape, got "
                         f"{tuple(partner.shape)}")
    lam = lam.float().reshape(-1)
    weight = torch.stack([lam, 1 - lam], 1).expand(labels.shape[0], 2)
    if labels.ndim == 1:
        return Target(torch.stack([labels, partner], 1).long(), weight)
    a, b = as_target(labels), as_target(partner)
    return Target(torch.cat([a.label, b.label], 1), torch.cat([a.weight * weight[:, :1], b.weight * weight[:, 1:]], 1))


def mix_target(labels: Tensor, source: Tensor, weight: Tensor) -> Target:
    """Of example i, ``weight[i, k]`` of the label of example ``source[i, k]``.

    Args:
        labels: indices (N,), or probabilities or one-hot (N, C). source: (N, M) int64 in [0, N). weight: (N, M).

    Returns:
        Target with K = M, or K = C for probabilities.

    Raises:
        TypeError, ValueError: labels as for :func:`as_target`; a source and a weight of different shapes.
    """
    check_form(labels)
    if source.shape != weight.shape or source.ndim != 2:
        raise ValueError(f"source and weight must both be (N, M), got {tuple(source.shape)} and {tuple(weight.shape)}")
    if labels.ndim == 1:
        return Target(labels.long()[source], weight)
    every = as_target(labels)
    return Target(every.label[:1].expand(len(source), -1), (weight[..., None] * every.weight[source]).sum(1))


def as_sources(details: dict) -> tuple[Tensor, Tensor, Tensor | None]:
    """Which images a mixed one is made of, from ``MixMethod.details`` of any number of images.

    Two images are given as ``lam`` (N,), ``mask`` (N, 1, H, W) or None, and ``partner`` (N,).

    Returns:
        ``sources`` (N, M) int64, -1 for an image that is not of this batch; label ``weights`` (N, M); ``masks``
        (N, M, H, W), the share of each source in each pixel, or None.
    """
    if "sources" in details:
        return details["sources"], details["weights"], details.get("masks")
    lam, mask, partner = details["lam"], details["mask"], details["partner"]
    own = torch.arange(len(partner), device=partner.device)
    masks = None if mask is None else torch.cat([mask, 1 - mask], 1)
    return torch.stack([own, partner], 1), torch.stack([lam, 1 - lam], 1), masks


def smooth(target: Target, eps: float, num_classes: int) -> Tensor:
    """Label smoothing of a target, dense (N, C): (1 - eps) * target + eps / C. Linear, so mixing may come before."""
    return target.dense(num_classes) * (1 - eps) + target.weight.sum(1, keepdim=True) * (eps / num_classes)
