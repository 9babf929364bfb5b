"""Which part of a data set: training, held-out validation, test."""
import torch
from torch import Tensor

from ..checks import check_count
from ..sampling import keyed_generator

SPLITS = ("train", "val", "test")
STREAM = 0x5B117  # keeps this permutation apart from everything else that is drawn


def source_split(split: str, val_size: int = 0, has_val: bool = False) -> str:
    """The files to read for ``split``: "train" also for a held-out "val", "val" itself if the set has one of its own.

    Raises:
        ValueError: an unknown split or an impossible ``val_size``.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
    check_count("val_size", val_size, 0, " (0: no image is held out)")
    if split == "val" and not val_size and not has_val:
        raise ValueError("split='val' needs val_size, how many training images are held out (e.g. val_size=5000); "
                         "give the same val_size to the training set")
    return "train" if split == "val" and val_size else split


def held_out(labels: Tensor, val_size: int) -> Tensor:
    """Which of the labels (N,) belong to the validation split: (N,) bool with ``val_size`` times True.

    Stratified: each class gives its share, rounded by largest remainder. The choice is a function of N, the labels
    and ``val_size`` alone, so that training and validation sets built apart never overlap.
    """
    n, val_size = len(labels), int(val_size)
    if not 0 < val_size < n:
        raise ValueError(f"val_size must lie between 1 and {n - 1} for {n} training images, got {val_size}")
    count = labels.bincount()
    exact = count * val_size
    quota = exact // n
    rest = (exact % n).argsort(descending=True, stable=True)[: val_size - int(quota.sum())]
    quota[rest] += 1
    order = torch.randperm(n, generator=keyed_generator(STREAM, n))
    order = order[labels[order].argsort(stable=True)]  # by class, shuffled within
    start = count.cumsum(0) - count
    rank = torch.empty(n, dtype=torch.int64)
    rank[order] = torch.arange(n) - start[labels[order]]  # rank of each image within its class
    return rank < quota[labels]
