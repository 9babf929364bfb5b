"""From the resolved config in a work dir, and the description that the run wrote, to the labels of its row and column.

Configs are read as Python literals: nothing is executed, so that a table of a thousand runs needs neither torch nor the
code that a config may hold.
"""
import ast
import json
import re
from functools import cache
from pathlib import Path

from ..moved import renamed
from ..workdir.description import network_label, training_label
from ..workdir.json_files import MIB, check_text, read_bytes

LEVELS = 50  # nesting of the values of a config
OLD_DATASETS = dict(CIFAR10="CIFAR-10", CIFAR100="CIFAR-100", Shapes="Shapes")


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


def literal(node, levels: int = LEVELS):
    """The value of an expression; code that is no literal stays text.

    Raises:
        ValueError: it is nested deeper than ``levels``, or holds text that no file can.
    """
    if not levels:
        raise ValueError(f"values are nested deeper than {LEVELS} levels")

    def inner(part):
        return literal(part, levels - 1)
    match node:
        case ast.Constant(value=str() as text):
            check_text(text)
            return text
        case ast.Constant(value=None | bool() | int() | float() as value):
            return value
        case ast.Dict(keys=keys) if all(isinstance(key, ast.Constant) for key in keys):
            return {inner(k): inner(v) for k, v in zip(keys, node.values, strict=True)}
        case ast.List() | ast.Tuple():
            values = [inner(item) for item in node.elts]
            return values if isinstance(node, ast.List) else tuple(values)
        case ast.Call(func=ast.Name(id="dict"), args=[]) if all(word.arg for word in node.keywords):
            return {word.arg: inner(word.value) for word in node.keywords}
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() | float() as value)], keywords=[]):
            return float(value)
        case ast.BinOp(left=ast.Constant(value=int() as above), op=ast.Div(), right=ast.Constant(value=int() as below)
                       ) if below:
            return above / below
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    text = ast.unparse(node)
    check_text(text)
    return text


# -- labels --------------------------------------------------------------------------------------------------------


@cache
def old_defaults() -> dict[str, dict]:
    """{class: {option: default}} for the runs that wrote no description, as they were for these."""
    return json.loads((Path(__file__).parent / "defaults.json").read_text(encoding="utf-8"))


def method_of(config: dict, description: dict) -> str:
    """Label of the mixing method, by the run's description or else its config."""
    return description.get("method") or training_label(config["model"], old_defaults())


def network_of(config: dict, description: dict) -> str:
    """Label of the network."""
    return description.get("network") or network_label(config["model"]["backbone"], old_defaults())


def dataset_of(config: dict, description: dict) -> str:
    """``CIFAR-100``; of a folder or an array file its ``name``, or that of the path."""
    name = description.get("dataset") or _dataset_name(config["train_dataloader"]["dataset"])
    if name in ("SpeechCommands", "Speech Commands"):  # earlier runs did not name their count
        name = f"Speech Commands ({config['model'].get('num_classes')} words)"
    return name


def _dataset_name(dataset: dict) -> str:
    kind, inner, name = str(dataset.get("type")), dataset.get("data"), dataset.get("name")
    if isinstance(inner, dict) and not name:  # a wrapper, named as Subset names itself
        chosen = f"{dataset['per_class']} a class" if "per_class" in dataset else kind
        chosen = f"{len(dataset['indices'])} chosen" if isinstance(dataset.get("indices"), (list, tuple)) else chosen
        return f"{_dataset_name(inner)} ({chosen})"
    return OLD_DATASETS.get(kind) or str(name or Path(str(dataset.get("data_root") or "")).stem or kind)


def slug(label: str) -> str:
    """A label as part of the name of a marker: ``ResNet-50 (stem=imagenet)`` -> ``resnet-50-stem-imagenet``."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def folder_of(dataset: str) -> str:
    """The folder of ``configs/`` that a data set's label belongs to: ``CIFAR-100`` -> ``cifar100``."""
    return slug(dataset).replace("-", "")


def part_name(dataset: str, network: str) -> str:
    """Name of the part of a table file with all results of a network on a data set: ``cifar100-resnet-18``."""
    return f"{folder_of(dataset)}-{slug(network)}"


__getattr__ = renamed(__name__, section="part_name")
