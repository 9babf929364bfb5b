"""Layers of a network by name, and the shapes of what they put out."""
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ..errors import did_you_mean
from .modes import evaluating


def unwrap(net: nn.Module) -> tuple[str, nn.Module]:
    """The network inside DistributedDataParallel and ``torch.compile``, and the prefix of its parameters' names.

    Raises:
        ValueError: DataParallel over several devices, whose copies share hooks and lose what a method changes in them.
    """
    prefix = ""
    while True:
        if isinstance(net, DataParallel) and len(net.device_ids) > 1:
            raise ValueError("a mixing method cannot look into a network in DataParallel, which runs copies of it; "
                             "use DistributedDataParallel (openmix train ... --gpus N does)")
        if isinstance(net, (DistributedDataParallel, DataParallel)):
            prefix, net = f"{prefix}module.", net.module
        elif "_orig_mod" in getattr(net, "_modules", ()):
            prefix, net = f"{prefix}_orig_mod.", net._orig_mod
        else:
            return prefix, net


def find_layer(net: nn.Module, name: str) -> nn.Module:
    """The submodule ``name``, or ``backbone.name`` where the net wraps a backbone.

    A backbone whose layers have other names maps ``layer1``, ``layer2`` ... to them in its attribute ``mix_layers``, a
    dict {name: its own name}.

    Raises:
        ValueError: no such layer; the message names the nearest ones.
    """
    _, net = unwrap(net)
    other = (getattr(getattr(net, "backbone", net), "mix_layers", None) or {}).get(name, name)
    for candidate in (name, f"backbone.{name}", other, f"backbone.{other}"):
        try:
            if name:
                return net.get_submodule(candidate)
        except AttributeError:
            continue
    known = [k.removeprefix("backbone.") for k, _ in net.named_modules() if k and k.count(".") <= 2]
    raise ValueError(f"{type(net).__name__} has no layer {name!r}; {did_you_mean(name, known)}; the mixing method "
                     "takes names by its option layer='...' or layers=[...]")


def find_classifier(net: nn.Module, name: str | None = None) -> tuple[str, nn.Module]:
    """Full name (inside :func:`unwrap`) and module of the classifier: the last ``nn.Linear``, or the one named.

    Raises:
        ValueError: the net has no linear layer, or none of that name.
    """
    _, net = unwrap(net)
    if name is not None:
        wanted = find_layer(net, name)
        return next((full, module) for full, module in net.named_modules() if module is wanted)
    linear = [(full, module) for full, module in net.named_modules() if full and isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(f"{type(net).__name__} has no nn.Linear that could be its classifier; name the layer that "
                         "makes the logits, e.g. classifier='head.fc'")
    return linear[-1]


def layer_shape(net: nn.Module, name: str, image_shape=(3, 32, 32)) -> torch.Size:
    """Shape (C, H, W) of the output of layer ``name`` for one image; the net stays as it is.

    Raises:
        ValueError: no such layer, or one that does not put out one tensor.
    """
    output = _one_pass(net, {name: find_layer(net, name)}, image_shape).get(name, [None])[0]
    if not isinstance(output, Tensor):
        got = "nothing: it did not run" if output is None else type(output).__name__
        raise ValueError(f"layer {name!r} of {type(net).__name__} must put out one tensor, got {got}; "
                         "name another layer")
    return output.shape[1:]


def outputs_of_layers(net: nn.Module, image_shape) -> dict[str, Tensor]:
    """The output of each layer that runs exactly once for one black image, in order; the logits are named ``""``."""
    outputs = _one_pass(net, dict(unwrap(net)[1].named_modules()), image_shape)
    return {name: seen[0] for name, seen in outputs.items() if len(seen) == 1 and isinstance(seen[0], Tensor)}


@torch.no_grad()
def _one_pass(net: nn.Module, layers: dict[str, nn.Module], image_shape) -> dict[str, list]:
    """The outputs of each layer that runs for one black image in eval mode, in the order of their first runs."""
    _, net = unwrap(net)
    parameter, outputs = next(net.parameters()), {}
    handles = [layer.register_forward_hook(
        lambda module, args, output, name=name: outputs.setdefault(name, []).append(output))
        for name, layer in layers.items()]
    try:
        with evaluating(net):
            net(torch.zeros(1, *image_shape, device=parameter.device, dtype=parameter.dtype))
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def layer_channels(net: nn.Module, name: str, image_shape=(3, 32, 32)) -> int:
    """Channels of layer ``name``, of maps (N, C, h, w) or (N, h, w, C), or tokens (N, L, C).

    Raises:
        ValueError: no such layer, other features, or a network that cannot take an image of this shape.
    """
    try:
        shape = layer_shape(net, name, image_shape)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"{type(net).__name__} cannot take an image of shape {tuple(image_shape)} (C, H, W) to show "
                         f"the channels of layer {name!r} ({error}); give image_size or channels") from error
    return as_map(torch.empty(1, *shape, device="meta"), image_shape[1:]).shape[1]


