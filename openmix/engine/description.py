"""The description of a run, with the defaults of the classes that its config names."""
import json

from ..registry import BACKBONES, LOSSES, MIXUPS, default_values
from ..workdir.description import describe


def description(model: dict, dataset: str) -> dict:
    """See :func:`openmix.workdir.description.describe`; JSON-ready."""
    named = [(MIXUPS, kind) for kind in types(model.get("mixup") or dict(type="Vanilla"))]
    named += [(BACKBONES, kind) for part in ("backbone", "mixup") for kind in types(model.get(part))]  # (of a teacher)
    named += [(LOSSES, kind) for kind in types(model.get("loss")) if getattr(LOSSES.get(kind), "in_label", False)]
    return describe(model, dataset, {kind: defaults(registry.get(kind)) for registry, kind in named
                                     if registry.get(kind) is not None})


def types(config) -> list[str]:
    """The ``type`` of a config and of all configs inside it."""
    if isinstance(config, (list, tuple)):
        return [kind for item in config for kind in types(item)]
    if not isinstance(config, dict):
        return []
    own = [config["type"]] if isinstance(config.get("type"), str) else []
    return own + types(list(config.values()))


def defaults(cls) -> dict:
    """The default values of a class's options; what JSON has no form for is text."""
    return json.loads(json.dumps(default_values(cls), default=str))
