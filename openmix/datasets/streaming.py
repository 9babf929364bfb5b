"""Batches of a folder of images that does not fit into memory: worker processes decode, the device augments."""
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ..mixups.base import MixMethod, Vanilla
from ..plan import check_batch, epoch_plan, row, slice_plan, upload
from ..sampling import crop_keys
from .augment import check_padding, crop_flip, mirror, normalise, per_channel
from .folder import ImageFolderData
from .loader import ResidentLoader
from .workers import Reader, ahead, checked, default_workers, start_workers

RATIO = (3 / 4, 4 / 3)  # width / height of random resized crops


def make_loader(data, **settings):
    """The loader of a set: a :class:`StreamingLoader` if the set says ``resident = False``, otherwise a resident one.

    Settings that concern decoding (``num_workers``) have no meaning for a resident set and may be there all the same:
    whether ``resident="auto"`` streams depends on the computer.
    """
    if not getattr(data, "resident", True):
        return StreamingLoader(data, **settings)
    settings = {k: v for k, v in settings.items() if k != "num_workers" and not (k == "scale" and v is None)}
    return ResidentLoader(data, **settings)


class StreamingLoader:
    """Augmented, normalised batches decoded from files while the device works on earlier ones.

    It has the protocol of :class:`openmix.datasets.ResidentLoader`, and for equal settings its batches bit by bit.
    Workers send uint8 images of the final size; flips, padded crops and normalisation are done in batches on the
    device. Order and crops are a function of (seed, epoch) alone: neither the number of workers nor that of processes
    changes them, and an epoch can be entered at any step. Each process decodes its own share only.

    Args:
        data: a set with ``paths``, ``labels`` (N,), ``size``, ``resize``, ``interpolation`` and ``draft``.
        total_batch, batch_size, mode, flip, mean, std, device, dtype, seed, rank, world, train, method: as for
            :class:`openmix.datasets.ResidentLoader`; ``batch_size`` is 100 on CPU, 250 elsewhere by default.
        padding: border of the random crop of images that were resized and cropped at their centre; 4 by default.
        scale: instead, crop a share of the image's area within this range and resize it, e.g. ``(0.08, 1)``.
        ratio: range of width / height of such crops.
        num_workers: processes that decode; 0: this process does. By default one for each core that this process and
            its neighbours share, 8 at most.

    Raises:
        ValueError: a set smaller than one batch, an indivisible process count, an impossible augmentation; while
            iterating: a file that cannot be read, by name.
    """

    def __init__(self, data: ImageFolderData, total_batch: int = 100, *, batch_size: int | None = None,
                 padding: int | None = None, mode: str = "reflect", flip: float = 0.5, scale=None, ratio=RATIO,
                 num_workers: int | None = None, mean=None, std=None, device="cpu", dtype=torch.float32, seed: int = 0,
                 rank: int = 0, world: int = 1, train: bool = True, method: MixMethod | None = None):
        self.data, self.total_batch, self.seed, self.train = data, total_batch, seed, train
        self.mode, self.flip, self.dtype, self.rank, self.world = mode, flip, dtype, rank, world
        self.method, self.device = Vanilla() if method is None else method, torch.device(device)
        self.size, self.scale, self.ratio = (data.size, data.size), scale, ratio
        self.padding = padding if padding is not None else 4 if scale is None else 0
        self.batch_size = (100 if self.device.type == "cpu" else 250) if batch_size is None else batch_size
        self.num_workers = default_workers() if num_workers is None else num_workers
        if self.batch_size < 1 or not 0 <= flip <= 1 or self.num_workers < 0:
            raise ValueError(f"batch_size must be positive, flip in [0, 1] and num_workers at least 0, got "
                             f"{batch_size!r}, {flip!r} and {num_workers!r}")
        if not 0 <= rank < world:
            raise ValueError(f"rank must lie in [0, world), got rank {rank} of {world}")
        if train:
            check_batch(len(data), total_batch, world)
            check_padding(self.padding, mode, self.size)
            check_resized_crop(scale, ratio, self.padding)
        self.mean = per_channel(data.mean if mean is None else mean, "mean", self.device)
        self.std = per_channel(data.std if std is None else std, "std", self.device)
        self.first, self.last = (0, len(data)) if train else (len(data) * r // world for r in (rank, rank + 1))
        self.workers, self.begun = None, 0

    def __len__(self) -> int:
        """Batches of an epoch for this process."""
        if self.train:
            return len(self.data) // self.total_batch
        return -(-(self.last - self.first) // self.batch_size)

    def __iter__(self) -> Iterator:
        return self.batches()

    def plan(self, epoch: int) -> dict:
        """This process's slice of the epoch plan, on the host; see :func:`openmix.plan.epoch_plan`.

        It has ``labels`` (S, B) too and, for crops that are resized, their keys ``crop_key`` (S, B) int64.
        """
        plan = epoch_plan(self.seed, epoch, len(self.data), self.total_batch, self.method, self.size, self.padding,
                          self.flip)
        plan["labels"] = self.data.labels[plan["index"]]
        if self.scale is not None:
            plan["crop_key"] = crop_keys(self.seed, epoch, plan["index"].shape)
        return slice_plan(plan, self.rank, self.world)

    def rows(self, epoch: int = 0, start: int = 0, columns: dict | None = None) -> Iterator[dict]:
        """Training steps of an epoch from step ``start`` on: a row of the plan, and ``images`` uint8 (B, 3, H, W).

        Args:
            columns: further tensors (steps, ...) that travel with the plan, such as learning rates.

        Yields:
            dict on the device with what :meth:`batch` reads, ``mix``, ``seed`` (a number) and the columns.
        """
        plan = self.plan(epoch)
        index, key = plan.pop("index"), plan.pop("crop_key", None)
        tasks = (([self.data.paths[k] for k in index[i].tolist()], None if key is None else key[i].tolist())
                 for i in range(start, len(self)))
        plan = upload({**plan, **(columns or {})}, self.device)
        for i, images in enumerate(self.decoded(tasks), start):
            yield {**row(plan, i), "images": images}

    def batch(self, step: dict) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) and labels (B,) of a row; reads nothing back to the host."""
        if self.padding:
            images = crop_flip(step["images"], step["crop"], step["flip"], self.padding, self.mode)
        else:
            images = mirror(step["images"], step["flip"])
        return normalise(images, self.mean, self.std, self.dtype), step["labels"]

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
            cuts = range(self.first + start * self.batch_size, self.last, self.batch_size)
            parts = [slice(first, min(first + self.batch_size, self.last)) for first in cuts]
            labels = self.data.labels.to(self.device)
            images = self.decoded((self.data.paths[part], None) for part in parts)
            for part, found in zip(parts, images, strict=True):
                yield normalise(found, self.mean, self.std, self.dtype), labels[part]

    def describe(self) -> dict:
        """What a result records: the data's name, hash and sizes, and how batches are made of it."""
        made = dict(total_batch=self.total_batch, padding=self.padding, mode=self.mode, flip=self.flip)
        if self.scale is not None:
            made.update(scale=list(self.scale), ratio=list(self.ratio))
        return {**self.data.describe(), **(made if self.train else {})}

    # -- decoding ----------------------------------------------------------------------------------------------

    def decoded(self, tasks: Iterable) -> Iterator[Tensor]:
        """uint8 images (B, 3, H, W) on the device, one batch for each (paths, keys of crops or None)."""
        if self.workers is None:
            self.workers = start_workers(Reader(self.data, self.scale, self.ratio), self.num_workers, self.device)
        self.begun += 1
        mine = self.begun
        self.workers.sampler.tasks = tasks
        for images in ahead(checked(self.workers), self.device):
            if mine != self.begun:
                raise RuntimeError("another epoch of this loader has begun: its workers serve one iterator at a time")
            yield images


def check_resized_crop(scale, ratio, padding: int) -> None:
    """Raise ValueError unless ``scale`` is None or a range of shares, and ``ratio`` a range of aspects."""
    if scale is None:
        if tuple(ratio) != RATIO:
            raise ValueError("ratio belongs to crops that are resized: give scale too, e.g. scale=(0.08, 1)")
        return
    if padding:
        raise ValueError(f"padding={padding} and scale={scale!r} are two ways to crop: leave one of them out")
    for name, found, most in (("scale", scale, 1), ("ratio", ratio, float("inf"))):
        numbers = isinstance(found, (list, tuple)) and all(isinstance(v, (int, float)) for v in found)
        if not numbers or len(found) != 2 or not 0 < found[0] <= found[1] <= most:
            raise ValueError(f"{name} must be (lowest, highest) with 0 < lowest <= highest"
                             f"{' <= 1' if most == 1 else ''}, got {found!r}")
