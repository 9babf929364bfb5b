"""Files of tensors that other codes have saved: safetensors."""
import json
from pathlib import Path

from torch import Tensor


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
        raise ImportError(f'{path} needs a package to be read: pip install safetensors') from error
    try:
        return load(data)
    except (SafetensorError, json.JSONDecodeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no safetensors file ({error}); fetch it again") from error
