"""Everything that draws. Methods join what is drawn here with the pure maths of ``functional``.

Tensors are drawn on the generator's device (the given ``device`` without one). Choices between programs (which
method, which layer, which block size) are Python integers: the host must know them without asking the device.
"""
import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

MASK64 = (1 << 64) - 1


def _device(generator: Generator | None, device) -> torch.device | str | None:
    return device if generator is None else generator.device


def check_alpha(alpha, name: str = "alpha") -> None:
    """Raise ValueError unless ``alpha`` is a positive finite number (the parameter of a Beta distribution)."""
    number = isinstance(alpha, (int, float)) and not isinstance(alpha, bool)
    if not number or not 0 < alpha < math.inf:
        raise ValueError(f"{name} must be a positive number (Beta({name}, {name})), got {alpha!r}; "
                         "to train without mixing use the method 'Vanilla'")


def beta(alpha: float, shape: Sequence[int], generator: Generator | None = None, device=None, b: float | None = None):
    """Beta(alpha, b or alpha) in float32, ``shape``, as a quotient of gammas.

    For tiny alpha both gammas underflow to 0; the distribution then is a fair coin of 0 and 1, which stands in.
    """
    device = _device(generator, device)
    # one call for both gammas: the second half of the leading axis has the second parameter
    shapes = torch.full((2, *shape), float(alpha), device=device)
    if b is not None:
        shapes[1].fill_(float(b))
    first, second = torch._standard_gamma(shapes, generator=generator)
    lam = first / (first + second)
    if alpha >= 0.05 and (b is None or b >= 0.05):
        return lam
    coin = torch.randint(2, tuple(shape), generator=generator, device=device).to(lam.dtype)
    return torch.where(lam.isnan(), coin, lam)


def uniform(low: float, high: float, shape: Sequence[int], generator=None, device=None) -> Tensor:
    """Uniform on [low, high), float32."""
    return torch.rand(tuple(shape), generator=generator, device=_device(generator, device)) * (high - low) + low


def integers(high: int, shape: Sequence[int], generator=None, device=None, low: int = 0) -> Tensor:
    """Uniform integers low ... high - 1, int64."""
    return torch.randint(low, high, tuple(shape), generator=generator, device=_device(generator, device))


def centres(size: Sequence[int], shape: Sequence[int], generator=None, device=None) -> Tensor:
    """Pixel positions (row, column) uniform in an image of ``size`` (H, W); (*shape, 2) int64."""
    return torch.stack([integers(side, shape, generator, device) for side in size], -1)


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
    mantissa = ((bits >> 40) & 0xFFFFFF).to(torch.float32)
    return ((mantissa + 0.5) * 2.0**-24).reshape(*key.shape, *shape)


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


def inner_boxes(minmax: Sequence[float], size: Sequence[int], shape: Sequence[int], generator=None, device=None) -> Tensor:
    """Boxes with sides uniform in ``minmax`` shares of the image's sides, wholly inside it: (*shape, 4) int64."""
    low_high = []
    for side in size:
        length = (uniform(*minmax, shape, generator, device) * side).long()
        room = side - length + 1
        start = (uniform(0, 1, shape, generator, device) * room).long().clamp(max=side)
        low_high += [start, start + length]
    return torch.stack(low_high, -1)
