"""Looking into a network and acting inside it. Works with any ``nn.Module``; layers go by name."""
import math
import sys
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parallel import DataParallel, DistributedDataParallel

from .errors import did_you_mean

# -- layers by name ----------------------------------------------------------------------------------------------


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

    A backbone whose layers have other names tells which it means by ``layer1``, ``layer2`` ... in its attribute
    ``mix_layers``, a dict {name: its own name}.

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


@torch.no_grad()
def layer_shape(net: nn.Module, name: str, image_shape=(3, 32, 32)) -> torch.Size:
    """Shape (C, H, W) of what leaves layer ``name`` for one image; buffers of the net stay as they are."""
    seen = []
    handle = find_layer(net, name).register_forward_hook(lambda module, args, out: seen.append(out))
    training = {module: module.training for module in net.modules()}
    try:
        parameter = next(net.parameters())
        net.eval()(torch.zeros(1, *image_shape, device=parameter.device, dtype=parameter.dtype))
    finally:
        handle.remove()
        for module, mode in training.items():
            module.training = mode
    if not seen or not isinstance(seen[0], Tensor):
        got = type(seen[0]).__name__ if seen else "nothing: it did not run"
        raise ValueError(f"layer {name!r} of {type(net).__name__} must put out one tensor, got {got}; "
                         "name another layer")
    return seen[0].shape[1:]


def layer_channels(net: nn.Module, name: str, image_shape=(3, 32, 32)) -> int:
    """Channels of layer ``name``, of maps (N, C, h, w) or tokens (N, L, C).

    Raises:
        ValueError: no such layer, other features, or a network that cannot take an image of this shape.
    """
    try:
        shape = layer_shape(net, name, image_shape)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"{type(net).__name__} cannot take an image of shape {tuple(image_shape)} (C, H, W) to show "
                         f"the channels of layer {name!r} ({error}); give image_size or channels") from error
    return as_map(torch.empty(1, *shape, device="meta")).shape[1]


@torch.no_grad()
def outputs_of_layers(net: nn.Module, image_shape) -> dict[str, Tensor]:
    """The output of each layer that runs exactly once for one black image, in order; the logits are named ``""``."""
    _, net = unwrap(net)
    outputs, handles, counts = {}, [], {}

    def keep(name, output):
        counts[name] = counts.get(name, 0) + 1
        if isinstance(output, Tensor):
            outputs[name] = output

    for name, module in net.named_modules():
        handles.append(module.register_forward_hook(lambda m, args, output, name=name: keep(name, output)))
    training = {module: module.training for module in net.modules()}
    try:
        parameter = next(net.parameters())
        net.eval()(torch.zeros(1, *image_shape, device=parameter.device, dtype=parameter.dtype))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    return {name: output for name, output in outputs.items() if counts[name] == 1}


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
    maps = [name for name, out in outputs.items() if out.ndim in (3, 4) and as_map(out)[0, 0].numel() > 1]
    if not maps:
        raise ValueError(f"{type(net).__name__} has no layer with feature maps (N, C, h, w) or tokens (N, L, C) of "
                         f"more than one position for images {tuple(image_shape)}; name the layer")
    return maps[-1], as_map(outputs[maps[-1]]).shape[1], classes


# -- acting at a layer -------------------------------------------------------------------------------------------


class HookPoint:
    """A forward hook that is planted once and stays; without an action it does nothing.

    It lives in the layer's hooks alone, so copies and pickles of a network have points of their own, and
    ``torch.compile`` sees it when it traces. State dicts do not know of it.
    """

    def __init__(self):
        self.action: Callable | None = None
        self.calls, self.inputs, self.replaced = 0, (), False

    def __call__(self, module, inputs, output):
        if self.action is None:
            return None
        self.calls, self.inputs = self.calls + 1, inputs
        output = self.action(output)
        self.replaced = output is not None
        return output


def hook_point(layer: nn.Module, kind: type = HookPoint) -> HookPoint | None:
    """The point of this kind planted at ``layer``, if there is one."""
    return next((hook for hook in layer._forward_hooks.values() if type(hook) is kind), None)


