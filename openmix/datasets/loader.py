"""Batches of a data set: augmented, normalised and mixed on the device, in the order of the epoch plan."""
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..checks import is_whole, number
from ..plan import Plan, PlanRow, check_batch, epoch_plan, no_draws
from .arrays import ArrayData
from .augment import centre, check_padding, crop_flip, mirror, normalise, per_channel, standardise
from .neighbours import neighbour_table, partners
from .options import statistics


class Loader:
    """The part of a loader that does not depend on where its images come from.

    Training follows the epoch plan: order, crops, flips and the draws of the mixing method are a function of
    (seed, epoch) alone, so an epoch can be entered at any step, and each of ``world`` processes takes its slice of the
    same global batches. Evaluation gives each process its contiguous share: every image once, whatever the number of
    processes.

    A subclass is a source of images: ``sources`` (training rows with what :meth:`fetch` reads), :meth:`fetch` (raw
    images and labels of a row) and ``shares`` (raw images and labels of evaluation).

    Args:
        data: the set; uint8 or float (N, C, H, W), or float vectors (N, D).
        total_batch: images of one step over all processes (training). An incomplete last batch is dropped; which
            images that are changes from epoch to epoch.
        batch_size: images of one evaluation batch of one process; by default 100 on a CPU, more elsewhere.
        padding, mode, flip: random crop with this border (``"reflect"`` or ``"zeros"``) and chance of mirroring. By
            default uint8 images have 4 and 0.5, float data are not augmented.
        noise: standard deviation of Gaussian noise on training values, in units of the data before normalisation: for
            uint8 images of pixels in [0, 1]; for sets that standardise each example, after that. The default
            generator of the device draws it, which a training step has seeded.
        crop: side of the images that are handed out: random crops in training, the centre in evaluation. By default
            they are as large as those of ``data``.
        mean, std: per channel, or one number for all; for uint8 of pixels in [0, 1]. Those of ``data`` by default;
            if it has none either, values are not normalised.
        dtype: of the images handed out.
        rank, world: this process and how many there are; ``world`` must divide ``total_batch``.
        train: training or evaluation batches.
        draw: draws of the mixing method for the plan, as ``MixMethod.draw``; none by default.
        neighbours: ``MixMethod.neighbours``: hand over such a neighbour of each training image to mix it with.

    Raises:
        ValueError: a set smaller than one batch, an indivisible process count, an impossible augmentation.
    """

    gpu_batch = 1000  # default batch_size on a GPU

    def __init__(self, data: ArrayData, total_batch: int = 100, *, batch_size: int | None = None,
                 padding: int | None = None, mode: str = "reflect", flip: float | None = None, noise: float = 0.0,
                 crop: int | None = None, mean=None, std=None, device="cpu", dtype=torch.float32, seed: int = 0,
                 rank: int = 0, world: int = 1, train: bool = True, draw: Callable | None = None,
                 neighbours: dict | None = None, method=None):
        self.data, self.total_batch, self.seed, self.train = data, total_batch, seed, train
        self.device, self.dtype, self.rank, self.world = torch.device(device), dtype, rank, world
        if method is not None:
            warnings.warn("method= is now draw=method.draw", DeprecationWarning, stacklevel=3)
            draw = method.draw
        self.draw = no_draws if draw is None else draw
        self.crop, plain = check_crop(crop, data), not data.is_bytes
        self.shape = tuple(data.shape) if crop is None else (data.shape[0], crop, crop)
        self.size = self.shape[1:]
        self.spare = data.shape[-1] - self.shape[-1]  # pixels around a crop
        self.padding = (0 if plain else 4) if padding is None else padding
        self.mode, self.flip = mode, (0.0 if plain else 0.5) if flip is None else flip
        self.batch_size = (100 if self.device.type == "cpu" else self.gpu_batch) if batch_size is None else batch_size
        if self.batch_size < 1 or not 0 <= self.flip <= 1:
            raise ValueError(f"batch_size must be positive and flip in [0, 1], got {batch_size!r} and {flip!r}")
        if not 0 <= rank < world:
            raise ValueError(f"rank must lie in [0, world), got rank {rank} of {world}")
        if train:
            check_batch(len(data), total_batch, world)
            if len(self.size) == 2:
                check_padding(self.padding, mode, self.size)
            elif self.padding or self.flip:
                raise ValueError(f"{data.name} holds vectors, which are not cropped or flipped: set "
                                 "train_dataloader.augment=None (padding=0 and flip=0)")
        self.mean = self.per_channel("mean", mean)
        self.std = self.per_channel("std", std)
        self.noise = number("noise", noise, 0)
        self.neighbours = neighbours if train else None
        self.table = None if self.neighbours is None else neighbour_table(data, device=self.device, **neighbours)
        self.first, self.last = (0, len(data)) if train else (len(data) * r // world for r in (rank, rank + 1))

    def per_channel(self, name: str, values) -> Tensor | None:
        """``values``, or the data's own, checked and on the device."""
        values = statistics(name, values, getattr(self.data, name), self.shape[0], self.data.is_bytes)
        return per_channel(values, name, self.device, self.shape)

    def __len__(self) -> int:
        """Batches of an epoch for this process."""
        if self.train:
            return len(self.data) // self.total_batch
        return -(-(self.last - self.first) // self.batch_size)

    def __iter__(self) -> Iterator:
        return self.batches()

    def plan(self, epoch: int) -> Plan:
        """This process's slice of the epoch plan, on the host; see :func:`openmix.plan.epoch_plan`."""
        return self.whole_plan(epoch).slice(self.rank, self.world)

    def whole_plan(self, epoch: int) -> Plan:
        """The plan of all processes."""
        plan = epoch_plan(self.seed, epoch, len(self.data), self.total_batch, self.draw, self.size, self.padding,
                          self.flip, self.spare)
        if self.table is None:
            return plan
        return plan._replace(partner=partners(self.table, plan, self.seed, epoch, 2 * self.padding + self.spare,
                                              self.flip))

    def rows(self, epoch: int = 0, start: int = 0, columns: dict | None = None) -> Iterator[PlanRow]:
        """Training steps of an epoch from step ``start`` on, as rows of its plan on the device.

        Args:
            columns: ``progress`` (S,) and ``lr`` (S, G) of the steps, which travel with the plan.
        """
        return self.sources(self.plan(epoch)._replace(**columns or {}), start)

    def batch(self, row: PlanRow) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) or vectors (B, D), and labels (B,), of a row; reads nothing back to the host."""
        images, labels = self.fetch(row)
        if self.padding or self.spare:
            images = crop_flip(images, row.crop, row.flip, self.padding, self.mode, self.crop)
        elif self.flip:
            images = mirror(images, row.flip)
        images = self.normalise(images)
        if self.noise:
            images += torch.randn_like(images) * (self.noise if self.std is None else self.noise / self.std)
        return images, labels

    def draws(self, row: PlanRow) -> dict:
        """The mixing method's draws of a row, with the images and labels of its partners where they are neighbours."""
        if row.partner is None:
            return row.mix
        images, labels = self.batch(PlanRow({}, **row.partner))
        return {**row.mix, "partner_images": images, "partner_labels": labels}

    def normalise(self, images: Tensor) -> Tensor:
        """Raw images as the network takes them; of those larger than a crop the centre."""
        if self.crop is not None:
            images = centre(images, self.crop)
        return normalise(standardise(images) if self.data.standardise else images, self.mean, self.std, self.dtype)

    def batches(self, epoch: int = 0, start: int = 0) -> Iterator:
        """The batches from step ``start`` on.

        Yields:
            training: (images, labels, draws of the mixing method, seed of the step); evaluation: (images, labels),
            the last batch as small as it comes.
        """
        if self.train:
            for row in self.rows(epoch, start):
                yield *self.batch(row), self.draws(row), row.seed
            return
        cuts = range(self.first + start * self.batch_size, self.last, self.batch_size)
        parts = [slice(first, min(first + self.batch_size, self.last)) for first in cuts]
        for images, labels in self.shares(parts):
            yield self.normalise(images), labels

    def statistics(self) -> dict:
        """``mean`` and ``std`` as lists, None where values are not normalised."""
        return {key: None if value is None else value.flatten().tolist()
                for key, value in (("mean", self.mean), ("std", self.std))}

    def describe(self) -> dict:
        """What a result records: the data's name, SHA-256 and sizes, and how its batches are formed."""
        facts = dict(total_batch=self.total_batch, padding=self.padding, mode=self.mode, flip=self.flip)
        facts |= dict(noise=self.noise) if self.noise else {}
        facts |= dict(neighbours=self.neighbours) if self.neighbours else {}
        facts |= {} if self.crop is None else dict(crop=self.crop)
        return {**self.data.describe(), **(facts if self.train else {})}


def check_crop(crop, data: ArrayData) -> int | None:
    """``crop``, if it is None or a side that fits into the images of ``data``, which are squares; else ValueError."""
    if crop is not None and (not is_whole(crop, 1) or len(data.shape) != 3 or len(set(data.shape[1:])) > 1 or
                             crop > data.shape[1]):
        raise ValueError(f"crop must be the side of squares inside square images, and those of {data.name} are "
                         f"{tuple(data.shape)}, got {crop!r}")
    return crop


class ResidentLoader(Loader):
    """Batches of a set that is resident on ``device``: an epoch costs one small upload and no workers."""

    def __init__(self, data: ArrayData, total_batch: int = 100, **settings):
        super().__init__(data, total_batch, **settings)
        self.images = data.images[self.first:self.last].to(self.device)
        self.labels = data.labels[self.first:self.last].to(self.device)

    def sources(self, plan: Plan, start: int) -> Iterator[PlanRow]:
        plan = plan.upload(self.device)
        return (plan.row(i) for i in range(start, len(self)))

    def fetch(self, row: PlanRow) -> tuple[Tensor, Tensor]:
        return self.images.index_select(0, row.index), self.labels.index_select(0, row.index)

    def shares(self, parts: list[slice]) -> Iterator[tuple[Tensor, Tensor]]:
        for part in parts:
            inside = slice(part.start - self.first, part.stop - self.first)
            yield self.images[inside], self.labels[inside]
