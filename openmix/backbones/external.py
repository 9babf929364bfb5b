"""Any classification network of torchvision as a backbone, by its name there, and what timm's share with them.

The last linear layer is removed. The layers before it stay, pooling and dropout included, so features are
(N, out_channels). The names of layers begin with ``model.``, e.g. ``model.layer1``. Both libraries are imported on
first use.
"""
import inspect

import torch
from torch import Tensor, nn

from ..errors import did_you_mean
from ..moved import renamed

AUXILIARY = {"AuxLogits", "aux1", "aux2"}  # second classifiers of GoogLeNet and Inception


def torchvision_builder(name: str):
    """The function of ``torchvision.models`` that builds ``name``.

    Raises:
        ValueError: torchvision has no such classification model.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise ValueError(f"torchvision has no classification model {name!r}; {did_you_mean(name, known)}")
    return models.get_model_builder(name)


def torchvision_options(name: str) -> set[str]:
    """The named keyword arguments of a torchvision model's class, without ``**kwargs``, which hides typos."""
    cls = inspect.signature(torchvision_builder(name)).return_annotation
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - {"num_classes"}


def cut_classifier(model: nn.Module) -> tuple[int, str | None]:
    """Replace the last linear layer (SqueezeNet: convolution) by the identity.

    Returns:
        the layer's number of input features, and its name; None for a convolution, which a linear head cannot replace.
    """
    layers = [(k, m) for k, m in model.named_modules() if isinstance(m, nn.Linear)]
    layers = layers or [(k, m) for k, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    path, layer = layers[-1]
    parent, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(parent), leaf, nn.Identity())
    return (layer.in_features, path) if isinstance(layer, nn.Linear) else (layer.in_channels, None)


def mix_layers(model: nn.Module) -> dict[str, str]:
    """``layer1`` ... ``layer4`` of ResNets, for another network the last layers of the quarters of its depth."""
    own = dict(model.named_modules())
    if "layer1" in own:
        return {name: f"model.{name}" for name in ("layer1", "layer2", "layer3", "layer4") if name in own}
    info = getattr(model, "feature_info", None)
    ends = [entry["module"] for entry in info if isinstance(entry, dict)] if isinstance(info, list) else []
    for holder in ("features", "encoder.layers"):  # torchvision
        ends = ends or [f"{holder}.{name}" for name, _ in own[holder].named_children()] if holder in own else ends
    ends = [name for name in ends if name in own]
    return {f"layer{k}": f"model.{ends[k * len(ends) // 4 - 1]}" for k in range(1, 5)} if len(ends) >= 4 else {}


def as_net(weights: dict, classifier: str | None, without=()) -> dict:
    """A state dict of the library's whole network, renamed for our backbone and head.

    Args:
        classifier: name of the layer that our linear head replaces; None if there is no such layer.
        without: modules that were removed.
    """
    renamed = {}
    for key, value in weights.items():
        if classifier is not None and key.startswith(f"{classifier}."):
            renamed[f"head.fc.{key.removeprefix(f'{classifier}.')}"] = value
        elif key.partition(".")[0] not in without:
            renamed[f"backbone.model.{key}"] = value
    if "head.fc.weight" in renamed:  # a layer without bias
        renamed.setdefault("head.fc.bias", torch.zeros(len(renamed["head.fc.weight"])))
    return renamed


class TorchvisionModel(nn.Module):
    """A torchvision classification network without its classifier.

    Args:
        name: as in ``torchvision.models.list_models()``, e.g. ``"resnet18"``.
        weights: pretrained ones by torchvision's name (``"DEFAULT"``, ``"IMAGENET1K_V1"``), downloaded by it.
        options: keywords of the model's class, e.g. ``image_size`` of a ViT.

    Raises:
        ValueError: unknown name, weights or option.
    """

    def __init__(self, name, weights=None, **options):
        super().__init__()
        known = torchvision_options(name)
        for key in options:
            if key not in known:
                raise ValueError(f"torchvision's {name} has no option {key!r}; {did_you_mean(key, known)}")
        weights = find_weights(name, weights)
        if "aux_logits" in known and weights is None:  # a second classifier, which would make outputs tuples
            options.setdefault("aux_logits", False)
        self.model = torchvision_builder(name)(weights=weights, **options)
        if "aux_logits" in known and not options.get("aux_logits"):  # published weights come with it
            self.model.aux_logits = False
            for head in AUXILIARY & dict(self.model.named_children()).keys():
                setattr(self.model, head, None)
        self.out_channels, self.classifier = cut_classifier(self.model)
        self.mix_layers = mix_layers(self.model)

    @classmethod
    def config_keys(cls, cfg: dict) -> set[str]:
        """Keys that a config of this class may have; they depend on the model named."""
        return {"name", "weights"} | (torchvision_options(cfg["name"]) if "name" in cfg else set())

    def translate(self, weights: dict) -> dict:
        """torchvision's own state dict of this network in our names; see :func:`as_net`."""
        return as_net(weights, self.classifier, AUXILIARY)

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


def find_weights(name: str, weights):
    """torchvision's enum member for a name of pretrained weights."""
    from torchvision import models

    if not isinstance(weights, str):
        return weights
    known = models.get_model_weights(name)
    key = weights.rpartition(".")[2]
    if key not in known.__members__:
        raise ValueError(f"torchvision's {name} has no weights {weights!r}; {did_you_mean(key, known.__members__)}")
    return known[key]


__getattr__ = renamed(__name__, TimmModel="backbones.timm_models.TimmModel",
                      has_model="backbones.timm_models.has_model")
