"""Whether weights fit a network: names of other libraries, another number of classes, what is missing or left over."""
import re

from torch import Tensor, nn

HEAD = re.compile(r"(^|\.)head\.")
PREFIXES = ("backbone.", "backbone.model.")  # a network of ours; one of torchvision or timm inside ours
CLASSIFIER = "head.fc"
COUNTER = "num_batches_tracked"  # files of old versions lack it


def named_as_ours(weights: dict, net: nn.Module) -> dict:
    """A state dict of another code in the names of ``net``: torchvision's, timm's or plain ones; others as they are."""
    translate = getattr(getattr(net, "backbone", None), "translate", None)
    own = net.state_dict().keys()
    if translate is not None:
        translated = translate(weights)
        if len(translated.keys() & own) > len(weights.keys() & own):
            return translated
    return renamed(weights, own)


def renamed(weights: dict[str, Tensor], own) -> dict[str, Tensor]:
    """Weights of a plain network (``conv1.weight``, ``linear.bias`` ...) under the names of ``own``, a ``Net``'s.

    The backbone's get its prefix. If one layer is left, whatever its name, it is the classifier. Weights that have
    names of ``own`` already, or of another network, come back as they are.
    """
    if weights.keys() & set(own):
        return weights
    prefix = max(PREFIXES, key=lambda prefix: sum(f"{prefix}{key}" in own for key in weights))
    left = [key for key in weights if f"{prefix}{key}" not in own]
    if len(left) == len(weights):
        return weights
    layers = {key.rpartition(".")[0] for key in left}
    names = {key: f"{prefix}{key}" for key in weights if f"{prefix}{key}" in own}
    if len(layers) == 1:
        names |= {key: f"{CLASSIFIER}.{key.rpartition('.')[2]}" for key in left}
    return {names.get(key, key): value for key, value in weights.items()}


def of_other_classes(own: dict, weights: dict) -> list[str]:
    """Keys that only the number of classes keeps from fitting: a new head replaces them.

    Empty where shapes differ in any other way, or only some weights of the head do.
    """
    both = own.keys() & weights.keys()
    differ = [k for k in own if k in both and own[k].shape != weights[k].shape]
    numbers = {(tuple(weights[k].shape[:1]), tuple(own[k].shape[:1])) for k in differ}
    if len(numbers) != 1 or not any(HEAD.search(k) for k in differ):
        return []
    layers = {k.rpartition(".")[0] for k in differ}
    partly = any(k.rpartition(".")[0] in layers for k in both.difference(differ))
    inner = any(own[k].shape[1:] != weights[k].shape[1:] or not own[k].ndim for k in differ)
    return [] if partly or inner else differ


def misfits(own: dict, weights: dict, new=()) -> str | None:
    """What keeps ``weights`` from being those of a network with the state ``own``; None if they are.

    Args:
        new: keys that may be missing.
    """
    shapes = [f"{k} is {tuple(weights[k].shape)} there and {tuple(v.shape)} here" for k, v in own.items()
              if k in weights and weights[k].shape != v.shape]
    missing = [k for k in own if k not in weights and k not in new and not k.endswith(COUNTER)]
    extra = [k for k in weights if k not in own]
    for kind, keys in (("other shapes", shapes), ("missing", missing), ("left over", extra)):
        if keys:
            return f"{kind}: {'; '.join(keys[:3])}{f' and {len(keys) - 3} more' if len(keys) > 3 else ''}"
    return None


def left_out(own: dict, weights: dict, keys: list[str], path) -> str:
    """The warning about a head that stays new."""
    theirs, ours = len(weights[keys[0]]), len(own[keys[0]])
    return (f"{path} has a head of {theirs} classes, this model one of {ours}: the head stays new, "
            f"{', '.join(keys)} were left out")
