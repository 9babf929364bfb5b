"""One network of a run as a file to publish: weights and metadata for inference, without training state."""
import hashlib
import re
from pathlib import Path

from ..errors import did_you_mean
from ..workdir.environment import version
from ..workdir.files import write_atomic
from ..workdir.identity import config_hash
from .formats import FORMATS
from .weights import load_network

DIGITS = 8  # of the SHA-256 in the name, as torch.hub checks them


def publish(source, folder, network: str | None = None, name: str | None = None, format: str = "pth") -> Path:
    """Write ``<name>-<first digits of its SHA-256>.<format>`` and return its path; the same weights give the same file.

    Each format has ``meta``: ``network``, ``model`` (arguments of ``build_net``), ``data`` (class names, mean, std,
    size), ``config`` and its hash, ``top1`` and ``epoch`` of these weights.

    Args:
        source: a work dir, one of its checkpoints, or (config, checkpoint).
        network: name of one of the run's networks; by default that of the run's accuracy.
        name: by default that of the config and the network.
        format: ``"pth"`` (with ``state_dict``, of a plain network), ``"safetensors"`` (these tensors) or ``"onnx"`` (a
            graph from images in [0, 1] to logits); see :mod:`openmix.inference.formats`.

    Raises:
        FileNotFoundError, ValueError: see :func:`openmix.inference.weights.load_network`; a name that is no file name;
            an unknown format. ImportError: the format needs a package that is not installed.
    """
    if format not in FORMATS:
        raise ValueError(f"no format {format!r}; {did_you_mean(format, FORMATS)}")
    net, facts = load_network(source, network)
    name = name or default_name(facts)
    if not re.fullmatch(r"[\w.+=@-]+", name) or name.startswith("."):
        raise ValueError(f"{name!r} cannot be the name of a file; use letters, digits and _ . + = @ -")
    config = facts["config"]
    meta = dict(openmix=version(), network=facts["network"], model=facts["model"], data=facts["data"], config=config,
                config_hash=config_hash(config) if config else None, epoch=facts["epoch"], top1=facts["top1"])
    data = FORMATS[format](net, meta)
    path = Path(folder) / f"{name}-{hashlib.sha256(data).hexdigest()[:DIGITS]}.{format}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
    return path


def default_name(facts: dict) -> str:
    """``r18_mixup_net`` for the network ``net`` of a run whose config was ``r18_mixup.py``."""
    configs = sorted(facts["path"].parent.glob("*.py"))
    stem = configs[0].stem if configs else facts["path"].stem
    return f"{stem}_{facts['network']}"
