"""All drawing. Methods join these draws with the pure maths of ``functional``.

Tensors are drawn on the generator's device (the given ``device`` without one). Choices between programs (which
method, which layer, which block size) are Python integers: the host must know them without asking the device.
"""
import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from . import checks

MASK64 = (1 << 64) - 1


def _device(generator: Generator | None, device) -> torch.device | str | None:
    return device if generator is None else generator.device


def check_alpha(alpha, name: str = "alpha") -> float:
    """``alpha`` as a number; ValueError unless it is positive and finite (the parameter of a Beta distribution)."""
    try:
        return checks.number(name, alpha, above=True)
    except ValueError:
        raise ValueError(f"{name} must be a positive number (Beta({name}, {name})), got {alpha!r}; "
                         "to train without mixing use the method 'Vanilla'") from None


def beta(alpha: float, shape: Sequence[int], generator: Generator | None = None, device=None, b: float | None = None):
    """Beta(alpha, b or alpha) in float32, ``shape``, as a quotient of gammas.

    Gammas of small parameters underflow (torch clamps them, and a quotient of two clamped ones is 1/2, where the
    distribution is a coin of 0 and 1): logarithms of G(a) = G(a + 1) * U^(1/a) are drawn instead.
    """
    device = _device(generator, device)
    if alpha == 1 and b in (None, 1):  # Beta(1, 1) is uniform
        return torch.rand(tuple(shape), generator=generator, device=device)
    # one call for both gammas: the second half of the leading axis has the second parameter
    shapes = torch.full((2, *shape), float(alpha), device=device)
    if b is not None:
        shapes[1].fill_(float(b))
    if min(alpha, alpha if b is None else b) >= 0.1:
        first, second = torch._standard_gamma(shapes, generator=generator)
        return first / (first + second)
    roots = 1 - torch.rand(shapes.shape, generator=generator, device=device)  # (0, 1]
    first, second = torch._standard_gamma(shapes + 1, generator=generator).log() + roots.log() / shapes
    return torch.sigmoid(first - second)


def gamma(alpha: float, shape: Sequence[int], generator: Generator | None = None, device=None) -> Tensor:
    """Gamma(alpha, 1) in float32, ``shape``; divided by their sum, numbers of it are Dirichlet(alpha, ..., alpha)."""
    shapes = torch.full(tuple(shape), float(alpha), device=_device(generator, device))
    return torch._standard_gamma(shapes, generator=generator)


def uniform(low: float, high: float, shape: Sequence[int], generator=None, device=None) -> Tensor:
    """Uniform on [low, high), float32."""
    numbers = torch.rand(tuple(shape), generator=generator, device=_device(generator, device))
    return numbers if (low, high) == (0, 1) else numbers * (high - low) + low


def integers(high: int, shape: Sequence[int], generator=None, device=None, low: int = 0) -> Tensor:
    """Uniform integers low ... high - 1, int64."""
    return torch.randint(low, high, tuple(shape), generator=generator, device=_device(generator, device))


def centres(size: Sequence[int], shape: Sequence[int], generator=None, device=None) -> Tensor:
    """Pixel positions (row, column) uniform in an image of ``size`` (H, W); (*shape, 2) int64."""
    height, width = size
    if height == width:
        return integers(height, (*shape, 2), generator, device)
    return torch.stack([integers(side, shape, generator, device) for side in size], -1)


def subset(count: int, n: int, steps: Sequence[int] = (), generator=None, device=None) -> Tensor:
    """Which of ``n`` belong to a random subset of exactly ``count``: (*steps, n) bool."""
    return uniform(0, 1, (*steps, n), generator, device).argsort(-1).argsort(-1) < count


def keys(shape: Sequence[int], generator=None, device=None) -> Tensor:
    """Seeds for :func:`keyed_uniform`, int64."""
    return integers(2**62, shape, generator, device)


