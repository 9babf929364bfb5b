"""The recipes of the shipped configs, to tell whether a run has the settings that a published value belongs to.

Shipped configs are literals with ``_base_`` files, so they are read here without mmengine; tests compare the two.
"""
from functools import cache
from pathlib import Path

from ..paths import config_root
from ..workdir.description import FROM_THE_DATA, network_label, training_label
from .labels import dataset_of, read_config
from .records import Record
from .repetitions import recipe_of

FOLDERS = ("cifar10", "cifar100", "mixup_paper")  # of configs/: those that published tables are of
OF_ALL_METHODS = ("mixup_paper",)  # folders with one config a network, which grids vary
LABELLED = ("model.mixup.", "model.backbone.")  # options that labels already contain


def read(path) -> dict:
    """A shipped config with its ``_base_`` files merged. Raises ValueError: it holds more than literals; OSError."""
    own, config = read_config(path), {}
    for base in own.pop("_base_", ()):
        config = merged(config, read(Path(path).parent / base))
    return merged(config, own)


def merged(base: dict, over: dict) -> dict:
    """``over`` laid over ``base``, dicts key by key; ``_delete_=True`` replaces a dict as a whole."""
    config = dict(base)
    for key, value in over.items():
        if isinstance(value, dict):
            below = config.get(key)
            below = below if isinstance(below, dict) and not value.get("_delete_") else {}
            value = merged(below, {k: v for k, v in value.items() if k != "_delete_"})
        config[key] = value
    return config


@cache
def shipped() -> list[tuple[dict, bool]]:
    """The shipped configs, and whether each is the recipe of all methods; files that are no literals are left out."""
    configs = []
    for path in sorted(path for folder in FOLDERS for path in (config_root() / folder).glob("*.py")):
        try:
            configs.append((read(path), path.parent.name in OF_ALL_METHODS))
        except (ValueError, OSError):
            continue
    return configs


def has_labels(config: dict, record: Record, any_method: bool = False) -> bool:
    """Whether a shipped config has the labels of a record, that of the method too unless it is for all of them."""
    try:
        method = any_method or record.method == training_label(config["model"], record.defaults)
        return method and (
            record.network == network_label(config["model"]["backbone"], record.defaults)) and (
            record.dataset == dataset_of(config, {}))
    except (KeyError, TypeError, AttributeError):
        return False  # a config of one's own in that folder


def comparable(config: dict) -> dict:
    """The recipe of a config without empty dicts and without what labels contain."""
    return {key: value for key, value in recipe_of(config).items() if value != {} and (
        not key.startswith(LABELLED) or key.rsplit(".", 1)[-1] in FROM_THE_DATA)}


def differing(record: Record) -> list[str] | None:
    """Keys in which a run's recipe is not that of the shipped config of its row, sorted; None without such a config.

    Where several shipped configs have that row, the nearest one counts.
    """
    own, missing = comparable(record.config), object()
    others = [comparable(config) for config, any_method in shipped() if has_labels(config, record, any_method)]
    return min(([k for k in sorted(own.keys() | other.keys()) if own.get(k, missing) != other.get(k, missing)]
                for other in others), key=len, default=None)