def plant(net: nn.Module, name: str, kind: type = HookPoint) -> None:
    """Make sure there is one :class:`HookPoint`, or one of a subclass ``kind``, at layer ``name``.

    torch.compile does not look whether a module got a hook, and takes the graph of another network of the same class
    where it has one: what was compiled before is forgotten here.
    """
    layer = find_layer(net, name)
    if hook_point(layer, kind) is None:
        layer.register_forward_hook(kind())
        if "torch._dynamo" in sys.modules:  # else nothing was compiled, and torch.compiler takes a second to load it
            torch.compiler.reset()


@contextmanager
def acting(net: nn.Module, name: str, action: Callable, kind: type = HookPoint):
    """Inside, ``action(output)`` replaces the output of layer ``name`` (``None`` leaves it) in one forward pass.

    Raises:
        ValueError: no point was planted, or the layer did not run exactly once.
    """
    point = hook_point(find_layer(net, name), kind)
    if point is None:
        raise ValueError(f"nothing is planted at layer {name!r} of this network: call method.attach(net) once before "
                         "training")
    point.action, point.calls, point.replaced = action, 0, False
    try:
        yield
    finally:
        point.action, point.inputs = None, ()
    if point.calls != 1:
        raise ValueError(
            f"layer {name!r} must run exactly once in a forward pass, but ran {point.calls} times: a layer that is "
            "shared or skipped cannot be acted on. 0 times also means that torch.compile took the graph of another "
            "network of this class: call torch.compiler.reset() between the two"
        )


def watch(net: nn.Module, name: str, run: Callable[[], object]) -> Tensor:
    """What leaves layer ``name`` (where a point is planted) while ``run()`` makes one forward pass of ``net``."""
    seen = []
    with acting(net, name, lambda output: seen.append(output.clone())):  # later layers may work in place
        run()
    return seen[0]


def watch_input(net: nn.Module, name: str, run: Callable[[], object]) -> Tensor:
    """What enters layer ``name`` (where a point is planted) while ``run()`` makes one forward pass of ``net``."""
    seen, point = [], hook_point(find_layer(net, name))
    with acting(net, name, lambda output: seen.append(point.inputs[0])):
        run()
    return seen[0]


def acted_layer(net: nn.Module) -> str | None:
    """Inside :func:`acting`: the layer whose output was replaced in this forward pass so far."""
    points = ((name, hook_point(layer)) for name, layer in unwrap(net)[1].named_modules())
    return next((name for name, point in points if point and point.action and point.replaced), None)


class Listener:
    """As :class:`HookPoint`, but it changes nothing, sees the inputs too, and any number of passes."""

    def __init__(self):
        self.listen: Callable | None = None

    def __call__(self, module, inputs, output):
        if self.listen is not None:
            self.listen(inputs, output)


def listener(layer: nn.Module) -> Listener:
    """The listener at ``layer``, planted there if there is none."""
    found = next((hook for hook in layer._forward_hooks.values() if isinstance(hook, Listener)), None)
    if found is None:
        found = Listener()
        layer.register_forward_hook(found)
        if "torch._dynamo" in sys.modules:  # as in plant
            torch.compiler.reset()
    return found


@contextmanager
def listening(layers: dict[nn.Module, Callable]):
    """Inside, ``layers[layer](inputs, output)`` is called after each pass of ``layer``."""
    listeners = [(listener(layer), listen) for layer, listen in layers.items()]
    try:
        for point, listen in listeners:
            point.listen = listen
        yield
    finally:
        for point, _ in listeners:
            point.listen = None


def as_map(features: Tensor) -> Tensor:
    """Features of a convolutional layer (N, C, h, w) as they are; tokens (N, L, C) as a square map (N, C, h, h).

    Tokens in front that do not fill the square (class, distillation) are left out.
    """
    if features.ndim == 4:
        return features
    if features.ndim != 3:
        raise ValueError("a layer with feature maps (N, C, h, w) or tokens (N, L, C) is needed, got shape "
                         f"{tuple(features.shape)}; name another layer")
    side = math.isqrt(features.shape[1])
    return features[:, features.shape[1] - side * side:].transpose(1, 2).unflatten(2, (side, side))


