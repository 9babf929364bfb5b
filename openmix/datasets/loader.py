"""Batches of a data set that lives on the device as uint8: an epoch costs one small upload and no workers."""
from collections.abc import Iterator

import torch
from torch import Tensor

from ..mixups.base import MixMethod, Vanilla
from ..plan import check_batch, epoch_plan, row, slice_plan, upload
from .arrays import ArrayData
from .augment import check_padding, crop_flip, normalise, per_channel


class ResidentLoader:
    """Augmented, normalised batches from images resident on ``device``.

    Training follows the epoch plan: order, crops, flips and the draws of ``method`` are a function of (seed, epoch)
    alone, so an epoch can be entered at any step, and each of ``world`` processes takes its slice of the same global
    batches. Evaluation hands each process its contiguous share: every image once, whatever the number of processes.

    Args:
        data: the set; images uint8 (N, 3, H, W).
        total_batch: images of one step over all processes (training). An incomplete last batch is dropped; which
            images that are changes from epoch to epoch.
        batch_size: images of one evaluation batch of one process; 100 on CPU, 1000 elsewhere by default.
        padding, mode, flip: random crop with this border (``"reflect"`` or ``"zeros"``) and chance of mirroring.
        mean, std: per channel, of pixels in [0, 1]; those of ``data`` by default.
        dtype: of the images handed out.
        rank, world: this process and how many there are; ``world`` must divide ``total_batch``.
        train: training or evaluation batches.
        method: mixing method whose draws belong to the plan; none by default.

    Raises:
        ValueError: a set smaller than one batch, an indivisible process count, an impossible augmentation.
    """

    def __init__(self, data: ArrayData, total_batch: int = 100, *, batch_size: int | None = None, padding: int = 4,
                 mode: str = "reflect", flip: float = 0.5, mean=None, std=None, device="cpu", dtype=torch.float32,
                 seed: int = 0, rank: int = 0, world: int = 1, train: bool = True, method: MixMethod | None = None):
        self.data, self.total_batch, self.seed, self.train = data, total_batch, seed, train
        self.padding, self.mode, self.flip, self.dtype = padding, mode, flip, dtype
        self.rank, self.world, self.method = rank, world, Vanilla() if method is None else method
        self.device, self.size = torch.device(device), tuple(data.images.shape[2:])
        self.batch_size = (100 if self.device.type == "cpu" else 1000) if batch_size is None else batch_size
        if self.batch_size < 1 or not 0 <= flip <= 1:
            raise ValueError(f"batch_size must be positive and flip in [0, 1], got {batch_size!r} and {flip!r}")
        if not 0 <= rank < world:
            raise ValueError(f"rank must lie in [0, world), got rank {rank} of {world}")
        if train:
            check_batch(len(data), total_batch, world)
            check_padding(padding, mode, self.size)
        self.mean = per_channel(data.mean if mean is None else mean, "mean", self.device)
        self.std = per_channel(data.std if std is None else std, "std", self.device)
        self.first, self.last = (0, len(data)) if train else (len(data) * r // world for r in (rank, rank + 1))
        self.images = data.images[self.first:self.last].to(self.device)
        self.labels = data.labels[self.first:self.last].to(self.device)

    def __len__(self) -> int:
        """Batches of an epoch for this process."""
        return len(self.data) // self.total_batch if self.train else -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator:
        return self.batches()

    def plan(self, epoch: int) -> dict:
        """This process's slice of the epoch plan, on the host; see :func:`openmix.plan.epoch_plan`."""
        plan = epoch_plan(self.seed, epoch, len(self.data), self.total_batch, self.method, self.size, self.padding,
                          self.flip)
        return slice_plan(plan, self.rank, self.world)

    def rows(self, epoch: int = 0, start: int = 0, columns: dict | None = None) -> Iterator[dict]:
        """Training steps of an epoch from step ``start`` on, as rows of its plan on the device.

        Args:
            columns: further tensors (steps, ...) that travel with the plan, such as learning rates.

        Yields:
            dict with what :meth:`batch` reads, ``mix`` (draws of the mixing method), ``seed`` (a number) and the
            columns. On a GPU, ``bytes`` is the memory that all of them lie in.
        """
        plan = upload({**self.plan(epoch), **(columns or {})}, self.device)
        for i in range(start, len(self)):
            yield row(plan, i)

    def batch(self, step: dict) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) and labels (B,) of one row of the plan; reads nothing back to the host."""
        images = self.images.index_select(0, step["index"])
        images = crop_flip(images, step["crop"], step["flip"], self.padding, self.mode)
        return normalise(images, self.mean, self.std, self.dtype), self.labels.index_select(0, step["index"])

    def batches(self, epoch: int = 0, start: int = 0) -> Iterator:
        """The batches from step ``start`` on.

        Yields:
            training: (images, labels, draws of the mixing method, seed of the step); evaluation: (images, labels),
            the last batch as small as it comes.
        """
        if self.train:
            for step in self.rows(epoch, start):
                yield *self.batch(step), step["mix"], step["seed"]
        else:
            for first in range(start * self.batch_size, len(self.labels), self.batch_size):
                part = slice(first, first + self.batch_size)
                yield normalise(self.images[part], self.mean, self.std, self.dtype), self.labels[part]

    def describe(self) -> dict:
        """What a result records: the data's name, SHA-256 and sizes, and how batches are made of it."""
        made = dict(total_batch=self.total_batch, padding=self.padding, mode=self.mode, flip=self.flip)
        return {**self.data.describe(), **(made if self.train else {})}
