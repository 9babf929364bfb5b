"""Folders and files: shipped configs and grids by name, the default work dir, the package itself."""
import difflib
import os
import site
from importlib import resources
from pathlib import Path

CODE = Path(__file__).resolve().parent.parent  # what python needs to find openmix
OTHERS = ("_base_", "grids", "sweeps")  # folders below the configs that hold something else


def config_root() -> Path:
    """The folder of shipped configs: beside the package in a checkout, inside it in an installed wheel."""
    beside = CODE / "configs"
    return beside if (beside / "_base_").is_dir() else Path(str(resources.files("openmix"))) / "configs"


def shipped(kind: str = "configs") -> list[str]:
    """Names below :func:`config_root` of the shipped ``"configs"`` or ``"grids"``: ``cifar100/r18_mixup.py``."""
    root = config_root() / ("grids" if kind == "grids" else "")
    names = [path.relative_to(root) for path in sorted(root.rglob("*.py"))]
    return [name.as_posix() for name in names if not set(OTHERS) & set(name.parts[:-1])]


def find_config(name) -> str:
    """Path of a config: a file that exists, or a shipped one by its name, ``cifar100/r18_mixup`` or with ``.py``.

    What looks like a path to something else (a folder, a checkpoint, a missing file of a folder that exists) is
    returned as it is: its reader explains the problem.

    Raises:
        FileNotFoundError: neither a path nor a shipped name; names the nearest.
    """
    return _find(name, "configs")


def find_base(folder, name: str) -> Path:
    """The file that ``_base_`` names in a config in ``folder``: relative to it or, if none is there, a shipped one.

    ``_base_ = "cifar100/r18_mixup.py"`` (the ending may be left out) works in any project; so do the parts,
    ``_base_ = ["_base_/schedules/cifar_200e.py"]``. A name without a file comes back relative to ``folder``.
    """
    own, root = Path(folder, name), config_root().resolve()
    if not own.is_file() and not os.path.isabs(name):
        for candidate in (root / name, root / f"{name}.py"):
            if candidate.resolve().is_relative_to(root) and candidate.is_file():
                return candidate
    return own


def find_grid(name) -> str:
    """Path of a grid: a file that exists, or ``shapes`` for ``configs/grids/shapes.py`` here or shipped.

    Raises:
        FileNotFoundError: as :func:`find_config`.
    """
    return _find(name, "grids")


def _find(name, kind: str) -> str:
    path = Path(os.path.expanduser(name))
    module = path if path.suffix in (".py", ".json") else path.with_name(f"{path.name}.py")
    below = "configs/grids" if kind == "grids" else "configs"
    short = module.as_posix().removeprefix(f"{below}/")
    own = Path(below, short)  # of a project with configs of its own
    for candidate in (path, module, *([own] if kind == "grids" else [])):
        if candidate.is_file():
            return str(candidate)
    names = shipped(kind)
    if short in names:
        path = config_root() / ("grids" if kind == "grids" else "") / short
        here = Path.cwd().resolve()
        return str(path.relative_to(here) if path.is_relative_to(here) else path)
    if path.is_dir() or path.suffix not in ("", ".py") or path.suffix and path.parent.is_dir():
        return str(path)
    near = difflib.get_close_matches(short, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0].removesuffix('.py')}? " if near else ""
    raise FileNotFoundError(f"no {kind[:-1]} {name}; {hint}all shipped ones: openmix list {kind}")


def child_environment() -> dict[str, str]:
    """Variables with which another Python process imports this very package, wherever it is started."""
    installed = [*site.getsitepackages(), site.getusersitepackages()]
    old = os.environ.get("PYTHONPATH", "")
    if str(CODE) in installed or str(CODE) in old.split(os.pathsep):
        return {}
    return dict(PYTHONPATH=f"{CODE}{os.pathsep}{old}" if old else str(CODE))


def default_work_dir(config_path, seed: int) -> str:
    """``work_dirs/<config path>/seed<k>``: two configs or two seeds never share a folder.

    The path counts from the innermost folder called ``configs``; without one, from the current folder, and for a config
    that does not lie below it, from the root.
    """
    path, here = Path(config_path).resolve().with_suffix(""), Path.cwd()
    parts = path.parts
    if "configs" in parts:
        inside = parts[len(parts) - parts[::-1].index("configs"):]
    else:
        inside = (path.relative_to(here) if path.is_relative_to(here) else path.relative_to(path.anchor)).parts
    return str(Path("work_dirs", *inside, f"seed{seed}"))
