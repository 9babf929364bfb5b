"""From the resolved config in a work dir to the labels of its row and column; nothing is executed or imported.

Configs are read as Python literals, and what a class's defaults are is read from the library's source, so that a table
of a thousand runs needs neither torch nor the code a config may hold.
"""
import ast
import re
from functools import cache
from pathlib import Path

from ..workdir.json_files import MIB, check_text, read_bytes

PACKAGE = Path(__file__).resolve().parent.parent
# options that are no choice of a method or network
FROM_THE_DATA = {"num_classes", "in_channels", "in_features", "image_size", "image_shape", "mean", "std"}
SIZES = ("depth", "widen_factor", "growth_rate")  # part of a network's name: WideResNet-28-8, DenseNet-190-40
LEVELS = 50  # nesting of the values of a config


def read_config(path) -> dict:
    """A resolved config (``key = value`` lines of literals and ``dict(...)``), as plain data.

    Raises:
        ValueError: it is no such file; OSError: it cannot be read.
    """
    path = Path(path)
    try:
        lines = ast.parse(read_bytes(path, MIB).decode("utf-8-sig")).body
        config = {}
        for line in lines:
            if isinstance(line, ast.Assign) and all(isinstance(target, ast.Name) for target in line.targets):
                config |= {target.id: literal(line.value) for target in line.targets}
            elif not isinstance(line, ast.Expr):
                raise ValueError(f"line {line.lineno} is not `key = value`; a run writes a resolved config into its "
                                 "work dir")
    except (RecursionError, MemoryError) as error:  # of Python's parser
        raise ValueError(f"{path} is torn or no config (it is nested too deeply)") from error
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{path} is torn or no config ({type(error).__name__}: {error})") from error
    return config


def literal(node, names=None, levels: int = LEVELS):
    """The value of an expression, with the values of ``names`` filled in; code that is no literal stays text.

    Raises:
        ValueError: it is nested deeper than ``levels``, or holds text that no file can.
    """
    if not levels:
        raise ValueError(f"values are nested deeper than {LEVELS} levels")

    def inner(part):
        return literal(part, names, levels - 1)
    match node:
        case ast.Constant(value=str() as text):
            check_text(text)
            return text
        case ast.Constant(value=None | bool() | int() | float() as value):
            return value
        case ast.Name(id=name) if name in (names or ()):
            return names[name]
        case ast.Dict(keys=keys) if all(isinstance(key, ast.Constant) for key in keys):
            return {inner(k): inner(v) for k, v in zip(keys, node.values, strict=True)}
        case ast.List() | ast.Tuple():
            values = [inner(item) for item in node.elts]
            return values if isinstance(node, ast.List) else tuple(values)
        case ast.Call(func=ast.Name(id="dict"), args=[]) if all(word.arg for word in node.keywords):
            return {word.arg: inner(word.value) for word in node.keywords}
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() | float() as value)], keywords=[]):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    text = ast.unparse(node)
    check_text(text)
    return text


# -- what the source says of a class -------------------------------------------------------------------------------


@cache
def _source(room: str) -> list:
    """What the files in a folder of the package define."""
    return [node for path in sorted((PACKAGE / room).glob("*.py")) for node in ast.parse(path.read_text()).body]


@cache
def classes(room: str) -> dict[str, ast.ClassDef]:
    """The classes defined in a folder of the package."""
    return {node.name: node for node in _source(room) if isinstance(node, ast.ClassDef)}


@cache
def constants(room: str) -> dict[str, object]:
    """Named values that a default may refer to (``layers=(INPUT, "layer1")``)."""
    return {node.targets[0].id: node.value.value for node in _source(room) if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant)}


@cache
def _defaults(room: str, name: str) -> tuple:
    node = classes(room).get(name)
    if node is None:
        return ()
    own = next((f.args for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)
    found = {}
    if own is None or own.kwarg is not None:  # **kwargs go to the constructor of the base
        for base in node.bases:
            found |= dict(_defaults(room, getattr(base, "id", "")))
    if own is not None:
        values = [*zip(own.args[::-1], own.defaults[::-1], strict=False), *zip(own.kwonlyargs, own.kw_defaults,
                                                                                strict=True)]
        found |= {argument.arg: literal(value, constants(room)) for argument, value in values if value is not None}
    return tuple(found.items())


def defaults(room: str, name: str) -> dict:
    """Default values of a class's constructor, by name; empty for a class that is not the library's."""
    return dict(_defaults(room, name))


# -- labels --------------------------------------------------------------------------------------------------------


def plain(value) -> str:
    """A value as a label shows it: 1.0 as 1, nested methods as their labels."""
    if isinstance(value, dict) and "type" in value:
        return method_label(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(plain, value))}]"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def options(found: dict, room: str) -> dict:
    """The options of ``dict(type=..., ...)`` that say something: those that differ from the class's defaults."""
    usual = defaults(room, str(found.get("type")))
    return {k: v for k, v in found.items() if k not in FROM_THE_DATA and k not in ("type", "_scope_")
            and (k not in usual or plain(v) != plain(usual[k]))}


def _with(name: str, chosen: dict) -> str:
    """Name and options; ``|`` would end a cell of a Markdown table."""
    inside = ", ".join(f"{k}={plain(v)}" for k, v in sorted(chosen.items()))
    return (f"{name} ({inside})" if inside else name).replace("|", "/").replace("\n", " ")


def method_label(mixup) -> str:
    """``CutMix (alpha=0.2)``: the type and the options that differ from its defaults."""
    mixup = mixup or dict(type="Vanilla")
    return _with(str(mixup.get("type", "?")), options(mixup, "mixups"))


def network_label(backbone) -> str:
    """``ResNet-18``, ``WideResNet-28-8``, ``ResNet-50 (stem=imagenet)``; of other libraries' networks their name."""
    kind = str(backbone.get("type", "?"))
    usual = defaults("backbones", kind)
    chosen = options(backbone, "backbones")
    if isinstance(backbone.get("name"), str):
        return _with(backbone["name"], {k: v for k, v in chosen.items() if k != "name"})
    sizes = [plain(backbone.get(key, usual.get(key))) for key in SIZES if key in backbone or key in usual]
    return _with("-".join([kind, *sizes]), {k: v for k, v in chosen.items() if k not in SIZES})


def dataset_label(dataset) -> str:
    """``CIFAR-100``; of a folder or an array file its ``name``, or that of the path."""
    node = classes("datasets").get(str(dataset.get("type")))
    names = [line.value.value for line in getattr(node, "body", ()) if isinstance(line, ast.Assign)
             and getattr(line.targets[0], "id", "") == "name" and isinstance(line.value, ast.Constant)]
    own = dataset.get("name") or Path(str(dataset.get("data_root") or "")).stem
    takes_any = {"ArrayFile", "ImageFolderData"} & {str(dataset.get("type"))}
    return str((own if takes_any else names[0] if names else own) or dataset.get("type", "?"))


def slug(label: str) -> str:
    """A label as part of the name of a marker: ``ResNet-50 (stem=imagenet)`` -> ``resnet-50-stem-imagenet``."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def folder_of(dataset: str) -> str:
    """The folder of ``configs/`` that a data set's label belongs to: ``CIFAR-100`` -> ``cifar100``."""
    return slug(dataset).replace("-", "")


def section(dataset: str, network: str) -> str:
    """Name of the part of a table file with all results of a network on a data set: ``cifar100-resnet-18``."""
    return f"{folder_of(dataset)}-{slug(network)}"