# -- another head on the same features ---------------------------------------------------------------------------


def with_head(net: nn.Module, head: nn.Module, name: str, images: Tensor) -> Tensor:
    """``net(images)`` with the parameters and buffers of ``head`` in place of those of the layer ``name`` (full name).

    The net's own classifier takes no part: it gets no gradient.
    """
    name = f"{unwrap(net)[0]}{name}"
    tensors = [*head.named_parameters(), *head.named_buffers()]
    return functional_call(net, {f"{name}.{key}": value for key, value in tensors}, (images,))


def both_heads(net: nn.Module, head: nn.Module, name: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """``net(images)`` and :func:`with_head` of the same images, in one pass where the layer ``name`` makes the logits.

    Where the net does something with what that layer puts out, or the layer runs in a compiled part that hooks do not
    reach, the second takes a pass of its own. Equal to the two networks bit by bit.
    """
    made, net = [], unwrap(net)[1]
    layer = net.get_submodule(name)
    handle = layer.register_forward_hook(lambda module, args, output: made.append((output, head(*args))))
    try:
        logits = net(images)
    finally:
        handle.remove()
    if len(made) == 1 and made[0][0] is logits:
        return made[0]
    return logits, with_head(net, head, name, images)


class WithHead(nn.Module):
    """A network whose classifier ``name`` is replaced by ``head``, sharing every parameter with its parts.

    Its ``state_dict`` is that of a plain network of the same kind, the head in its place: ready to publish.
    """

    def __init__(self, net: nn.Module, head: nn.Module, name: str):
        super().__init__()
        self.net, self.head, self.name = net, head, name
        self.training = net.training

    def forward(self, images: Tensor) -> Tensor:
        return with_head(self.net, self.head, self.name, images)

    def state_dict(self, *args, prefix="", **kwargs):
        whole = unwrap(self.net)[1].state_dict(*args, prefix=prefix, **kwargs)
        whole.update(self.head.state_dict(prefix=f"{prefix}{self.name}."))
        return whole


# -- modes, buffers, gradients -----------------------------------------------------------------------------------


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
    """``net`` with copies of its buffers: a pass in training mode takes the batch's statistics and stores none."""
    if not isinstance(net, nn.Module):
        return net
    return lambda images: functional_call(net, {name: b.clone() for name, b in net.named_buffers()}, (images,))


def input_gradient(net, images: Tensor, labels, criterion) -> Tensor:
    """Saliency sqrt(mean over channels of (d loss / d image)^2), (N, H, W).

    Uses ``torch.autograd.grad``: gradients being accumulated in the parameters stay right.
    """
    if torch.compiler.is_compiling():  # the form that torch.compile can trace; outside it costs more on the host
        with torch.no_grad():  # the parameters are constants here
            gradient = torch.func.grad(lambda x: criterion(net(x), labels))(images.detach())
    else:
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(criterion(net(images), labels), images)
    return _magnitude(gradient)


def _magnitude(gradient: Tensor) -> Tensor:
    return gradient.float().square().mean(1).sqrt()


def clean_pass(net, images: Tensor, labels, criterion) -> tuple[Tensor, Tensor]:
    """Logits (N, C) of ``images`` in the net's own mode, and the saliency (N, H, W) of the same pass.

    A loss of the logits can be added to the training loss: their graph stays. The saliency is that of
    :func:`input_gradient`, and no gradient flows through it. While torch.compile traces it takes a pass of its own.
    """
    if torch.compiler.is_compiling():
        saliency = input_gradient(on_copies(net), images, labels, criterion)
        return net(images), saliency
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        logits = net(images)
        (gradient,) = torch.autograd.grad(criterion(logits, labels), images, retain_graph=True)
    return logits, _magnitude(gradient)
