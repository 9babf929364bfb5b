"""From the config's ``optim_wrapper`` to a torch optimizer with few parameter groups.

::

    optim_wrapper = dict(
        optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4),
        paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, custom_keys={"mix_block": dict(lr_mult=0.1)}),
        clip_grad=dict(max_norm=5.0), accumulative_counts=1)

By default there is one group: weight decay acts on everything, norm layers and biases included.
"""
import inspect
import warnings
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ...checks import check_count, check_number
from ...errors import did_you_mean
from ...registry import OPTIMIZERS

WRAPPER_KEYS = ("type", "optimizer", "paramwise_cfg", "clip_grad", "accumulative_counts")
PARAMWISE_KEYS = ("norm_decay_mult", "bias_decay_mult", "bias_lr_mult", "flat_decay_mult", "custom_keys")
MULTIPLIERS = dict(lr_mult="lr", decay_mult="weight_decay")
NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def _check_keys(where: str, options, known) -> None:
    for key in options:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}; {did_you_mean(key, known)}")


def check_optimizer(cfg) -> type[torch.optim.Optimizer]:
    """Check names, keys and numbers of an ``optim_wrapper`` config; returns the optimizer's class.

    Raises:
        TypeError: a dict is missing where one is needed.
        ValueError: unknown type or key (naming the nearest), a number out of its range, or an optimizer that needs a
            closure or sparse gradients.
    """
    if not isinstance(cfg, Mapping):
        raise TypeError(f"optim_wrapper must be a dict like dict(optimizer=dict(type='SGD', lr=0.1)), got {cfg!r}")
    _check_keys("optim_wrapper", cfg, WRAPPER_KEYS)
    if cfg.get("type", "OptimWrapper") != "OptimWrapper":
        raise ValueError(f"optim_wrapper: unknown type {cfg['type']!r}; use 'OptimWrapper', or leave it out "
                         "(precision is set by env_cfg.amp or --amp)")
    optimizer = cfg.get("optimizer")
    cls = OPTIMIZERS.check(optimizer, "optim_wrapper.optimizer")
    if "params" in optimizer:
        raise ValueError("optim_wrapper.optimizer: 'params' is filled in with the model's parameters; remove it")
    if "lr" not in optimizer:
        raise ValueError("optim_wrapper.optimizer needs an 'lr', which the schedules multiply")
    _check_step(cls, optimizer)
    for key in ("lr", "weight_decay"):
        check_number(f"optim_wrapper.optimizer.{key}", optimizer.get(key, 0))
    paramwise = cfg.get("paramwise_cfg") or {}
    _check_keys("optim_wrapper.paramwise_cfg", paramwise, PARAMWISE_KEYS)
    for key in PARAMWISE_KEYS[:-1]:
        check_number(f"optim_wrapper.paramwise_cfg.{key}", paramwise.get(key, 1))
    known = {*MULTIPLIERS, *_defaults(cls)} - {"lr", "weight_decay", "fused", "foreach"}
    for name, special in (paramwise.get("custom_keys") or {}).items():
        where = f"optim_wrapper.paramwise_cfg.custom_keys[{name!r}]"
        _check_keys(where, special, known)
        for key in MULTIPLIERS:
            check_number(f"{where}.{key}", special.get(key, 1))
    clip = cfg.get("clip_grad") or {}
    _check_keys("optim_wrapper.clip_grad", clip, ("max_norm", "norm_type"))
    if clip:
        check_number("optim_wrapper.clip_grad.max_norm", clip.get("max_norm"))
        check_number("optim_wrapper.clip_grad.norm_type", clip.get("norm_type", 2))
    check_count("optim_wrapper.accumulative_counts", cfg.get("accumulative_counts", 1))
    return cls


