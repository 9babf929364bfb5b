"""Classify images with a trained network: in batches, normalised as in training."""
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.augment import normalise, per_channel
from ..engine.distributed.launch import local_device
from ..errors import did_you_mean
from ..probes import evaluating
from .images import as_items, batches
from .weights import load_network


class Prediction(NamedTuple):
    """The result of :func:`infer` for N images."""

    labels: Tensor  # (N,) int64, the most likely class
    names: list[str]  # its name
    probabilities: Tensor  # (N, classes) float32, softmax of the logits


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


@torch.no_grad()
def infer(model, images, *, network=None, mean=None, std=None, classes=None, batch_size=100, device=None) -> Prediction:
    """Classify images.

    Args:
        model: a work dir (its newest weights), a checkpoint, a published file, a pair (config, checkpoint), or a
            network (images -> logits; of one that ``get_model(pretrained=...)`` made, the statistics are known).
        images: uint8 (0 to 255) or floating-point (0 to 1) tensor (N, C, H, W) with the channels of the training
            data; arrays (N, H, W, C) or (N, C, H, W); paths or PIL images of one or three channels, which are resized
            and cropped as in evaluation; one of these or a list of them.
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
    if data.get("size") == []:
        raise ValueError("the network was trained on vectors, and infer classifies images; call the network itself: "
                         "openmix.inference.weights.load_network(model)[0](vectors)")
    given = mean is not None and std is not None
    mean, std = mean if mean is not None else data.get("mean"), std if std is not None else data.get("std")
    if mean is None or std is None:
        raise ValueError("the network's normalisation is unknown: give mean= and std= of pixels in [0, 1] "
                         "(of the data set's class, or the config's data_preprocessor)")
    channels = torch.as_tensor(mean).numel()
    mean, std = (per_channel(values, name, target_device, (channels, 1, 1)) for values, name in ((mean, "mean"),
                                                                                                (std, "std")))
    raw = given and not mean.any() and bool((std == 1).all())  # images are normalised already
    dtype = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
    logits = []
    with evaluating(net.to(target_device)):
        for batch in batches(as_items(images, channels), data, batch_size, raw, channels):
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
