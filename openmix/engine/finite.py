"""Whether a run's state is finite. An explosion in the last update before a save shows in no loss: none comes after it.
"""
from collections import defaultdict

import torch
from torch import Tensor, nn

from .distributed.launch import unwrap


def state_tensors(model: nn.Module, optimizer: torch.optim.Optimizer, networks: dict) -> dict[str, Tensor]:
    """All that is saved or evaluated, by name: parameters, buffers, the optimizer's state and averaged networks."""
    model = unwrap(model)
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, net in networks.items():
        named |= {f"{name}.{key}": value for key, value in (*net.named_parameters(), *net.named_buffers())}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for parameter, state in optimizer.state.items():
        name = names.get(id(parameter), "?")
        named |= {f"{key} of {name}": value for key, value in state.items() if isinstance(value, Tensor)}
    return named


@torch.no_grad()
def not_finite(named: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that hold an infinity or a NaN.

    Exact, and one reading of each device: the extremes of every tensor, which a NaN passes through.
    """
    devices = defaultdict(list)
    for name, tensor in named.items():
        if tensor.is_floating_point() and tensor.numel():
            devices[tensor.device].append(name)
    wrong = []
    for names in devices.values():
        extremes = torch.stack([value for name in names for value in named[name].aminmax()])
        fine = extremes.isfinite().view(-1, 2).all(1).tolist()
        wrong += [name for name, finite in zip(names, fine, strict=True) if not finite]
    return wrong