def last_map(net: nn.Module, image_shape=(3, 32, 32), layer: str | None = None) -> tuple[str, int, int]:
    """The last layer with features of more than one position: its name, its channels, and the number of logits.

    Args:
        image_shape: (C, H, W) of one image, for a forward pass in eval mode.
        layer: take this layer instead; it may have one position alone.

    Raises:
        ValueError: no layer puts out feature maps (N, C, h, w) or tokens (N, L, C) of more than one position; the
            named layer is missing or puts out something else.
    """
    outputs = outputs_of_layers(net, image_shape)
    classes = outputs.pop("").shape[1]
    if layer is not None:
        return layer, layer_channels(net, layer, image_shape), classes
    size = image_shape[1:]
    maps = [name for name, out in outputs.items() if out.ndim in (3, 4) and as_map(out, size)[0, 0].numel() > 1]
    if not maps:
        raise ValueError(f"{type(net).__name__} has no layer with feature maps (N, C, h, w) or tokens (N, L, C) of "
                         f"more than one position for images {tuple(image_shape)}; name the layer")
    return maps[-1], as_map(outputs[maps[-1]], size).shape[1], classes


def token_grid(tokens: int, size: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of the patches among ``tokens``, for images of ``size`` (H, W); the others come first.

    The grid is the largest with the proportions of the images.
    """
    height, width = size
    return math.isqrt(tokens * height // width), math.isqrt(tokens * width // height)


def channels_last(shape: Sequence[int], size: Sequence[int]) -> bool:
    """Whether features of ``shape`` (N, a, b, c) are maps (N, h, w, C), as those of Swin: a x b has the proportions of
    the images, ``size`` (H, W), and b x c has not. Where both have, or sides were rounded, it cannot be seen: False.
    """
    (a, b, c), (height, width) = shape[1:], size
    return a * width == b * height and b * width != c * height


def as_map(features: Tensor, size: Sequence[int] | None = None) -> Tensor:
    """Features of a layer as maps (N, C, h, w): maps as they are, maps (N, h, w, C) and tokens (N, L, C) rearranged.

    Tokens in front that do not fill the grid (class, distillation) are left out.

    Args:
        size: (H, W) of the images. Without it maps are taken as (N, C, h, w) and the grid of tokens as a square.

    Raises:
        ValueError: features of other dimensions.
    """
    if features.ndim == 4:
        last = size is not None and channels_last(features.shape, size)
        return features.permute(0, 3, 1, 2) if last else features
    if features.ndim != 3:
        raise ValueError("a layer with feature maps (N, C, h, w) or tokens (N, L, C) is needed, got shape "
                         f"{tuple(features.shape)}; name another layer")
    rows, columns = token_grid(features.shape[1], (1, 1) if size is None else size)
    return features[:, features.shape[1] - rows * columns:].transpose(1, 2).unflatten(2, (rows, columns))
