"""The recipes of the shipped configs, to tell whether a run has the settings that a published value belongs to.

Shipped configs are literals with ``_base_`` files, so they are read here without mmengine; tests compare the two.
"""
from functools import cache
from pathlib import Path

from . import labels
from .cells import recipe_of
from .records import Record

FOLDERS = ("cifar10", "cifar100")  # of configs/: those that published tables are of
LABELLED = ("model.mixup.", "model.backbone.")  # options that equal labels stand for


def root() -> Path:
    """``configs/`` beside the package in a checkout, inside it in an installed wheel."""
    beside = labels.PACKAGE.parent / "configs"
    return beside if (beside / "_base_").is_dir() else labels.PACKAGE / "configs"


def read(path) -> dict:
    """A shipped config with its ``_base_`` files merged. Raises ValueError: it holds more than literals; OSError."""
    own, config = labels.read_config(path), {}
    for base in own.pop("_base_", ()):
        config = merged(config, read(Path(path).parent / base))
    return merged(config, own)


def merged(base: dict, over: dict) -> dict:
    """``over`` laid over ``base``, dicts key by key; ``_delete_=True`` replaces a dict as a whole."""
    found = dict(base)
    for key, value in over.items():
        if isinstance(value, dict):
            below = found.get(key)
            below = below if isinstance(below, dict) and not value.get("_delete_") else {}
            value = merged(below, {k: v for k, v in value.items() if k != "_delete_"})
        found[key] = value
    return found


@cache
def recipes() -> dict[tuple[str, str, str], list[dict]]:
    """{(data set, network, method label): recipes of the shipped configs with these labels}."""
    found: dict = {}
    for path in sorted(p for folder in FOLDERS for p in (root() / folder).glob("*.py")):
        try:
            config = read(path)
            key = (labels.dataset_label(config["train_dataloader"]["dataset"]),
                   labels.network_label(config["model"]["backbone"]), labels.method_label(config["model"].get("mixup")))
        except (ValueError, OSError, KeyError, TypeError):
            continue  # a config of one's own in that folder
        found.setdefault(key, []).append(comparable(config))
    return found


def comparable(config: dict) -> dict:
    """The recipe of a config without empty dicts and without what equal labels say already."""
    return {key: value for key, value in recipe_of(config).items() if value != {} and (
        not key.startswith(LABELLED) or key.rsplit(".", 1)[-1] in labels.FROM_THE_DATA)}


def differing(record: Record) -> list[str] | None:
    """Keys in which a run's recipe is not that of the shipped config of its row, sorted; None without such a config.

    Where several shipped configs have that row, the nearest one counts.
    """
    own, missing = comparable(record.config), object()
    found = [sorted(k for k in own.keys() | other.keys() if own.get(k, missing) != other.get(k, missing))
             for other in recipes().get((record.dataset, record.network, record.method), ())]
    return min(found, key=len, default=None)
