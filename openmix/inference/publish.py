"""One network of a run as a file to publish: weights and metadata for inference, without training state."""
import hashlib
import io
import re
from pathlib import Path

import torch

from ..engine import checkpoint
from ..workdir.environment import version
from ..workdir.files import write_atomic
from ..workdir.identity import config_hash
from .weights import load_network

DIGITS = 8  # of the SHA-256 in the name, as torch.hub checks them


def publish(source, folder, network: str | None = None, name: str | None = None) -> Path:
    """Write ``<name>-<first digits of its SHA-256>.pth`` and return its path; the same weights give the same file.

    The file holds ``state_dict``, of a plain network, and ``meta``: ``network``, ``model`` (arguments of
    ``build_net``), ``data`` (class names, mean, std, size), ``config`` and its hash, ``top1`` and ``epoch`` of these
    weights. It is read with ``weights_only=True``.

    Args:
        source: a work dir, one of its checkpoints, or (config, checkpoint).
        network: name of one of the run's networks; by default that of the run's accuracy.
        name: by default that of the config and the network.

    Raises:
        FileNotFoundError, ValueError: see :func:`openmix.inference.weights.load_network`; a name that is no file name.
    """
    net, facts = load_network(source, network)
    name = name or default_name(facts)
    if not re.fullmatch(r"[\w.+=@-]+", name) or name.startswith("."):
        raise ValueError(f"{name!r} cannot be the name of a file; use letters, digits and _ . + = @ -")
    config = facts["config"]
    meta = dict(openmix=version(), network=facts["network"], model=facts["model"], data=facts["data"], config=config,
                config_hash=config_hash(config) if config else None, epoch=facts["epoch"], top1=facts["top1"])
    buffer = io.BytesIO()
    torch.save(checkpoint.plain(dict(meta=meta, state_dict=net.state_dict())), buffer)
    data = buffer.getvalue()
    path = Path(folder) / f"{name}-{hashlib.sha256(data).hexdigest()[:DIGITS]}.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
    return path


def default_name(facts: dict) -> str:
    """``r18_mixup_net`` for the network ``net`` of a run whose config was ``r18_mixup.py``."""
    configs = sorted(facts["path"].parent.glob("*.py"))
    stem = configs[0].stem if configs else facts["path"].stem
    return f"{stem}_{facts['network']}"
