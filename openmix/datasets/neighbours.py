"""The nearest neighbours of every image of a set, computed once and cached, and the plan of an epoch's partners."""
import contextlib
import fcntl
import io
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..checks import check_count
from ..plan import Plan, crops_and_flips
from ..sampling import PARTNER, integers, keyed_generator
from ..workdir.files import write_atomic
from .options import listed

BLOCK, PART = 2**24, 2**25  # distances at once; numbers of float64 images at once


def neighbour_table(data, k: int = 200, same_class: bool = False, device="cpu", folder=None) -> Tensor:
    """The ``k`` nearest other images of each image by the Euclidean distance of raw values: (N, k) int32.

    Distances of uint8 images are exact, others are compared to float32 precision. Equally far images come in the order
    of the set: the table, nearest first, is the same on every machine. 50,000 CIFAR images take 12 minutes of a core.

    Args:
        data: a set in memory: ``images`` (N, ...), ``labels`` (N,), ``sha256``.
        same_class: among the images of its own class alone.
        folder: of the cache, by default ``~/.cache/openmix/neighbours`` (or below ``XDG_CACHE_HOME``). A file is named
            after the hash of the data and read as plain numbers; one that does not fit is made anew.

    Raises:
        ValueError: a set that is not in memory, or with fewer than k + 1 images (same_class: of a class).
    """
    k, images = check_count("k", k, 1), getattr(data, "images", None)
    if images is None:
        raise ValueError(f"{data.name} is decoded from files, and nearest neighbours are computed in memory: set "
                         "train_dataloader.dataset.resident=True, or take another partner")
    groups = [torch.arange(len(images))]
    if same_class:
        groups = [(data.labels == c).nonzero()[:, 0] for c in range(len(data.classes))]
    few = [data.classes[c] if same_class else data.name for c, group in enumerate(groups) if 0 < len(group) <= k]
    if few:
        raise ValueError(f"k={k} neighbours need k + 1 images{' of each class' * same_class}; fewer are in "
                         f"{listed(few)}: lower k")
    path = Path(folder or cache_folder()) / f"{data.sha256}-{k}{'-class' * same_class}.npy"
    with locked(path):
        table = read(path, len(images), k)
        if table is None:
            table = torch.empty(len(images), k, dtype=torch.int32)
            for group in groups:
                table[group] = group[nearest(images[group], k, device)].int()
            write(path, table)
    return table


def nearest(images: Tensor, k: int, device="cpu") -> Tensor:
    """The ``k`` nearest others among N images (N, ...): (N, k) int64 on the CPU, ties by the smaller index."""
    images = images.to(device).flatten(1)
    n, rows = len(images), []
    parts = images.split(max(1, PART // images.shape[1]))
    squares = torch.cat([part.double().square().sum(1) for part in parts])
    own = torch.arange(n, device=images.device)
    for block in own.split(max(1, BLOCK // n)):
        queries = images[block].double()
        products = torch.cat([queries @ part.double().T for part in parts], 1)
        distances = (squares[block, None] + squares - 2 * products).clamp(min=0)
        if images.is_floating_point():
            distances = distances.float().view(torch.int32)  # floats of one sign are ordered as their bits
        ranks = distances.long() * n + own
        ranks[own[:len(block)], block] = torch.iinfo(torch.int64).max  # not the image itself
        rows.append((ranks.topk(k, 1, largest=False).values % n).cpu())
    return torch.cat(rows)


def partners(table: Tensor, plan: Plan, seed: int, epoch: int, shifts: int, flip: float) -> dict:
    """Columns of the images that are mixed in: for each of ``plan.index`` (S, B) a random one of its neighbours.

    They have crops and flips of their own, by draws that shift no others.
    """
    generator = keyed_generator(seed, epoch, PARTNER)
    index = table[plan.index, integers(table.shape[1], plan.index.shape, generator)].long()
    return dict(index=index, **crops_and_flips(index.shape, shifts, flip, generator))


# -- the cache ---------------------------------------------------------------------------------------------------------

def cache_folder() -> Path:
    """Where tables are cached: ``XDG_CACHE_HOME`` or ``~/.cache``, and below it ``openmix/neighbours``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openmix" / "neighbours"


@contextlib.contextmanager
def locked(path: Path):
    """One process at a time computes the neighbours, the others wait and read. Without a writable folder, all do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path.with_suffix(".lock"), "a")
    except OSError:
        yield
        return
    with file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read(path: Path, n: int, k: int) -> Tensor | None:
    """The table of a file, None where there is none or no table of ``n`` images and ``k`` neighbours."""
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = isinstance(table, np.ndarray) and table.dtype == np.int32 and table.shape == (n, k)
    return torch.from_numpy(table) if fits and 0 <= table.min() and table.max() < n else None


def write(path: Path, table: Tensor) -> None:
    content = io.BytesIO()
    np.save(content, table.numpy(), allow_pickle=False)
    try:
        write_atomic(path, content.getbuffer(), durable=False)
    except OSError as error:
        warnings.warn(f"the nearest neighbours are not cached and will be computed anew: {error}", stacklevel=3)
