"""Learning rates of a whole run as a table, from the keys that mmengine's schedulers take.

The table is a function of the config and the run's length alone, so nothing of it is saved, and another number of
epochs is one option. Semantics are those of ``mmengine.optim``: schedulers chain, each changing the value that it
finds. ``begin``, ``end``, ``T_max``, ``milestones`` ... count epochs, with ``by_epoch=False`` iterations;
``convert_to_iter_based=True`` takes epochs and changes the value every iteration. ``end`` is the run's end by default.

A schedule here is a function of the length of its range, the base learning rate and its own keys. It returns
``update(k, lr)``, the learning rate of its k-th step from that of the step before.
"""
import inspect
import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from ...checks import check_count, check_number
from ...errors import did_you_mean

COMMON = ("type", "begin", "end", "by_epoch", "convert_to_iter_based")
EPOCH_KEYS = ("begin", "end", "T_max", "step_size", "milestones", "total_steps")  # scaled by convert_to_iter_based


def _between(name: str, value, low: float, high: float, open_low: bool = False) -> None:
    if not low <= value <= high or (open_low and value == low):
        raise ValueError(f"{name} must lie in {'(' if open_low else '['}{low}, {high}], got {value!r}")


def cosine(length, base, *, T_max=None, eta_min=None, eta_min_ratio=None) -> Callable:
    """lr_k = eta_min + (base - eta_min) (1 + cos(pi k / T_max)) / 2 (SGDR, Loshchilov and Hutter, 2017).

    ``eta_min_ratio`` is ``eta_min`` as a share of the base learning rate.
    """
    if eta_min is not None and eta_min_ratio is not None:
        raise ValueError("give eta_min or eta_min_ratio, not both")
    period = T_max or length
    low = (eta_min or 0.0) if eta_min_ratio is None else base * eta_min_ratio

    def update(k, lr):
        if k == 0:
            return lr
        before, now = (1 + math.cos(math.pi * step / period) for step in (k - 1, k))
        if (k - 1 - period) % (2 * period) == 0:  # on the floor: rise again
            return lr + (base - low) * (1 - math.cos(math.pi / period)) / 2
        return low + (lr - low) * now / before
    return update


def linear(length, base, *, start_factor=1 / 3, end_factor=1.0) -> Callable:
    """From ``start_factor`` to ``end_factor`` times what it finds, reached at the last step of its range: warm-up."""
    _between("start_factor", start_factor, 0, 1, open_low=True)
    _between("end_factor", end_factor, 0, 1)

    def factor(k):
        return start_factor + (end_factor - start_factor) * k / max(1, length - 1)
    return lambda k, lr: lr * (factor(k) / factor(k - 1) if k else start_factor)


def constant(length, base, *, factor=1 / 3) -> Callable:
    """``factor`` times what it finds; undone at the last step of its range."""
    _between("factor", factor, 0, 1, open_low=True)
    return lambda k, lr: lr * factor if k == 0 else lr / factor if k == length - 1 else lr


def step(length, base, *, step_size, gamma=0.1) -> Callable:
    """Times ``gamma`` every ``step_size`` steps."""
    return lambda k, lr: lr * gamma if k and k % step_size == 0 else lr


def multi_step(length, base, *, milestones, gamma=0.1) -> Callable:
    """Times ``gamma`` at each of ``milestones``."""
    milestones = Counter(milestones)
    return lambda k, lr: lr * gamma ** milestones[k]


def exponential(length, base, *, gamma) -> Callable:
    """Times ``gamma`` every step."""
    return lambda k, lr: lr * gamma if k else lr


def poly(length, base, *, power=1.0, eta_min=0.0) -> Callable:
    """(1 - k / length) ** power of what it finds, down to ``eta_min`` at the last step of its range."""
    def update(k, lr):
        return lr if k == 0 else eta_min + (lr - eta_min) * (1 - 1 / (length - k)) ** power
    return update


def one_cycle(length, base, *, eta_max=None, total_steps=None, pct_start=0.3, anneal_strategy="cos", div_factor=25.0,
              final_div_factor=1e4, three_phase=False) -> Callable:
    """Up to ``eta_max`` (by default the base learning rate) and down again (Smith and Topin, 2018)."""
    total = total_steps or length
    _between("pct_start", pct_start, 0, 1)
    if anneal_strategy not in ("cos", "linear"):
        raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
    if total < length:
        raise ValueError(f"total_steps={total} is less than the {length} steps of the schedule's range")
    high = base if eta_max is None else eta_max
    first, final = high / div_factor, high / div_factor / final_div_factor
    peak = pct_start * total - 1
    points = [(0, first), (peak, high), (total - 1, final)]
    if three_phase:
        points.insert(2, (2 * pct_start * total - 2, first))
    phases = list(pairwise(points))

    def update(k, lr):
        (start, a), (end, b) = next((phase for phase in phases if k <= phase[1][0]), phases[-1])
        share = (k - start) / (end - start) if end != start else 1.0
        return a + (b - a) * (share if anneal_strategy == "linear" else (1 - math.cos(math.pi * share)) / 2)
    return update


