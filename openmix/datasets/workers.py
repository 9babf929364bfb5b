"""Processes that decode images for a streaming loader, and the way of their batches to the device."""
import atexit
import os
import signal
import weakref
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import InputError
from ..sampling import resized_crops
from .decode import centre, random_crop
from .folder import ImageFolderData, unreadable

AHEAD = 2  # batches that each worker has ready
GRACE = 60  # seconds that a worker serves on after SIGTERM: a scheduler sends it to all processes of a run


class Tasks:
    """What the workers are to do next, in order; set anew for each epoch."""

    tasks: Iterable = ()

    def __iter__(self) -> Iterator:
        return iter(self.tasks)


class Reader(Dataset):
    """The part that runs in a worker: a batch of files to uint8 (B, 3, H, W), or the message about a damaged one."""

    def __init__(self, data: ImageFolderData, scale, ratio):
        self.view = dict(size=data.size, interpolation=data.interpolation, draft=data.draft)
        self.resize, self.scale, self.ratio = data.resize, scale, ratio

    def __getitem__(self, task) -> Tensor | str:
        paths, key = task
        images = torch.empty(len(paths), 3, self.view["size"], self.view["size"], dtype=torch.uint8)
        crops = [None] * len(paths)
        if key is not None:
            crops = resized_crops(torch.tensor(key), self.scale, self.ratio).tolist()
        for image, path, crop in zip(images, paths, crops, strict=True):
            try:
                view = centre(path, resize=self.resize, **self.view) if crop is None else \
                    random_crop(path, crop, self.ratio, **self.view)
            except Exception as error:  # decoders raise all sorts of things on damaged files
                return unreadable(path, error)
            image.copy_(view)
        return images


def default_workers() -> int:
    """One for each core that this process may use, shared with the other processes of a run here, 8 at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))


def start_workers(reader: Reader, count: int, device: torch.device, owner) -> DataLoader:
    """A DataLoader whose workers stay from epoch to epoch, as long as ``owner``; it draws from no global generator."""
    if count:
        import torchvision.io  # noqa: F401  (once here instead of in each worker)
    options = dict(persistent_workers=True, prefetch_factor=AHEAD, worker_init_fn=begin_worker) if count else {}
    workers = DataLoader(reader, batch_size=None, sampler=Tasks(), num_workers=count, generator=torch.Generator(),
                         pin_memory=device.type == "cuda", **options)
    if count:
        iter(workers)  # nothing to do yet, but the processes start, and torch registers its exit handler
        # An owner in a cycle, as in a run: torch would close the queues first, then wait 10 s for each worker. At the
        # end of Python multiprocessing would wait, too; the handler registered last runs first.
        atexit.register(weakref.finalize(owner, stop_workers, workers, os.getpid()))
    return workers


def begin_worker(_: int) -> None:
    """Signals to a whole group are for the main process, which stops its workers; if it is killed, they go at once."""
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))
    if hasattr(torch.multiprocessing, "_prctl_pr_set_pdeathsig"):
        torch.multiprocessing._prctl_pr_set_pdeathsig(signal.SIGKILL)


def stop_workers(workers: DataLoader, parent: int | None = None) -> None:
    """End the processes now, unless this process is a fork of ``parent``, whose workers they are."""
    if workers._iterator is not None and parent in (None, os.getpid()):
        workers._iterator._shutdown_workers()


def checked(workers: DataLoader) -> Iterator[Tensor]:
    """What the workers send. Raises ValueError for a file that cannot be read, RuntimeError for a worker that died."""
    try:
        for batch in workers:
            if isinstance(batch, str):
                raise InputError(batch)
            yield batch
    except (RuntimeError, OSError, EOFError) as error:  # the last two: the pipe to a worker broke
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        stop_workers(workers)
        raise RuntimeError(f"a process that decodes images has died ({error}); it may have lacked memory, or shared "
                           "memory (/dev/shm): lower train_dataloader.num_workers, or set it to 0") from error


def ahead(batches: Iterator[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Host tensors on their device; on a GPU the next one is uploaded on a stream of its own while this one is used."""
    if device.type != "cuda":
        yield from batches
        return
    side, waiting = torch.cuda.Stream(device), None
    for batch in batches:
        with torch.cuda.stream(side):
            uploaded, ready = batch.to(device, non_blocking=True), side.record_event()
        if waiting is not None:
            yield taken(*waiting)
        waiting = uploaded, ready
    if waiting is not None:
        yield taken(*waiting)


def taken(batch: Tensor, ready) -> Tensor:
    """A tensor of the side stream, for use by the current stream from ``ready`` on."""
    stream = torch.cuda.current_stream(batch.device)
    stream.wait_event(ready)
    batch.record_stream(stream)
    return batch