def choose(p: Sequence[float], steps: Sequence[int] = (), generator=None):
    """Host choices among ``len(p)`` programs: an int, or nested lists of ints for ``steps``."""
    edges = torch.tensor(p, dtype=torch.float64).cumsum(0)
    draw = torch.rand(tuple(steps), generator=generator, device=_device(generator, "cpu"), dtype=torch.float64)
    return torch.bucketize(draw.to("cpu") * edges[-1], edges[:-1], right=True).tolist()  # host numbers on purpose


def _mix_bits(x: Tensor) -> Tensor:
    """A bijective scrambling of int64 (the multiply-xorshift finaliser of splitmix64, wrapping)."""
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return x ^ ((x >> 31) & ((1 << 33) - 1))


def keyed_uniform(key: Tensor, shape: Sequence[int]) -> Tensor:
    """Uniform noise in (0, 1) that is a function of ``key`` alone, on any device: (*key.shape, *shape) float32.

    A counter-based generator: no state, no host, the same numbers on CPU and GPU.
    """
    count = math.prod(shape)
    counter = torch.arange(1, count + 1, device=key.device) * -7046029254386353131
    bits = _mix_bits(_mix_bits(key)[..., None] + counter)
    mantissa = ((bits >> 41) & 0x7FFFFF).to(torch.float32)  # 23 bits: adding a half stays exact, so 1 is never reached
    return ((mantissa + 0.5) * 2.0**-23).reshape(*key.shape, *shape)


def keyed_normal(key: Tensor, shape: Sequence[int]) -> Tensor:
    """Standard normal noise that is a function of ``key`` alone (Box-Muller): (*key.shape, *shape) float32."""
    radius, angle = keyed_uniform(key, (2, *shape)).unbind(key.ndim)
    return (-2 * radius.log()).sqrt() * (2 * math.pi * angle).cos()


def keyed_seed(*numbers: int) -> int:
    """One seed from a tuple of counters, e.g. (seed, epoch, stream): nearby tuples give unrelated seeds."""
    state = 0x243F6A8885A308D3
    for number in numbers:
        state = (state ^ (number & MASK64)) + 0x9E3779B97F4A7C15 & MASK64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK64
        state = (state ^ state >> 27) * 0x94D049BB133111EB & MASK64
        state ^= state >> 31
    return state >> 1


def keyed_generator(*numbers: int) -> Generator:
    """A CPU generator that is a function of counters alone, so a resumed run needs no generator state."""
    return torch.Generator().manual_seed(keyed_seed(*numbers))


def inner_boxes(minmax: Sequence[float], size: Sequence[int], shape: Sequence[int], generator=None, device=None):
    """Boxes with sides uniform in ``minmax`` shares of the image's sides, wholly inside it: (*shape, 4) int64."""
    low_high = []
    for side in size:
        length = (uniform(*minmax, shape, generator, device) * side).long()
        room = side - length + 1
        start = (uniform(0, 1, shape, generator, device) * room).long()  # in float32 too the product stays below room
        low_high += [start, start + length]
    return torch.stack(low_high, -1)


# -- the epoch plan ------------------------------------------------------------------------------------------------

ORDER, AUGMENT, MIX, STEP, CROP, PARTNER = range(6)  # streams: the draws of one never shift another


def crop_keys(seed: int, epoch: int, shape: Sequence[int]) -> Tensor:
    """Keys of an epoch's random resized crops, int64 of ``shape`` (S, B), for :func:`resized_crops`."""
    return keys(shape, keyed_generator(seed, epoch, CROP))


def resized_crops(key: Tensor, scale: Sequence[float], ratio: Sequence[float], tries: int = 10) -> Tensor:
    """Candidates for random resized crops, functions of the keys alone: (*key.shape, tries, 4) float32.

    Each is (share of the image's area, uniform in ``scale``; width / height, log-uniform in ``ratio``; position of the
    row and of the column, in [0, 1)): which of them fits depends on the size of the image.
    """
    area, aspect, *position = keyed_uniform(key, (4, tries)).unbind(-2)
    low, high = (math.log(value) for value in ratio)
    return torch.stack([area * (scale[1] - scale[0]) + scale[0], (aspect * (high - low) + low).exp(), *position], -1)
