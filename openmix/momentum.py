"""Momentum teachers: parameters that follow another network's slowly."""
import math
from collections.abc import Iterable

import torch
from torch import Tensor


def cosine_down(progress):
    """1 at the start of a run, 0 at its end, along half a cosine. ``progress`` in [0, 1]: a number or a tensor."""
    cosine = torch.cos(progress * math.pi) if isinstance(progress, Tensor) else math.cos(progress * math.pi)
    return (1 + cosine) / 2


def follow_rate(progress, momentum: float, end: float, warmup: float = 0.0):
    """1 - m, where m is ``momentum`` during the first ``warmup`` share of a run and then nears ``end`` along a cosine.

    The cosine counts from the start of the run, so m jumps a little where the warm-up ends. The rate is given, and
    not m, because 1 - 0.999999 has hardly a correct digit in float32. ``progress``: a number or a tensor.
    """
    rate = 1 - end + (end - momentum) * cosine_down(progress)
    if isinstance(progress, Tensor):
        return torch.where(progress < warmup, 1 - momentum, rate)
    return 1 - momentum if progress < warmup else rate


@torch.no_grad()
def follow(teacher: Iterable[Tensor], student: Iterable[Tensor], rate) -> None:
    """``teacher += rate * (student - teacher)`` in place, for all tensors together; ``rate``: a number or a tensor."""
    teacher, student = list(teacher), list(student)
    if not isinstance(rate, Tensor):
        torch._foreach_lerp_(teacher, student, rate)
        return
    step = torch._foreach_sub(student, teacher)  # lerp with tensor weights is one kernel a tensor
    torch._foreach_mul_(step, rate.to(step[0].device))
    torch._foreach_add_(teacher, step)
