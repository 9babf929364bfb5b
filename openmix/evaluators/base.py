"""The protocol of an evaluator, and the sums that evaluators share."""
import torch
import torch.distributed as dist
from torch import Tensor, nn


class Evaluator:
    """One measurement of one network on one data set; :func:`openmix.engine.eval_loop.evaluate` drives it.

    The loop makes one object a network and calls, all under ``torch.no_grad()``::

        begin(loader)
        for index in range(passes):
            begin_pass(index)
            for images, labels in loader:
                images = transform(images, labels)       # once for all networks
                logits = net(perturb(net, images, labels))
                update(logits, labels)
        compute()

    A subclass defines ``main``, :meth:`update` and :meth:`compute`. It keeps its sums on the device of the logits and
    lets the host read them in :meth:`compute` alone. Randomness comes from a generator of its own.

    Attributes:
        main: name of the value that is shown where there is room for one.
        lower_is_better: whether a lower main value is the better one.
        passes: how often the data set is gone through.
    """

    main: str
    lower_is_better = False
    passes = 1

    def check_classes(self, classes: int) -> None:
        """Raise ValueError where the measurement has no meaning for so many classes."""

    def begin(self, loader) -> None:
        """Before the first pass. ``loader`` has ``data`` (with ``classes``), ``mean``, ``std``, ``size`` (H, W)."""

    def begin_pass(self, index: int) -> None:
        """Before pass ``index``, counted from 0."""

    def transform(self, images: Tensor, labels: Tensor) -> Tensor:
        """The input of all networks instead of the normalised ``images`` (N, C, H, W), such as corrupted ones."""
        return images

    def perturb(self, net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """What this network sees; by default ``images``. It may use ``torch.enable_grad()`` and ``autograd.grad``."""
        return images

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Take in a batch: logits (N, C), class indices (N,). Rows of a negative label are padding and left out."""
        raise NotImplementedError(f"{type(self).__name__} must define update()")

    def compute(self) -> dict:
        """{name: number, or a list of them}, over all processes; each of them must call it.

        Raises:
            ValueError: there was no image.
        """
        raise NotImplementedError(f"{type(self).__name__} must define compute()")


def check_batch(logits: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless these are logits (N, C) and labels (N,)."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"expected logits (N, C) and labels (N,), got {[*logits.shape]} and {[*labels.shape]}")


def summed(sums: Tensor | None) -> Tensor:
    """The sum over all processes of a tensor of sums, flat, in float64 and on the host; every process must call it.

    ``sums`` is None in a process that got no batch.

    Raises:
        ValueError: no process got one.
    """
    flat = torch.zeros(0) if sums is None else sums.flatten()
    if dist.is_available() and dist.is_initialized():
        flat = flat.to("cuda" if dist.get_backend() == "nccl" else "cpu")
        size = torch.tensor(flat.numel(), device=flat.device)
        dist.all_reduce(size, dist.ReduceOp.MAX)
        flat = torch.cat([flat.double(), flat.new_zeros(size.item() - flat.numel(), dtype=torch.float64)])
        dist.all_reduce(flat)
    if not flat.numel():
        refuse_empty(0)
    return flat.double().cpu()


def refuse_empty(count: float) -> int:
    """``count`` of images as an int. Raises ValueError if it is 0."""
    if not count:
        raise ValueError("no image was evaluated; is the data set empty?")
    return int(count)


def add(sums: Tensor | None, new: Tensor) -> Tensor:
    """``sums + new``, in place; a copy of ``new`` at the first batch."""
    return new if sums is None else sums.add_(new.to(sums.device))


def in_single(logits: Tensor) -> Tensor:
    """Logits in float32 at least: autocast may give them in half of it."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
