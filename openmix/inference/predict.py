"""Classify images with a trained network: in batches, normalised as in training."""
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.augment import normalise, per_channel
from ..engine.distributed.launch import local_device
from ..errors import did_you_mean
from ..probes import evaluating
from .weights import load_network

TOLERANCE = 1e-3  # by which resizing may leave [0, 1]


class Prediction(NamedTuple):
    """The result of :func:`infer` for N images."""

    labels: Tensor  # (N,) int64, the most likely class
    names: list[str]  # its name
    probabilities: Tensor  # (N, classes) float32, softmax of the logits


def as_items(images) -> list:
    """The caller's images as a list of tensors (N, 3, H, W), files and PIL images."""
    if isinstance(images, np.ndarray):
        if images.dtype.kind not in "biufc":
            raise TypeError(f"images must be an array of uint8 or floating-point numbers, got {images.dtype}; give "
                            "paths as a list")
        images = images.astype(images.dtype.newbyteorder("="), copy=False)
        if images.ndim in (3, 4) and images.shape[-1] == 3 and images.shape[-3] != 3:
            images = np.moveaxis(images, -1, -3)
        images = torch.from_numpy(np.ascontiguousarray(images))
    if isinstance(images, Tensor):
        images = images[None] if images.ndim == 3 else images
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must have shape (N, 3, H, W), or (N, H, W, 3) as an array, got "
                             f"{tuple(images.shape)}; repeat a grey channel three times")
        if images.dtype != torch.uint8 and not images.is_floating_point():
            raise TypeError(f"images must be uint8 (0 to 255) or floating point (0 to 1), got {images.dtype}")
        return [images]
    if isinstance(images, (str, Path)) or hasattr(images, "convert"):
        return [images]
    if isinstance(images, (list, tuple)):
        return [item for image in images for item in as_items(image)]
    raise TypeError(f"images must be a tensor, an array, a path, a PIL image or a list of these, got "
                    f"{type(images).__name__}")


def view(item, data: dict) -> Tensor:
    """A file or PIL image as evaluation sees it, uint8 (1, 3, H, W): the shorter side resized, the centre cut out."""
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


def class_names(classes, count: int) -> list[str]:
    """Names of the classes 0 to ``count - 1``, from a sequence or a dict {index: name} or {name: index}.

    Raises:
        TypeError: a set, which has no order. ValueError: another number of names, or indices that are not these.
    """
    if isinstance(classes, (set, frozenset)):
        raise TypeError("classes must be in the order of the network's outputs, and a set has none; give a list")
    if isinstance(classes, Mapping):
        if not all(is_index(key) for key in classes):  # class_to_idx of torchvision's data sets
            classes = {index: name for name, index in classes.items()}
        if not all(is_index(key) for key in classes):
            raise ValueError("classes as a dict must be {index: name} or {name: index}, with whole numbers as indices")
        classes = {int(index): name for index, name in classes.items()}
        if sorted(classes) != list(range(count)):
            raise ValueError(f"the network knows the classes 0 to {count - 1}, the indices of classes are "
                             f"{', '.join(map(str, sorted(classes)[:10]))}{' ...' if len(classes) > 10 else ''}")
        return [str(classes[i]) for i in range(count)]
    names = [str(name) for name in classes]
    if len(names) != count:
        raise ValueError(f"the network knows {count} classes, {len(names)} names were given")
    return names


def is_index(value) -> bool:
    """Whether this is a whole number, also as text (JSON has no other keys)."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) or (
        isinstance(value, str) and value.isdecimal())


def batches(items: list, data: dict, batch_size: int, raw: bool) -> Iterator[Tensor]:
    """Tensors (at most ``batch_size``, 3, H, W) of one size; files are read when their turn comes."""
    waiting: list[Tensor] = []
    for item in items:
        tensor = item if isinstance(item, Tensor) else view(item, data)
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


@torch.no_grad()
def infer(model, images, *, network=None, mean=None, std=None, classes=None, batch_size=100, device=None) -> Prediction:
    """Classify images.

    Args:
        model: a work dir (its newest weights), a checkpoint, a published file, a pair (config, checkpoint), or a
            network (images -> logits; of one that ``get_model(pretrained=...)`` made, the statistics are known).
        images: uint8 (0 to 255) or floating-point (0 to 1) tensor (N, 3, H, W); arrays (N, H, W, 3) or (N, 3, H, W);
            paths or PIL images, which are resized and cropped as in evaluation; one of these or a list of them.
        network: which network of the run; by default the one whose accuracy is the run's.
        mean, std: per channel, of pixels in [0, 1]; by default those the network was trained with. With zeros and
            ones, floating-point images are taken as they are.
        classes: names of the classes in the order of the outputs, {index: name} or {name: index}; by default those
            of the training data, or else numbers.
        device: by default where the network is, or the GPU if there is one.

    Returns:
        :class:`Prediction`: labels (N,), names, probabilities (N, classes), on the CPU.

    Raises:
        FileNotFoundError, ValueError, TypeError: images, model or options that cannot be used.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size!r}")
    if hasattr(model, "networks"):  # a Classifier
        known = model.networks()
        if network not in (None, *known):
            raise ValueError(f"no network {network!r}; {did_you_mean(network, known)}")
        model, network = known[network or next(iter(known))], None
    if isinstance(model, nn.Module):
        if network is not None:
            raise ValueError("network= chooses among those of a run; the model given is one network")
        net, data = model, dict(getattr(model, "trained_on", None) or {})
        target_device = device or next((p.device for p in model.parameters()), torch.device("cpu"))
    else:
        net, facts = load_network(model, network)
        data, target_device = facts["data"], device or local_device()
    given = mean is not None and std is not None
    mean, std = mean if mean is not None else data.get("mean"), std if std is not None else data.get("std")
    if mean is None or std is None:
        raise ValueError("the network's normalisation is unknown: give mean= and std= of pixels in [0, 1] "
                         "(of the data set's class, or the config's data_preprocessor)")
    mean, std = per_channel(mean, "mean", target_device), per_channel(std, "std", target_device)
    raw = given and not mean.any() and bool((std == 1).all())  # images are normalised already
    dtype = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
    logits = []
    with evaluating(net.to(target_device)):
        for batch in batches(as_items(images), data, batch_size, raw):
            batch = batch.to(target_device)
            batch = normalise(batch, mean, std) if batch.dtype == torch.uint8 else (batch.float() - mean) / std
            logits.append(net(batch.to(dtype)).float().cpu())
            if not logits[-1].isfinite().all():
                raise ValueError(f"the network gives logits that are not finite: its weights are not, or overflow in "
                                 f"{dtype}")
    probabilities = torch.cat(logits).softmax(1) if logits else torch.zeros(0, len(data.get("classes") or ()))
    classes = classes if classes is not None else data.get("classes") or range(probabilities.shape[1])
    names = class_names(classes, probabilities.shape[1]) if logits else []
    labels = probabilities.argmax(1) if logits else torch.zeros(0, dtype=torch.int64)
    return Prediction(labels, [names[i] for i in labels.tolist()], probabilities)
