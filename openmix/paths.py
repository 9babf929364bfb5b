"""Folders: shipped configs, the default work dir."""
from importlib import resources
from pathlib import Path


def config_root() -> Path:
    """The folder of shipped configs: beside the package in a checkout, inside it in an installed wheel."""
    beside = Path(__file__).resolve().parent.parent / "configs"
    return beside if (beside / "_base_").is_dir() else Path(str(resources.files("openmix"))) / "configs"


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
