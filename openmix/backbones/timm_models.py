"""Any classification network of timm as a backbone, by its name there; see :mod:`openmix.backbones.external`."""
import contextlib
import inspect
import re
import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_count
from ..errors import did_you_mean
from .external import as_net, mix_layers, torchvision_builder


def import_timm():
    """The package timm. Raises ImportError with the line that installs it."""
    try:
        import timm
    except ImportError as error:
        raise ImportError('TimmModel needs timm: pip install timm') from error
    return timm

LOADING = ("checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay")  # options that name files and addresses


def check_timm_name(name: str) -> None:
    """Raise ValueError unless timm has an architecture ``name`` (a tag of pretrained weights may follow a dot)."""
    timm = import_timm()
    if not isinstance(name, str) or not re.fullmatch(r"\w+(\.\w+)?", name) or not timm.is_model(name):
        raise ValueError(f"timm has no model {name!r}; {did_you_mean(name, timm.list_models())}")


def timm_network(name: str, pretrained: bool, options: dict) -> nn.Module:
    """timm's network without classifier. Raises ValueError for an option it does not take, naming the nearest."""
    timm = import_timm()
    for key in LOADING:
        if key in options:
            raise ValueError(f"TimmModel has no option {key!r}, which loads weights from anywhere; load a file by "
                             "--load-from or get_model(pretrained=FILE), timm's own weights by pretrained=True")
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
    except TypeError as error:  # timm's models check their keywords only when they are built
        wrong = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
        module = sys.modules[timm.model_entrypoint(name.partition(".")[0]).__module__]
        network = getattr(module, wrong[1], None) if wrong else None
        if network is None:
            raise ValueError(f"timm's {name} does not take these options: {error}") from error
        known = set(inspect.signature(network).parameters) - {"num_classes", "kwargs"}
        raise ValueError(f"timm's {name} has no option {wrong[2]!r}; {did_you_mean(wrong[2], known)}") from error


def has_model(kind: str, name) -> bool:
    """Whether the library of ``kind`` ("TorchvisionModel" or "TimmModel") has a network ``name``; imports it."""
    try:
        torchvision_builder(name) if kind == "TorchvisionModel" else check_timm_name(name)
    except (ValueError, ImportError):
        return False
    return True


class TimmModel(nn.Module):
    """A timm network without its classifier.

    Args:
        name: as in ``timm.list_models()``, e.g. ``"deit_small_patch16_224"`` or ``"resnet18.a1_in1k"``.
        pretrained: load timm's weights, downloaded by it.
        resize: side in pixels to which images are enlarged before the network (bicubic), e.g. 224 for small images.
        options: keywords of ``timm.create_model`` and of the model, e.g. ``img_size``, ``drop_path_rate``.

    Raises:
        ImportError: timm is not installed.
        ValueError: unknown name or option.
    """

    def __init__(self, name, pretrained=False, resize=None, **options):
        super().__init__()
        check_timm_name(name)
        self.resize = None if resize is None else check_count("resize", resize, 1, " pixels")
        if "num_classes" in options:
            raise ValueError("TimmModel has no option 'num_classes': the head knows the classes")
        self.model = timm_network(name, pretrained, options)
        self.out_channels = getattr(self.model, "head_hidden_size", None) or self.model.num_features
        self.mix_layers = mix_layers(self.model)

    def translate(self, weights: dict) -> dict:
        """timm's own state dict of this network in our names; see :func:`as_net`."""
        classifier = (getattr(self.model, "pretrained_cfg", None) or {}).get("classifier")
        return as_net(weights, classifier if isinstance(classifier, str) else None)  # a pair: distilled, no one head

    @classmethod
    def config_keys(cls, cfg: dict) -> None:
        """Checks the name, and the options by building the network without memory for its weights."""
        options = {k: v for k, v in cfg.items() if k not in ("type", "_scope_", "name", "pretrained", "resize")}
        if "name" in cfg:
            check_timm_name(cfg["name"])
        if "name" in cfg and options:
            with contextlib.suppress(RuntimeError, NotImplementedError), torch.device("meta"):
                timm_network(cfg["name"], False, options)

    def forward(self, images: Tensor) -> Tensor:
        if self.resize is not None:
            images = F.interpolate(images, size=(self.resize, self.resize), mode="bicubic")
        return self.model(images)
