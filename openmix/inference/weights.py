"""A network from the weights of a work dir, a checkpoint, a published file or a file of others."""
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from ..engine import checkpoint, fitting, run_checkpoints
from ..engine.config.foreign import check_plain, network_parts
from ..errors import did_you_mean


def weights_file(folder: Path) -> Path:
    """The newest checkpoint of a work dir; ``best.pth`` only if it is the only one.

    Raises:
        FileNotFoundError: there is none.
    """
    newest, best = run_checkpoints.newest(folder), folder / "best.pth"
    if newest is None and not best.is_file():
        raise FileNotFoundError(f"{folder} holds no checkpoint (epoch_<n>.pth); has the run saved one yet?")
    return newest or best


def load_network(source, network: str | None = None) -> tuple[nn.Module, dict]:
    """A plain network and the metadata of its file.

    Args:
        source: a work dir, a checkpoint of a run, a published file, or a pair (config, checkpoint).
        network: name of one of the run's networks (``mix_q``, ``ema`` ...); by default that of the run's accuracy.

    Returns:
        the :class:`openmix.models.net.Net` in evaluation mode, on the CPU, and a dict with ``network`` (its name),
        ``model`` (arguments of ``build_net``), ``data`` (``classes``, ``mean``, ``std``, ``size``; empty in
        foreign files), ``config`` (None without), ``path`` of the checkpoint, and ``epoch`` and ``top1`` (%) of these
        weights, None if they were not evaluated.

    Raises:
        FileNotFoundError: no such file. ValueError: no weights, of another architecture, or of an unknown one.
    """
    config = None
    if isinstance(source, (tuple, list)) and len(source) == 2:
        config, source = source
    elif str(source).endswith((".py", ".json")):
        raise ValueError(f"{source} is a config and holds no weights; give (config, checkpoint), or a work dir")
    path = Path(os.path.expanduser(source))
    path = weights_file(path) if path.is_dir() else path
    content = checkpoint.load(path)
    meta = content.get("meta") if isinstance(content.get("meta"), Mapping) else {}
    config = plain_config(config) if config is not None else meta_entry(meta, "config", path)
    data = {**((config or {}).get("data_preprocessor") or {}), **(meta_entry(meta, "data", path) or {})}
    facts = dict(config=config, data=data, path=path, epoch=meta.get("epoch"))
    with torch.random.fork_rng(devices=[]):  # do not advance the caller's RNG
        if meta.get("network") is not None and "model" in meta:  # published: one plain network
            name, weights = meta["network"], checkpoint.weights(content)
            parts = network_parts(meta_entry(meta, "model", path), f"{path}: meta.model")
            model = {key: parts.get(key) for key in ("backbone", "head", "num_classes")}
            if network not in (None, name):
                raise ValueError(f"{path} holds the network {name!r} alone, not {network!r}")
        elif config is None:
            raise ValueError(f"{path} does not name its network; give (config, checkpoint), or build "
                             "the network with get_model(..., pretrained=FILE)")
        else:
            name, model, weights = network_from_run(content, config, network, path)
        net = plain_network(model)
        load_strict(net, fitting.named_as_ours(weights, net), path)
    return net.eval(), dict(facts, network=name, model=model, top1=accuracy(content, name, path))


def load_classifier(source) -> nn.Module | None:
    """The :class:`openmix.models.Classifier` of a run, its mixing method as trained; None for files without a method.

    Args:
        source: a work dir or a checkpoint of a run.
    """
    path = Path(os.path.expanduser(source))
    path = weights_file(path) if path.is_dir() else path
    content = checkpoint.load(path)
    config, weights = meta_entry(content.get("meta") or {}, "config", path), checkpoint.weights(content)
    if config is None or not any(key.startswith("net.") for key in weights):
        return None
    with torch.random.fork_rng(devices=[]):
        return restored(network_parts(config.get("model"), f"{path}: config.model"), weights, path)


def restored(parts: dict, weights: dict, path) -> nn.Module:
    """The classifier of these parts with these weights."""
    from ..models import Classifier

    classifier = Classifier(**parts)
    load_strict(classifier, weights, path)
    return classifier


