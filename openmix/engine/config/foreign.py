"""Configs that a stranger may have sent: a ``.json`` file, or what a checkpoint holds. They are data and never code.

A ``.py`` config is a program, which its reader trusts. A ``.json`` config names registered things only and imports
nothing. The config in a checkpoint builds networks alone, and these load and download nothing.
"""
import ast
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

DEPTH = 50  # of nested dicts and lists
NO_KEY = re.compile(r"['\"\\\x00-\x1f\x7f]")  # would end the quotes of a key where the config is written as Python
LOADING = re.compile(r"weights|pretrained\w*|checkpoint(_path)?|init_cfg|load_from|cache_dir")
NOTHING = ("None", "''", "[]", "{}", "dict()", "dict(imports=[])")
PARTS = ("backbone", "head", "mixup", "loss")  # of a classifier; a loss may have tensors in the state dict


def check_plain(value, where: str, depth: int = 0) -> None:
    """Raise ValueError unless ``value`` is text, a number, a bool, None, or made of these by lists and dicts."""
    if depth > DEPTH:
        raise ValueError(f"{where}: nested more than {DEPTH} times")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str) and NO_KEY.search(key) or not isinstance(key, (str, int, float, type(None))):
                raise ValueError(f"{where}: {key!r} is no name; keys have no quotes, backslashes or line breaks")
            if key == "type" and not isinstance(item, str):
                raise ValueError(f"{where}.type must be the name of a registered class, got {item!r}")
            check_plain(item, f"{where}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            check_plain(item, f"{where}[{i}]", depth + 1)
    elif type(value) not in (bool, int, float, str, type(None)):
        raise ValueError(f"{where} is a {type(value).__name__}; a config is made of text, numbers, lists and dicts")


# -- .json configs -------------------------------------------------------------------------------------------------


def check_json(path, above: tuple = ()) -> None:
    """Refuse a ``.json`` config that would run code: by ``custom_imports``, or by a ``_base_`` that is a program.

    Raises:
        ValueError: the message names the key and what to do. FileNotFoundError: a ``_base_`` that is not there.
    """
    from ...paths import config_root, find_base

    path = os.path.abspath(os.path.expanduser(path))
    if path in above:
        raise ValueError(f"{path} cannot be read as a config: it is its own _base_")
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no config {path}{f', a _base_ of {above[-1]}' if above else ''}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as a config ({type(error).__name__}: {error})") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} cannot be read as a config: it holds a {type(config).__name__}, not an object")
    check_plain(config, path)
    imports = config.get("custom_imports")
    if imports and not (isinstance(imports, dict) and not imports.get("imports")):
        raise ValueError(f"{path}: custom_imports runs modules, and a .json config is data that anybody may have sent; "
                         "write a .py config that has these imports")
    bases = config.get("_base_") or []
    for base in bases if isinstance(bases, list) else [bases]:
        if not isinstance(base, str):
            raise ValueError(f"{path}: _base_ must be a path or a list of paths, got {base!r}")
        file = str(find_base(os.path.dirname(path), base))
        if os.path.splitext(file)[1] == ".json" and "::" not in base:
            check_json(file, (*above, path))
        elif os.path.splitext(file)[1] != ".py" or not Path(file).resolve().is_relative_to(config_root().resolve()):
            raise ValueError(f"{path}: _base_ {base!r} may be a program, and a .json config is data; its bases are "
                             f".json files and the shipped configs in {config_root()}. Any other needs a .py config")


# -- resolved configs of runs --------------------------------------------------------------------------------------


def runs_code(path) -> str | None:
    """Why training with the resolved ``.py`` config of a run would execute more than this library; None if not."""
    text = Path(path).read_text(encoding="utf-8-sig")
    if "{{" in text:  # mmengine replaces these before it reads the rest
        return "it has text in {{ }}, which is replaced before it is read"
    for line in ast.parse(text).body:
        if not isinstance(line, ast.Assign) or not all(isinstance(target, ast.Name) for target in line.targets):
            return f"line {line.lineno} is not `key = value`"
        name = line.targets[0].id
        if name in ("custom_imports", "_base_") and ast.unparse(line.value) not in NOTHING:
            return f"it has {name}"
        if not is_literal(line.value):
            return f"{name} (line {line.lineno}) is no literal"
    return None


def is_literal(node) -> bool:
    """Whether an expression is made of literals, ``dict(key=literal)`` and ``float("inf")`` alone."""
    match node:
        case ast.Constant():
            return True
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return is_literal(operand)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return all(map(is_literal, items))
        case ast.Dict(keys=keys, values=values):
            return all(map(is_literal, (*keys, *values)))
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words):
            return all(word.arg is not None and is_literal(word.value) for word in words)
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant()], keywords=[]):
            return True
    return False


# -- configs in checkpoints ----------------------------------------------------------------------------------------


def network_parts(model, where: str) -> dict:
    """``backbone``, ``head``, ``mixup``, ``loss`` and ``num_classes`` of a model's config that came with weights.

    Options that load or download weights are left out: those of the file replace them.

    Raises:
        ValueError: it is no config of a network.
    """
    if not isinstance(model, Mapping) or not isinstance(model.get("backbone"), Mapping):
        raise ValueError(f"{where} is no config of a network: it has no backbone=dict(type=...)")
    for part in PARTS:
        if model.get(part) is not None and not isinstance(model[part], Mapping):
            raise ValueError(f"{where}.{part} must be a dict with a 'type', got {model[part]!r}")
    parts = {part: model[part] for part in PARTS if model.get(part) is not None}
    for part in parts.keys() - {"loss"}:  # (weights of classes are a loss's)
        parts[part] = without_loading(parts[part])
    return dict(parts, num_classes=model.get("num_classes"))


def without_loading(value):
    """A part of a network's config without the weights it starts from, at any depth."""
    if isinstance(value, Mapping):
        return {k: without_loading(v) for k, v in value.items() if not LOADING.fullmatch(str(k))}
    return [without_loading(v) for v in value] if isinstance(value, (list, tuple)) else value
