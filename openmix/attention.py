"""Attention of vision transformers: timm's modules with a ``qkv`` layer, and torch's ``nn.MultiheadAttention``.

Queries and keys are read at hook points while the network runs, and their softmax is computed once more. The network
itself stays as it is, fused kernels included.
"""
import inspect
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import probes
from .probes import token_grid

PARTS = {"qkv", "q_norm", "k_norm", "attn_drop", "norm", "gate", "proj", "proj_drop"}  # of an attention softmax(q k^T)
CLASS_TOKENS = ("cls_token", "class_token")


class InputPoint(probes.HookPoint):
    """A point whose action sees what enters a layer."""

    def __call__(self, module, inputs, output):
        super().__call__(module, inputs, inputs[0])


def is_attention(module: nn.Module) -> bool:
    """Whether ``module`` is a self-attention of any kind that this file looks at."""
    return isinstance(module, nn.MultiheadAttention) or hasattr(module, "qkv") and hasattr(module, "num_heads")


def peculiarity(module: nn.Module) -> str | None:
    """What an attention has beside softmax(q k^T): a bias of positions, mixed heads, a temperature; None: nothing."""
    if isinstance(module, nn.MultiheadAttention):
        extra = dict(bias_k=module.bias_k is not None, add_zero_attn=module.add_zero_attn,
                     kdim=module.in_proj_weight is None)
        return next((name for name, there in extra.items() if there), None)
    children, own = dict(module.named_children()), dict(module.named_parameters(recurse=False))
    if "rope" in inspect.signature(module.forward).parameters:
        return "rope"
    return next((name for name in (*own, *children) if name not in PARTS), None)


def attention_layers(net: nn.Module) -> list[str]:
    """Names of the attention layers of a transformer with a class token, in order.

    Raises:
        ValueError: no such layers, attention of another kind, or no class token; the message names what is there.
    """
    _, net = probes.unwrap(net)
    layers = {name: module for name, module in net.named_modules() if is_attention(module)}
    needed = "a transformer with a class token, e.g. timm's vit_* and deit_* or torchvision's vit_*, is needed"
    if not layers:
        raise ValueError(f"{type(net).__name__} has no attention layer (a module with qkv and num_heads, or "
                         f"nn.MultiheadAttention); {needed}")
    for name, module in layers.items():
        if (extra := peculiarity(module)) is not None:
            raise ValueError(f"layer {name!r} of {type(net).__name__} is a {type(module).__name__} with {extra!r}, not "
                             f"a plain attention softmax(q k^T); {needed}")
    if not any(name.rpartition(".")[2] in CLASS_TOKENS for name, _ in net.named_parameters()):
        raise ValueError(f"{type(net).__name__} has attention layers ({next(iter(layers))!r} ...) but no class token, "
                         f"a parameter {' or '.join(CLASS_TOKENS)}; {needed}")
    return list(layers)


def last_attention(net: nn.Module) -> str:
    """Plant a point at the last of :func:`attention_layers`; its name."""
    name = attention_layers(net)[-1]
    plant_attention(net, [name])
    return name


def point_of(net: nn.Module, name: str) -> tuple[str, type]:
    """The layer where the queries and keys of an attention are read, and the kind of its point."""
    plain = isinstance(probes.find_layer(net, name), nn.MultiheadAttention)
    return (name, InputPoint) if plain else (f"{name}.qkv", probes.HookPoint)


def plant_attention(net: nn.Module, names: Sequence[str]) -> None:
    """Make sure that :func:`attention` can read the layers ``names``, of :func:`attention_layers`."""
    for name in names:
        probes.plant(net, *point_of(net, name))


def queries_keys(module: nn.Module, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys (N, heads, L, d) from what a point has seen; the queries are scaled."""
    heads = module.num_heads
    if isinstance(module, nn.MultiheadAttention):
        tokens = seen if module.batch_first else seen.transpose(0, 1)
        width, bias = module.embed_dim, module.in_proj_bias
        both = F.linear(tokens.float(), module.in_proj_weight[:2 * width].float(),
                        None if bias is None else bias[:2 * width].float())
        query, key = both.unflatten(2, (2, heads, -1)).permute(2, 0, 3, 1, 4)
        return query * query.shape[-1] ** -0.5, key
    query, key, _ = seen.float().unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    normed = getattr(module, "q_norm", nn.Identity())(query), getattr(module, "k_norm", nn.Identity())(key)
    return normed[0] * getattr(module, "scale", query.shape[-1] ** -0.5), normed[1]


def attention(net: nn.Module, names: Sequence[str], run: Callable[[], object], row: int | None = None) -> list[Tensor]:
    """Attention of the layers ``names`` while ``run()`` makes one forward pass of ``net``.

    Args:
        row: only what this token attends to: 0 is the class token. The cost is then linear in the tokens.

    Returns:
        for each layer the mean over its heads, (N, L, L), or (N, L) with ``row``: float32, rows sum to 1, no gradient.

    Raises:
        ValueError: nothing was planted at a layer, or it did not run exactly once.
    """
    maps = []

    def see(module, seen):
        with torch.no_grad(), torch.autocast(seen.device.type, enabled=False):
            query, key = queries_keys(module, seen.detach())
            query = query if row is None else query[:, :, row:row + 1]
            weights = (query @ key.transpose(2, 3)).softmax(3).mean(1)
        maps.append(weights if row is None else weights[:, 0])

    def within(left):
        if not left:
            run()
            return
        layer, kind = point_of(net, left[0])
        module = probes.find_layer(net, left[0])
        with probes.acting(net, layer, lambda seen: see(module, seen), kind):
            within(left[1:])

    within(list(names))
    return maps


def class_attention(net: nn.Module, name: str, run: Callable[[], object], size: Sequence[int]) -> Tensor:
    """What the class token of layer ``name`` attends to among the patches: (N, rows, columns), no gradient.

    Args:
        name: as of :func:`last_attention`. run: makes one forward pass of ``net`` on images of ``size`` (H, W).

    Raises:
        ValueError: no name, as the method was not attached.
    """
    if not name:
        raise ValueError("no attention layer is known: call method.attach(net) once, before the optimizer is built")
    (weights,) = attention(net, [name], run, row=0)
    rows, columns = token_grid(weights.shape[1], size)
    return weights[:, weights.shape[1] - rows * columns:].unflatten(1, (rows, columns))


def attended_share(attended: Tensor, mask: Tensor) -> Tensor:
    """Share (N,) of the attention (N, rows, columns) that falls on ``mask`` (N or 1, 1, H, W), read at each patch."""
    seen = F.interpolate(mask.float(), attended.shape[1:], mode="nearest")[:, 0]
    return ((attended * seen).sum((1, 2)) / attended.sum((1, 2)).clamp(min=1e-12)).clamp(max=1)  # sums round