SCHEDULES = dict(CosineAnnealingLR=cosine, LinearLR=linear, ConstantLR=constant, StepLR=step, MultiStepLR=multi_step,
                 ExponentialLR=exponential, PolyLR=poly, OneCycleLR=one_cycle)


def as_list(param_scheduler) -> list:
    """The schedules of a config: one dict, a list of them, or None."""
    if param_scheduler is None:
        return []
    return list(param_scheduler) if isinstance(param_scheduler, (list, tuple)) else [param_scheduler]


def check_schedule(param_scheduler) -> None:
    """Check types, keys and values before anything is built.

    Raises:
        TypeError: no dict with a ``type``, or a value of the wrong type.
        ValueError: unknown type or key (naming the nearest), a missing key or a value out of its range.
    """
    for i, cfg in enumerate(as_list(param_scheduler)):
        where = f"param_scheduler[{i}]" if isinstance(param_scheduler, (list, tuple)) else "param_scheduler"
        if not isinstance(cfg, dict) or "type" not in cfg:
            raise TypeError(f"{where} must be a dict with a 'type', got {cfg!r}; known types: {', '.join(SCHEDULES)}")
        if cfg["type"] not in SCHEDULES:
            raise ValueError(f"{where}: unknown type {cfg['type']!r}; {did_you_mean(cfg['type'], SCHEDULES)}")
        parameters = inspect.signature(SCHEDULES[cfg["type"]]).parameters
        own = {k: p for k, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
        for key in cfg:
            if key not in own and key not in COMMON:
                raise ValueError(f"{where}: {cfg['type']} has no key {key!r}; {did_you_mean(key, [*own, *COMMON[1:]])}")
        for key, parameter in own.items():
            if parameter.default is parameter.empty and key not in cfg:
                raise ValueError(f"{where}: {cfg['type']} needs the key {key!r}")
        for key in EPOCH_KEYS:
            check = check_number if cfg.get("convert_to_iter_based") and key in ("begin", "end") else check_count
            least = 0 if check is check_number or key in ("begin", "milestones") else 1
            _check_each(f"{where}.{key}", cfg.get(key), least, check)
        if cfg.get("convert_to_iter_based") and not cfg.get("by_epoch", True):
            raise ValueError(f"{where}: convert_to_iter_based=True takes epochs, but by_epoch=False says iterations")
        if cfg.get("end") is not None and cfg["end"] <= cfg.get("begin", 0):
            raise ValueError(f"{where}: end={cfg['end']} must be larger than begin={cfg.get('begin', 0)}")
        try:
            _make(cfg, 1, 1.0, cfg.get("total_steps") or 3)(1, 1.0)
        except TypeError as error:
            raise TypeError(f"{where}: a value of {dict(cfg)} has the wrong type ({error})") from error


def _check_each(where: str, value, least: int, check: Callable) -> None:
    values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    for count in values:
        check(where, count, least)


def _make(cfg: dict, unit: int, base: float, length: int) -> Callable:
    """``update(k, lr)`` of one scheduler; ``unit`` scales what counts epochs."""
    keys = {k: v for k, v in cfg.items() if k not in COMMON}
    for key in EPOCH_KEYS:
        if keys.get(key) is not None:
            keys[key] = [v * unit for v in keys[key]] if isinstance(keys[key], (list, tuple)) else keys[key] * unit
    return SCHEDULES[cfg["type"]](length, base, **keys)


def lr_table(param_scheduler, base_lr: float, epochs: int, steps_per_epoch: int) -> list[float]:
    """The learning rate of every iteration of a run: ``epochs * steps_per_epoch`` floats.

    Args:
        param_scheduler: a scheduler's config, a list of them (they chain), or None for a constant learning rate.
        base_lr: of one parameter group; ``eta_min`` is absolute, so groups of another base need a table of their own.

    Raises:
        ValueError, TypeError: see :func:`check_schedule`; a ``begin`` after the run's end.
    """
    check_schedule(param_scheduler)
    total = epochs * steps_per_epoch
    chain = []
    for cfg in as_list(param_scheduler):
        by_epoch = cfg.get("by_epoch", True)
        unit = steps_per_epoch if cfg.get("convert_to_iter_based") else 1
        begin, end = cfg.get("begin", 0), cfg.get("end")
        end = (epochs if by_epoch else total) if end is None else end
        if end <= begin:
            raise ValueError(f"{cfg['type']} begins at {begin}, where the run already ends ({end}); lower its begin")
        begin, end = int(begin * unit), int(end * unit)
        every = steps_per_epoch if by_epoch and unit == 1 else 1
        chain.append((every, begin, end, _make(cfg, unit, base_lr, end - begin)))
    chain.sort(key=lambda link: link[0])  # at an epoch's start what counts iterations acts first, as in mmengine
    table, lr = [], float(base_lr)
    for iteration in range(total):
        for every, begin, end, update in chain:
            now, inside = divmod(iteration, every)
            if not inside and begin <= now < end:
                lr = update(now - begin, lr)
        table.append(lr)
    return table
