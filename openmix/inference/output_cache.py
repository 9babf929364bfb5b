"""Logits of a frozen network that earlier runs have computed, in a file of SQLite."""
import contextlib
import hashlib
import sqlite3
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import InputError

WAIT = 60  # seconds for another process that writes


class OutputCache:
    """Batches and their logits, stored as they come; several processes may share a folder.

    A batch is known by the SHA-256 of its images, and the file is named by that of the network. So only a batch that
    is equal bit by bit is read, and its logits are those that would be computed: augmentation and mixing need not be
    known. Runs of one seed see the same batches, whatever their loss; those of other seeds do not.

    An image takes 4 bytes a class in each epoch. The folder may be deleted at any time.

    Args:
        folder: where the files are.
    """

    def __init__(self, folder):
        self.folder, self.path = Path(folder), None

    @torch.no_grad()
    def read(self, images: Tensor, teacher: nn.Module) -> Tensor:
        """``teacher(images)`` as float32 (N, classes), from the file if this batch is in it.

        Args:
            images: (N, C, H, W) on the CPU. teacher: the one of all calls, a :class:`~openmix.inference.Teacher`.

        Raises:
            ValueError: images on another device. OSError: the file cannot be read or written.
        """
        if images.device.type != "cpu":
            raise InputError(f"teacher.cache is for training on CPUs, and the images are on {images.device}, where "
                             "it would wait for the device at each step; leave it out")
        if self.path is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path = self.folder / f"{fingerprint(teacher)}.sqlite"
        key = batch_key(images)
        with self.open() as file:
            file.execute("CREATE TABLE IF NOT EXISTS outputs (batch BLOB PRIMARY KEY, logits BLOB)")
            row = file.execute("SELECT logits FROM outputs WHERE batch = ?", (key,)).fetchone()
        if row is not None:
            return torch.frombuffer(bytearray(row[0]), dtype=torch.float32).view(len(images), -1)
        logits = teacher(images).float().contiguous()
        with self.open() as file:
            file.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?)", (key, logits.numpy().tobytes()))
        return logits

    @contextlib.contextmanager
    def open(self):
        """A connection for one transaction; none is held, so that teachers can be copied and processes forked."""
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=WAIT)) as file, file:
                file.execute("PRAGMA synchronous=OFF")  # a killed process loses nothing, a power failure the file
                yield file
        except sqlite3.Error as error:
            raise OSError(f"teacher.cache: {self.path} cannot be read or written ({error}); delete it, or leave "
                          "teacher.cache out") from error


def fingerprint(teacher: nn.Module) -> str:
    """A hash of the network, and of all else that its logits depend on to the last bit."""
    kernels = (torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
    digest = hashlib.sha256(repr((str(teacher.net), teacher.size, *kernels)).encode())
    for name, value in [*teacher.net.state_dict().items(), ("scale", teacher.scale), ("shift", teacher.shift)]:
        digest.update(name.encode())
        if value is not None:
            digest.update(repr((value.dtype, value.shape, value.stride())).encode())
            digest.update(as_bytes(value))
    return digest.hexdigest()[:32]


def batch_key(images: Tensor) -> bytes:
    """The hash of a batch: values, layout, and the precision of the pass."""
    precision = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
    digest = hashlib.sha256(repr((images.dtype, images.shape, images.stride(), precision)).encode())
    digest.update(as_bytes(images))
    return digest.digest()


def as_bytes(values: Tensor):
    """The values of a tensor, as something to hash."""
    return values.detach().contiguous().view(-1).view(torch.uint8).numpy()
