"""Reading a config file: what it is based on, what it holds, and the options of the command line over it."""
import ast
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from ...errors import did_you_mean, reading_input
from ...moved import renamed
from ...paths import find_base
from .foreign import check_json
from .options import merge_options
from .plain import plain_config

SUFFIXES = (".py", ".json")
WEIGHTS = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")
MARK = "\ufeff"  # the byte order mark that some editors put before the text


@reading_input()
def load_config(path, options: dict | None = None) -> Config:
    """Read a ``.py`` or ``.json`` config (text style, ``_base_`` inheritance) and merge ``--cfg-options`` into it.

    A ``.json`` config is data: see :func:`openmix.engine.config.foreign.check_json` for what it may not hold. The
    values are plain: NumPy's numbers are Python's, paths are text, and no ``_delete_`` is left.

    Raises:
        FileNotFoundError: no such file, or none that ``_base_`` names.
        ValueError: no config, one based on itself, or options that do not fit into it.
        TypeError: a value that could not be written into the work dir and read again.
    """
    path = Path(os.path.expanduser(path))
    check_file(path)
    texts = dict(chain(path))
    data = path.suffix == ".json"  # a .py config is a program, a .json config is not
    if data:
        check_json(path)
    try:
        with _bases_by_name(), _without_mark(any(text.startswith(MARK) for text in texts.values())):
            config = read_json(path) if data else Config.fromfile(str(path), lazy_import=False)
    except (OSError, ImportError):  # these name the file that is missing
        raise
    except (Exception, SystemExit) as error:  # a config is a program and may fail like one
        raise ValueError(f"{path} cannot be read as a config ({type(error).__name__}: {error})") from error
    try:
        merge_options(config, options or {})
    except ValueError as error:
        raise ValueError(f"--cfg-options do not fit {path}: {error}") from error
    try:
        return plain_config(config)
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from error


def read_json(path: Path) -> Config:
    """A ``.json`` config over its bases. mmengine would replace placeholders and import modules for it."""
    config = json.loads(path.read_text(encoding="utf-8-sig"))
    names, merged = config.pop("_base_", []), {}
    for name in names if isinstance(names, list) else [names]:
        base = find_base(path.parent, name)
        part = read_json(base) if base.suffix == ".json" else Config.fromfile(str(base), lazy_import=False)
        if twice := merged.keys() & part.keys():
            raise KeyError(f"{', '.join(sorted(twice))} in two of its _base_ files")
        merged |= part.to_dict()
    return Config(Config._merge_a_into_b(config, merged), filename=str(path))


def check_file(path: Path) -> None:
    """Raise unless ``path`` is a file that may be a config; the message names what is near, or what it is instead."""
    if path.is_dir():
        names = ", ".join(sorted(p.name for p in path.iterdir() if p.suffix in SUFFIXES)[:9])
        hint = f"name one of its files: {names}" if names else "it holds none"
        raise ValueError(f"{path} is a folder, not a config; {hint}")
    if path.suffix in WEIGHTS:
        raise ValueError(f"configs are .py or .json files, got the checkpoint {path}; the config comes first")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"configs are .py or .json files, got {path}")
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path("configs")
        known = [p.name for p in folder.glob("*.py")]
        raise FileNotFoundError(f"no config {path}; in {folder}: {did_you_mean(path.name, known)}")


def chain(path: Path, above: tuple = ()) -> Iterator[tuple[Path, str]]:
    """A config file and all it is based on, with their texts.

    Raises:
        FileNotFoundError: ``_base_`` names a file that is not there. ValueError: a file is based on itself, or is not
            UTF-8.
    """
    path = path.absolute()
    if path.resolve() in above:
        names = " -> ".join(p.name for p in (*above[above.index(path.resolve()):], path))
        raise ValueError(f"{above[0]} is based on itself by _base_: {names}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} cannot be read as a config: it is not UTF-8 ({error.reason} at byte {error.start}); "
                         "save it as UTF-8") from error
    yield path, text
    for name in bases(path, text):
        base = find_base(path.parent, name)
        if not base.is_file():
            raise FileNotFoundError(f"{path} is based on {name}, but there is no file {base}, and no shipped config of "
                                    "that name (openmix list configs)")
        yield from chain(base, (*above, path.resolve()))


def bases(path: Path, text: str) -> list[str]:
    """What ``_base_`` names in the text of a config, as far as it is plain text and of this folder tree."""
    names: object = []
    with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError, AttributeError):
        if path.suffix == ".json":
            names = json.loads(text.removeprefix(MARK)).get("_base_", [])
        else:
            lines = ast.parse(text.removeprefix(MARK)).body
            names = next((ast.literal_eval(line.value) for line in lines if isinstance(line, ast.Assign)
                          and isinstance(line.targets[0], ast.Name) and line.targets[0].id == "_base_"), [])
    names = names if isinstance(names, (list, tuple)) else [names]
    return [name for name in names if isinstance(name, str) and "::" not in name and "{{" not in name]


@contextlib.contextmanager
def _bases_by_name():
    """Let mmengine find the shipped configs that ``_base_`` names: see :func:`openmix.paths.find_base`."""
    find = Config._get_cfg_path

    def by_name(name: str, filename: str):
        return find(name, filename) if "::" in name else (str(find_base(Path(filename).parent, name)), None)

    Config._get_cfg_path = staticmethod(by_name)
    try:
        yield
    finally:
        Config._get_cfg_path = staticmethod(find)


@contextlib.contextmanager
def _without_mark(needed: bool):
    """Let mmengine read files that begin with a byte order mark: the copy that it makes of each loses it."""
    copy = Config._substitute_predefined_vars

    def unmarked(source: str, target: str) -> None:
        copy(source, target)
        text = Path(target).read_text(encoding="utf-8")
        Path(target).write_text(text.removeprefix(MARK), encoding="utf-8")

    if needed:
        Config._substitute_predefined_vars = staticmethod(unmarked)
    try:
        yield
    finally:
        Config._substitute_predefined_vars = staticmethod(copy)


__getattr__ = renamed(__name__, configure="engine.config.command_line.configure")
