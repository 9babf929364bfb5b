"""What a family of corruptions is."""
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Family(NamedTuple):
    """A kind of corruption in five strengths.

    ``apply(images, strength, u)`` takes images (N, C, H, W) in [0, 1] and uniform numbers (N, D) and may leave [0, 1];
    ``draws(C, H, W)`` is D.
    """

    strengths: tuple
    draws: Callable[[int, int, int], int]
    apply: Callable[[Tensor, object, Tensor], Tensor]


def family(*strengths, draws: Callable[[int, int, int], int] = lambda c, h, w: 0) -> Callable[..., Family]:
    """Decorator of ``apply``."""
    return lambda apply: Family(strengths, draws, apply)
