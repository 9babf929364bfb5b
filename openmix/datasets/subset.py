"""A part of any data set."""
from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import check_count
from ..sampling import keyed_generator
from .options import listed

SUBSET = 0x5B  # the stream of its own: for one seed, 10 a class are among 50 a class


def Subset(data, per_class: int | None = None, indices: Sequence[int] | None = None, seed: int = 0,
           name: str | None = None):
    """Some images of ``data``: in configs ``dict(type="Subset", data=dict(type="CIFAR100"), per_class=50)``.

    It is a set of the same kind, in memory or streamed, with a name and a hash of its own. The order of the images
    and the numbers of the classes stay.

    Args:
        data: the set, or its config.
        per_class: draw so many images of each class. seed: another seed draws others.
        indices: instead, these images.
        name: by default that of ``data`` with the choice.

    Raises:
        ValueError: neither or both of ``per_class`` and ``indices``; a class that has fewer images; indices out of
            range or given twice.
    """
    if (per_class is None) == (indices is None):
        raise ValueError("Subset needs per_class=50 (images of each class) or indices=[...], and not both")
    if per_class is not None:
        selection = dict(per_class=check_count("per_class", per_class, 1), seed=check_count("seed", seed, 0))
        chosen, words = stratified(data, selection["per_class"], selection["seed"]), f"{per_class} a class"
        selection["of"] = data.name
    else:
        chosen = as_indices(indices, len(data))
        selection, words = dict(indices=len(chosen), of=data.name), f"{len(chosen)} chosen"
    return data.take(chosen, name=name or f"{data.name} ({words})", selection=selection)


def stratified(data, per_class: int, seed: int) -> Tensor:
    """Indices of ``per_class`` random images of each class, ascending."""
    counts = data.labels.bincount(minlength=len(data.classes)).tolist()
    small = [f"{name} ({count})" for name, count in zip(data.classes, counts, strict=True) if count < per_class]
    if small:
        raise ValueError(f"per_class={per_class}: {data.name} ({data.split}) has fewer images of {listed(small)}")
    order = torch.randperm(len(data), generator=keyed_generator(seed, SUBSET))
    order = order[data.labels[order].argsort(stable=True)]  # class by class, random inside each
    first = torch.tensor([0, *counts[:-1]]).cumsum(0)
    return order[first[:, None] + torch.arange(per_class)].flatten().sort().values


def as_indices(indices, count: int) -> Tensor:
    """Whole numbers in [0, count), none of them twice, as int64."""
    chosen = torch.as_tensor(indices)
    whole = chosen.ndim == 1 and len(chosen) > 0 and not chosen.is_floating_point() and chosen.dtype != torch.bool
    if not whole or chosen.min() < 0 or chosen.max() >= count or len(chosen.unique()) < len(chosen):
        raise ValueError(f"indices must be different whole numbers from 0 to {count - 1}, got {listed(indices)}")
    return chosen.long()
