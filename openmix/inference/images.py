"""Images for a network, from tensors, arrays, files and PIL images, in batches."""
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-3  # by which resizing may leave [0, 1]


def as_items(images, channels: int = 3) -> list:
    """The caller's images as a list of tensors (N, ``channels``, H, W), files and PIL images."""
    if isinstance(images, np.ndarray):
        if images.dtype.kind not in "biufc":
            raise TypeError(f"images must be an array of uint8 or floating-point numbers, got {images.dtype}; give "
                            "paths as a list")
        images = images.astype(images.dtype.newbyteorder("="), copy=False)
        if images.ndim in (3, 4) and images.shape[-1] == channels != images.shape[-3]:
            images = np.moveaxis(images, -1, -3)
        images = torch.from_numpy(np.ascontiguousarray(images))
    if isinstance(images, Tensor):
        images = images[None] if images.ndim == 3 else images
        if images.ndim != 4 or images.shape[1] != channels:
            raise ValueError(f"images must have shape (N, {channels}, H, W), or (N, H, W, {channels}) as an array, got "
                             f"{tuple(images.shape)}{'; repeat a grey channel three times' * (channels == 3)}")
        if images.dtype != torch.uint8 and not images.is_floating_point():
            raise TypeError(f"images must be uint8 (0 to 255) or floating point (0 to 1), got {images.dtype}")
        return [images]
    if isinstance(images, (str, Path)) or hasattr(images, "convert"):
        return [images]
    if isinstance(images, (list, tuple)):
        return [item for image in images for item in as_items(image, channels)]
    raise TypeError(f"images must be a tensor, an array, a path, a PIL image or a list of these, got "
                    f"{type(images).__name__}")


def view(item, data: dict, channels: int = 3) -> Tensor:
    """A file or PIL image as evaluation sees it, uint8 (1, C, H, W): the shorter side resized, the centre cut out."""
    if channels not in (1, 3):
        raise ValueError(f"the network was trained on {channels} channels, which image files do not have; give a "
                         f"tensor (N, {channels}, H, W)")
    image = _view(item, data)
    if channels == 1 and not (image == image[:, :1]).all():
        raise ValueError(f"the network was trained on grey images, and {getattr(item, 'filename', item)} has colours; "
                         "convert it, e.g. by PIL's convert('L')")
    return image[:, :channels]


def _view(item, data: dict) -> Tensor:
    """The same as RGB, (1, 3, H, W)."""
    from ..datasets import decode

    size = set(data.get("size") or ())
    if len(size) != 1:
        raise ValueError("the network was not trained on squares of a known size; give the images as a tensor")
    size = size.pop()
    options = (size, data.get("resize") or size, data.get("interpolation") or "bilinear")
    if isinstance(item, (str, Path)):
        if not Path(item).is_file():
            raise FileNotFoundError(f"no image {item}")
        try:
            return decode.centre_of(decode.read_image(item)[0], *options)[None]
        except Exception as error:  # decoders raise many kinds of errors
            raise ValueError(f"{item} cannot be read as an image ({type(error).__name__}: {error})") from error
    try:
        return decode.centre_of(decode.pixels(item), *options)[None]
    except Exception as error:  # its file is decoded only now and may be damaged
        name = getattr(item, "filename", "") or f"PIL image of mode {item.mode}"
        raise ValueError(f"{name} cannot be read as an image ({type(error).__name__}: {error})") from error


def check_range(images: Tensor, raw: bool) -> None:
    """Raise ValueError unless floating-point images are in [0, 1], or, normalised already (``raw``), are finite."""
    if not images.is_floating_point() or not images.numel():
        return
    low, high = (float(bound) for bound in images.aminmax())
    if not math.isfinite(low + high):  # aminmax propagates NaN
        raise ValueError(f"floating-point images must be finite numbers, got {low:.3g} to {high:.3g}")
    if not raw and (low < -TOLERANCE or high > 1 + TOLERANCE):
        raise ValueError(f"floating-point images must lie in [0, 1], got {low:.3g} to {high:.3g}; divide pixels of 0 "
                         "to 255 by 255, and for images that are normalised already give mean=(0, 0, 0), std=(1, 1, 1)")


def batches(items: list, data: dict, batch_size: int, raw: bool, channels: int = 3) -> Iterator[Tensor]:
    """Tensors (at most ``batch_size``, C, H, W) of one size; files are read when their turn comes."""
    waiting: list[Tensor] = []
    for item in items:
        tensor = item if isinstance(item, Tensor) else view(item, data, channels)
        if data.get("size") and list(tensor.shape[2:]) != list(data["size"]):
            raise ValueError(f"the network was trained on images of {tuple(data['size'])}, got {tuple(tensor.shape)}; "
                             "resize them, or give paths or PIL images, which are resized as in evaluation")
        check_range(tensor, raw)
        for part in tensor.split(batch_size):
            same = not waiting or (waiting[0].shape[1:], waiting[0].dtype) == (part.shape[1:], part.dtype)
            if waiting and (not same or sum(map(len, waiting)) + len(part) > batch_size):
                yield torch.cat(waiting)
                waiting = []
            waiting.append(part)
    if waiting:
        yield torch.cat(waiting)
