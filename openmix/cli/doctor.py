"""Versions, devices and data here, as a bug report needs them: openmix doctor. It shows no secrets."""
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ..arguments import Parser, typed_path

CORE = ("torch", "torchvision", "mmengine", "numpy", "prettytable")
EXTRAS = ("timm", "safetensors", "tensorboard", "wandb", "submitit", "bokeh", "scipy", "matplotlib", "onnx",
          "onnxscript", "kornia")


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("--data-root", type=typed_path, default="data", help="folder of the data sets (data)")
    return parser


def main(args) -> int:
    """0, or 1 if something that every training needs is missing or broken."""
    from ..escape import printable

    lines, problems = [*_software(), *_devices(), *_data(Path(args.data_root))], []
    for name, text in lines:
        if text.startswith("MISSING"):
            problems.append(name)
        print(f"{name:12}  {printable(text)}")
    if problems:
        print(f"openmix does not work without {', '.join(problems)}: see pip install openmix", file=sys.stderr)
    return int(bool(problems))


def _software() -> Iterator[tuple[str, str]]:
    import platform

    from .. import __version__, paths
    from ..workdir.environment import _git, _installed

    git = _git(paths.CODE)
    commit = f", commit {git['commit'][:12]}{' and changes' if git['dirty'] else ''}" if git else ""
    yield "openmix", f"{__version__} in {_home(paths.CODE)}{commit}"
    yield "configs", f"{len(paths.shipped())} in {_home(paths.config_root())}, {len(paths.shipped('grids'))} grids"
    yield "python", f"{platform.python_version()}, {platform.platform()}"
    for name in CORE:
        yield name, _installed(name) or "MISSING"
    extras = {name: _installed(name) for name in EXTRAS}
    yield "extras", ", ".join(f"{name} {version}" for name, version in extras.items() if version) or "none"
    yield "not there", ", ".join(name for name, version in extras.items() if not version) or "none"


def _home(path: Path) -> str:
    """The path without the name of the user."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def _devices() -> Iterator[tuple[str, str]]:
    from ..workdir.environment import VARIABLES

    cores = len(os.sched_getaffinity(0))
    try:
        import torch

        from ..engine.distributed.launch import local_device
        from ..engine.precision import amp_dtype
        from ..workdir.environment import hardware
    except (ImportError, OSError) as error:  # a broken installation is to be reported
        yield "torch", f"MISSING, it cannot be imported: {error}"
        return
    yield "CPU", f"{hardware()}, {cores} cores"
    for i in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(i)
        yield f"GPU {i}", f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, capability {gpu.major}.{gpu.minor}"
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    yield "training on", f"{local_device().type}; torch is {built}"
    chosen = amp_dtype("auto", local_device())
    yield "--amp auto", str(chosen or "float32 (off)").removeprefix("torch.")
    variables = [f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    yield "variables", " ".join(variables) or "none that change numbers or speed"


def _data(root: Path) -> Iterator[tuple[str, str]]:
    """The data sets in a folder, by the names that configs expect there."""
    if not root.is_dir():
        yield "data", f"no folder {root} here; only the embedded shapes can be trained"
        return
    archives = dict(CIFAR10=("cifar-10-python.tar.gz", "cifar-10-batches-py"),
                    CIFAR100=("cifar-100-python.tar.gz", "cifar-100-python"))
    names = [name for name, files in archives.items() if any((root / file).exists() for file in files)]
    for path in sorted(root.iterdir()):
        if path.is_dir() and (path / "info.json").is_file():
            names.append(f"{path} (ArrayFile)")
        elif path.is_dir() and (path / "train").is_dir():
            names.append(f"{path} (ImageFolderData)")
    yield "data", f"in {root}: {', '.join(names) or 'no data set'}"