def _check_step(cls, cfg) -> None:
    """Refuse optimizers that a training step cannot drive: those that evaluate the loss, or need sparse gradients.

    One of torch's takes a step on a parameter of its own; of others the signature decides.
    """
    name, way_out = cfg["type"], "use one such as SGD or AdamW"
    step = getattr(cls, "step", None)
    closure = inspect.signature(step).parameters.get("closure") if step else None
    if closure is not None and closure.default is closure.empty:
        raise ValueError(f"optim_wrapper.optimizer: {name} needs a closure (it evaluates the loss several times a "
                         f"step), which training does not give it; {way_out}")
    if not cls.__module__.startswith("torch.optim"):
        return
    parameter = nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.zeros(2, 2)
    try:
        cls([parameter], lr=0.1).step()
    except RuntimeError as error:  # torch's word for gradients that are not sparse
        raise ValueError(f"optim_wrapper.optimizer: {name} does not train networks whose gradients are dense "
                         f"({' '.join(str(error).split())}); {way_out}") from error


def _defaults(cls) -> set[str]:
    return set(inspect.signature(cls.__init__).parameters) - {"self", "params", "args", "kwargs"}


def build_optimizer(model: nn.Module, cfg) -> torch.optim.Optimizer:
    """The optimizer of an ``optim_wrapper`` config over the parameters of ``model`` that require a gradient.

    Parameters of equal settings share a group, so fused and foreach kernels see long lists. Each group keeps its own
    ``base_lr`` (lr * lr_mult). ``fused`` is chosen where the optimizer and the device have it, unless the config
    sets ``fused`` or ``foreach``.

    Raises:
        ValueError, TypeError: see :func:`check_optimizer`; a model without trainable parameters.
    """
    cls = check_optimizer(cfg)
    settings = {k: v for k, v in cfg["optimizer"].items() if k not in ("type", "_scope_")}
    paramwise = cfg.get("paramwise_cfg") or {}
    decay = settings.get("weight_decay", getattr(inspect.signature(cls).parameters.get("weight_decay"), "default", 0))
    groups, unused = {}, set(paramwise.get("custom_keys") or {})
    for module, prefix, name, parameter in _trainable(model):
        special, matched = _special(module, f"{prefix}{name}", parameter, paramwise)
        unused -= matched
        own = dict(lr=settings["lr"] * special.pop("lr_mult", 1), **special)
        if "decay_mult" in own:
            own["weight_decay"] = decay * own.pop("decay_mult")
        key = repr(sorted({"weight_decay": decay, **own}.items()))
        group = groups.setdefault(key, dict(params=[], base_lr=own["lr"], **own))
        group["params"].append(parameter)
    if not groups:
        raise ValueError("the model has no parameter that requires a gradient; there is nothing to train")
    for name in sorted(unused):
        warnings.warn(f"custom_keys[{name!r}] matches no parameter of the model", stacklevel=2)
    parameters = [p for group in groups.values() for p in group["params"]]
    if not {"fused", "foreach", "differentiable"} & settings.keys() and _can_fuse(cls, parameters):
        settings["fused"] = True
    return cls(list(groups.values()), **settings)


def _trainable(model: nn.Module):
    """(module, its name with a dot, parameter's name in it, parameter), shared ones once."""
    seen = set()
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                yield module, f"{prefix}." if prefix else "", name, parameter


def _special(module: nn.Module, name: str, parameter, paramwise) -> tuple[dict, set[str]]:
    """What differs for one parameter, and the custom keys found in its name.

    The longest of these alone decides; else norm before bias before flat (one axis: layer scale ...), as in mmengine.
    """
    custom = paramwise.get("custom_keys") or {}
    matched = {key for key in custom if key in name}
    if matched:
        return dict(custom[min(matched, key=lambda key: (-len(key), key))]), matched
    norm, bias = isinstance(module, NORMS), name.rpartition(".")[2] == "bias"
    special, flat = {}, parameter.ndim == 1
    for key, applies in (("norm_decay_mult", norm), ("bias_decay_mult", bias), ("flat_decay_mult", flat)):
        if applies and key in paramwise:
            special["decay_mult"] = paramwise[key]
            break
    if bias and not norm and "bias_lr_mult" in paramwise:
        special["lr_mult"] = paramwise["bias_lr_mult"]
    return special, matched


def _can_fuse(cls, parameters) -> bool:
    devices = {p.device.type for p in parameters}
    everywhere = cls in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)  # others fuse on CPUs only
    return ("fused" in _defaults(cls) and devices in ({"cpu"}, {"cuda"}) and (everywhere or devices == {"cpu"})
            and all(p.is_floating_point() for p in parameters))
