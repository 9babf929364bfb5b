"""Batches of a folder of images that does not fit into memory: worker processes decode, the device augments."""
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from torch import Tensor

from ..plan import Plan, PlanRow
from ..sampling import crop_keys
from .folder import ImageFolderData
from .loader import Loader, ResidentLoader
from .workers import Reader, ahead, checked, default_workers, start_workers, stop_workers

RATIO = (3 / 4, 4 / 3)  # width / height of random resized crops
PLAIN, DEFAULTS = MappingProxyType(dict(padding=0, flip=0.0)), MappingProxyType({})


def make_loader(data, *, augment: Mapping | None = DEFAULTS, **settings) -> Loader:
    """The loader of a set: a :class:`StreamingLoader` if the set has ``resident = False``, otherwise a resident one.

    Settings that concern decoding (``num_workers``) have no meaning for a resident set and may be there all the same:
    whether ``resident="auto"`` streams depends on the computer.

    Args:
        augment: settings of the augmentation, None for none.
    """
    settings = {**settings, **(PLAIN if augment is None else augment)}
    if not getattr(data, "resident", True):
        return StreamingLoader(data, **settings)
    settings = {k: v for k, v in settings.items() if k != "num_workers" and not (k == "scale" and v is None)}
    return ResidentLoader(data, **settings)


class StreamingLoader(Loader):
    """Batches decoded from files while the device works on earlier ones: for equal settings those of a resident set.

    Workers send uint8 images of the final size; flips, padded crops and normalisation are done in batches on the
    device. Neither the number of workers nor that of processes changes order and crops. Each process decodes its own
    share only.

    Args:
        data: a set with ``paths``, ``labels`` (N,), ``size``, ``resize``, ``interpolation`` and ``draft``.
        settings: those of :class:`Loader`; ``padding`` is for images that were resized and cropped at their centre.
        scale: instead, crop a share of the image's area within this range and resize it, e.g. ``(0.08, 1)``.
        ratio: range of width / height of such crops.
        num_workers: processes that decode; 0: this process does. By default one for each core that this process and
            its neighbours share, 8 at most.

    Raises:
        ValueError: as :class:`Loader`; while iterating: a file that cannot be read, by name.
    """

    gpu_batch = 250

    def __init__(self, data: ImageFolderData, total_batch: int = 100, *, padding: int | None = None, scale=None,
                 ratio=RATIO, num_workers: int | None = None, **settings):
        padding = 0 if padding is None and scale is not None else padding
        super().__init__(data, total_batch, padding=padding, **settings)
        if self.train:
            check_resized_crop(scale, ratio, self.padding)
            if scale is not None and self.spare:
                raise ValueError(f"crop={self.crop} and scale={scale!r} are two ways to crop: leave one of them out")
        self.scale, self.ratio = scale, ratio
        self.num_workers = default_workers() if num_workers is None else num_workers
        if self.num_workers < 0:
            raise ValueError(f"num_workers must be at least 0, got {num_workers!r}")
        self.workers, self.begun = None, 0

    def whole_plan(self, epoch: int) -> Plan:
        """With ``labels`` (S, B) and, for crops that are resized, their keys ``crop_key`` (S, B) int64."""
        plan = super().whole_plan(epoch)
        key = None if self.scale is None else crop_keys(self.seed, epoch, plan.index.shape)
        return plan._replace(labels=self.data.labels[plan.index], crop_key=key)

    def sources(self, plan: Plan, start: int) -> Iterator[PlanRow]:
        index, key, paths = plan.index, plan.crop_key, self.data.paths
        tasks = (([paths[k] for k in index[i].tolist()], None if key is None else key[i].tolist())
                 for i in range(start, len(self)))
        plan = plan._replace(index=None, crop_key=None).upload(self.device)
        for i, images in enumerate(self.decoded(tasks), start):
            yield plan.row(i)._replace(images=images)

    def fetch(self, row: PlanRow) -> tuple[Tensor, Tensor]:
        return row.images, row.labels

    def shares(self, parts: list[slice]) -> Iterator[tuple[Tensor, Tensor]]:
        labels, paths = self.data.labels.to(self.device), self.data.paths
        images = self.decoded((paths[part], None) for part in parts)
        for part, decoded in zip(parts, images, strict=True):
            yield decoded, labels[part]

    def describe(self) -> dict:
        crops = {} if self.scale is None or not self.train else dict(scale=list(self.scale), ratio=list(self.ratio))
        return {**super().describe(), **crops}

    def close(self) -> None:
        """End the processes that decode; the next epoch would start them again."""
        if self.workers is not None:
            stop_workers(self.workers)
            self.workers = None

    def decoded(self, tasks: Iterable) -> Iterator[Tensor]:
        """uint8 images (B, 3, H, W) on the device, one batch for each (paths, keys of crops or None).

        ``tasks`` must not refer to this loader: the workers hold them, and go with the loader.
        """
        if self.workers is None:
            self.workers = start_workers(Reader(self.data, self.scale, self.ratio), self.num_workers, self.device, self)
        self.begun += 1
        epoch = self.begun
        self.workers.sampler.tasks = tasks
        for images in ahead(checked(self.workers), self.device):
            if epoch != self.begun:
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
    for name, span, most in (("scale", scale, 1), ("ratio", ratio, float("inf"))):
        numbers = isinstance(span, (list, tuple)) and all(isinstance(v, (int, float)) for v in span)
        if not numbers or len(span) != 2 or not 0 < span[0] <= span[1] <= most:
            raise ValueError(f"{name} must be (lowest, highest) with 0 < lowest <= highest"
                             f"{' <= 1' if most == 1 else ''}, got {span!r}")
