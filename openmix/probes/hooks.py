"""Acting at a layer, and seeing what passes it: hooks that are planted once, before training."""
import sys
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .layers import find_layer, unwrap


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
    """Make sure there is one :class:`HookPoint`, or one of a subclass ``kind``, at layer ``name``."""
    _hook_of(find_layer(net, name), kind)


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
    """The output of layer ``name`` (where a point is planted) while ``run()`` makes one forward pass of ``net``."""
    seen = []
    with acting(net, name, lambda output: seen.append(output.clone())):  # later layers may work in place
        run()
    return seen[0]


def watch_input(net: nn.Module, name: str, run: Callable[[], object]) -> Tensor:
    """The input of layer ``name`` (where a point is planted) while ``run()`` makes one forward pass of ``net``."""
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
    return _hook_of(layer, Listener)


def _hook_of(layer: nn.Module, kind: type):
    """The hook of this kind at ``layer``, registered if there is none.

    torch.compile does not look whether a module got a hook, and takes the graph of another network of the same class
    where it has one: what was compiled before is forgotten here.
    """
    hook = hook_point(layer, kind)
    if hook is None:
        hook = kind()
        layer.register_forward_hook(hook)
        if "torch._dynamo" in sys.modules:  # else nothing was compiled, and torch.compiler takes a second to load it
            torch.compiler.reset()
    return hook


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
