"""Weights that other codes have saved: safetensors files, and the names of plain networks."""
import json
from pathlib import Path

from torch import Tensor

PREFIXES = ("backbone.", "backbone.model.")  # a network of ours; one of torchvision or timm inside ours
CLASSIFIER = "head.fc"


def read_safetensors(path: Path, data: bytes) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file by name.

    Its package checks sizes and offsets, and is what the format's authors keep: no reader of our own.

    Raises:
        ImportError: the package is not installed. ValueError: damaged, or no such file.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ImportError as error:
        raise ImportError(f'{path} needs a package to be read: pip install "openmix[safetensors]"') from error
    try:
        return load(data)
    except (SafetensorError, json.JSONDecodeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no safetensors file ({error}); fetch it again") from error


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
