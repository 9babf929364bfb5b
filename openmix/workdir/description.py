"""The names of a run in tables: method, network and data set, each with the options that differ from the defaults.

A run writes its description into ``env.json`` and ``result.json``. ``defaults`` is ``{class: {option: value}}``, which
the run knows from the classes that it builds.
"""
from .json_files import dict_of, fits

# options that are no choice of a method or network
FROM_THE_DATA = {"num_classes", "in_channels", "in_features", "image_size", "image_shape", "mean", "std"}
SIZES = ("depth", "widen_factor", "growth_rate")  # part of a network's name: WideResNet-28-8, DenseNet-190-40
FIELDS = dict(method=str, network=str, dataset=str, defaults=dict_of(dict))


def is_description(value) -> bool:
    """Whether a field of a file is what :func:`describe` returns."""
    return fits(value, dict) and all(fits(value.get(key), kind) for key, kind in FIELDS.items())


def describe(model: dict, dataset: str, defaults: dict) -> dict:
    """The description of a run.

    Args:
        model: the ``model`` of its config. dataset: name of the training data. defaults: of the classes in ``model``.
    """
    return dict(method=training_label(model, defaults), dataset=dataset,
                network=network_label(model.get("backbone") or {}, defaults), defaults=defaults)


def training_label(model: dict, defaults: dict) -> str:
    """The mixing method, and the loss where it is a method of its own: one that ``defaults`` names.

    ``CutMix (alpha=0.2) + DecoupledCrossEntropy (mode=less)``
    """
    method, loss = method_label(model.get("mixup"), defaults), model.get("loss")
    named = isinstance(loss, dict) and str(loss.get("type")) in defaults
    return f"{method} + {method_label(loss, defaults)}" if named else method


def method_label(mixup: dict | None, defaults: dict) -> str:
    """``CutMix (alpha=0.2)``: the type and the options that differ from its defaults."""
    mixup = mixup or dict(type="Vanilla")
    return _label(str(mixup.get("type", "?")), options(mixup, defaults), defaults)


def network_label(backbone: dict, defaults: dict) -> str:
    """``ResNet-18``, ``WideResNet-28-8``, ``ResNet-50 (stem=imagenet)``; of other libraries' networks their name."""
    kind = str(backbone.get("type", "?"))
    usual, chosen = defaults.get(kind, {}), options(backbone, defaults)
    if isinstance(backbone.get("name"), str):
        return _label(backbone["name"], {k: v for k, v in chosen.items() if k != "name"}, defaults)
    sizes = [plain(backbone.get(key, usual.get(key))) for key in SIZES if key in backbone or key in usual]
    return _label("-".join([kind, *sizes]), {k: v for k, v in chosen.items() if k not in SIZES}, defaults)


def options(part: dict, defaults: dict) -> dict:
    """The options of ``dict(type=..., ...)`` that differ from the defaults of its class."""
    usual = defaults.get(str(part.get("type")), {})
    return {k: v for k, v in part.items() if k not in FROM_THE_DATA and k not in ("type", "_scope_")
            and (k not in usual or plain(v, defaults) != plain(usual[k], defaults))}


def plain(value, defaults: dict | None = None) -> str:
    """A value as a label shows it: 1.0 as 1, methods and networks inside a method as their labels."""
    if isinstance(value, dict) and isinstance(value.get("backbone"), dict):  # a network in a method: a teacher
        return network_label(value["backbone"], defaults or {})
    if isinstance(value, dict) and "type" in value:
        return method_label(value, defaults or {})
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(plain(item, defaults) for item in value)}]"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _label(name: str, chosen: dict, defaults: dict) -> str:
    """Name and options; ``|`` would end a cell of a Markdown table."""
    inside = ", ".join(f"{key}={plain(value, defaults)}" for key, value in sorted(chosen.items()))
    return (f"{name} ({inside})" if inside else name).replace("|", "/").replace("\n", " ")
