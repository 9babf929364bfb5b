"""Passes that leave a network as it is: its modes and its buffers."""
from collections.abc import Callable
from contextlib import contextmanager

from torch import Tensor, nn
from torch.func import functional_call


@contextmanager
def evaluating(net):
    """Inside, every module of ``net`` is in eval mode; afterwards each has its own mode again."""
    training = {module: module.training for module in net.modules()} if isinstance(net, nn.Module) else {}
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


@contextmanager
def keeping_buffers(*modules: nn.Module):
    """Inside, passes may change buffers such as statistics of batch norm; afterwards each has its value again."""
    before = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.data.copy_(value)  # as batch norm itself writes them: unseen by a backward pass still to come


def on_copies(net) -> Callable[[Tensor], Tensor]:
    """``net`` with copies of its buffers: a pass in training mode takes the batch's statistics and stores none.

    Unlike :func:`keeping_buffers` it writes to no buffer, as ``torch.func.grad`` and ``torch.compile`` need it.
    """
    if not isinstance(net, nn.Module):
        return net
    return lambda images: functional_call(net, {name: b.clone() for name, b in net.named_buffers()}, (images,))