def meta_entry(meta: Mapping, key: str, path) -> dict | None:
    """An entry of ``meta``, None without it. Raises ValueError unless it is a dict of plain data."""
    entry = meta.get(key)
    if entry is not None and not isinstance(entry, Mapping):
        raise ValueError(f"{path}: meta.{key} must be a dict, got {type(entry).__name__}")
    check_plain(entry, f"{path}: meta.{key}")
    return entry


def accuracy(content: dict, network: str, path: Path) -> float | None:
    """Top-1 (%) of the weights in a checkpoint, from its history."""
    if "history_json" not in content:
        return (content.get("meta") or {}).get("top1")
    history = json.loads(content["history_json"])
    between = path.name.startswith("iter_")  # after that epoch's evaluation
    accuracies = ((history[-1].get("val") or {}) if history and not between else {}).get(network) or {}
    return accuracies.get("top1")


def plain_config(config) -> dict:
    """A config (path, Config or dict) as a dict."""
    from ..engine.config.load import load_config

    config = load_config(config) if isinstance(config, (str, Path)) else config
    return config.to_dict() if hasattr(config, "to_dict") else dict(config)


def network_from_run(content: dict, config: dict, network: str | None, path) -> tuple[str, dict, dict]:
    """(name, model, weights) of one of the networks in a run's checkpoint; foreign files hold the trained one."""
    parts = network_parts(config.get("model"), f"{path}: config.model")
    model = {key: parts.get(key) for key in ("backbone", "head", "num_classes")}
    weights = checkpoint.weights(content)
    if not any(key.startswith("net.") for key in weights):
        return network or "net", model, weights
    classifier = restored(parts, weights, path)
    known = {name: net.state_dict() for name, net in classifier.networks().items()}
    if isinstance(content.get("ema"), Mapping):
        known["ema"] = content["ema"]
    name = network or (config.get("val_cfg") or {}).get("network") or next(iter(known))
    if name not in known:
        raise ValueError(f"{path} has no network {name!r}; {did_you_mean(name, known)}")
    return name, model, known[name]


def plain_network(model: dict) -> nn.Module:
    from ..models import build_net

    return build_net(**model)


def load_strict(net: nn.Module, weights: dict, path, new=()) -> None:
    """Load ``weights`` strictly, except for the keys in ``new``.

    Raises:
        ValueError: entries are missing, left over or of another shape; named.
    """
    if problem := fitting.misfits(net.state_dict(), weights, new):
        raise ValueError(f"the weights of {path} are not of this network; {problem}. Build the network with the "
                         "options it was trained with")
    net.load_state_dict(weights, strict=False)


def load_weights(net: nn.Module, path, new_head: bool = True) -> None:
    """Load the weights of a run's checkpoint (the network of its accuracy), a published file or a file of others.

    Weights of another number of classes leave the head new, with a warning; without ``new_head`` they are refused.
    ``net.trained_on`` becomes the ``data`` of the file (see :func:`load_network`), for :func:`openmix.infer`.

    Raises:
        FileNotFoundError: no such file. ValueError: no weights, or of another network.
    """
    path = Path(os.path.expanduser(path))
    content, data = checkpoint.load(weights_file(path) if path.is_dir() else path), None
    meta = content.get("meta") if isinstance(content.get("meta"), Mapping) else {}
    if "model" in meta or "config" in meta:
        trained, facts = load_network(path)
        weights, data = trained.state_dict(), dict(facts["data"])
    else:
        weights = fitting.named_as_ours(checkpoint.weights(content), net)
    own = net.state_dict()
    new = fitting.of_other_classes(own, weights) if new_head else []
    if new:
        warnings.warn(fitting.left_out(own, weights, new, path), stacklevel=3)
        weights = {k: v for k, v in weights.items() if k not in new}
        (data or {}).pop("classes", None)  # they are those of the old head
    load_strict(net, weights, path, new)
    if data is not None:
        net.trained_on = data
