"""Whether the data sets that a config names fit together, before any is read.

What a loader of evaluation is refused for, its key ``allow`` permits: ``"other_data"``, another data set than that of
training; ``"other_classes"``, labels that count as they are numbered, whatever the classes are called;
``"training_images"``, images that are trained on.
"""
import inspect
from collections.abc import Mapping
from pathlib import Path

from ...datasets.options import local_path, statistics
from ...errors import did_you_mean
from ...registry import DATASETS

ALLOWED = ("other_data", "other_classes", "training_images")


def check_data(cfg) -> None:
    """Check the data sets that a config names against each other, before any is read.

    Raises:
        ValueError: evaluation on another set than training, or on the images that are trained on; statistics of the
            channels that differ. TypeError: ``allow`` is no list.
    """
    train = dataset_of(cfg, "train_dataloader")
    for name in evaluations_of(cfg):
        other = dataset_of(cfg, name)
        if other is None:
            continue
        allow = allowed(loader_of(cfg, name), name)
        if train is None:
            continue
        if "other_data" not in allow and origin(train) != origin(other):
            raise ValueError(f"train_dataloader reads {spelled(train)} and {name} reads {spelled(other)}: give "
                             f"{name}.dataset the same data, or set {name}.allow=['other_data'] if that is meant")
        training_error = name == "test_dataloader" and other.get("split", "train") == "train"
        loaders = [loader_of(cfg, key) or {} for key in ("train_dataloader", name)]
        wrapped = any(is_wrapped(loader.get("dataset")) for loader in loaders)  # their overlap is seen in the data
        if not training_error and "training_images" not in allow and not wrapped and root(train) == root(other) and \
                declared_overlap(train, other):
            raise ValueError(f"{name}.dataset ({part(other)}) holds images that are trained on, as train_dataloader."
                             f"dataset is {part(train)}: give both the same val_size and the splits 'train' and 'val', "
                             f"or set {name}.allow=['training_images'] if that is meant")
    check_statistics(cfg)


def evaluations_of(cfg) -> list[str]:
    """Where a config names data of evaluation."""
    return ["val_dataloader", "test_dataloader", *(f"evals.{name}" for name in cfg.get("evals") or ())]


def loader_of(cfg, name: str):
    """The config of the loader at ``val_dataloader``, ``evals.<name>`` ...; None without one."""
    loader = cfg
    for key in name.split("."):
        loader = (loader or {}).get(key)
    return loader


def dataset_of(cfg, name: str):
    """The dict of a loader's data set, without the wrappers around it, or None."""
    dataset = (loader_of(cfg, name) or {}).get("dataset")
    while is_wrapped(dataset):
        dataset = dataset["data"]
    return dataset if isinstance(dataset, Mapping) else None


def is_wrapped(dataset) -> bool:
    """Whether a data set's config is that of a wrapper, such as ``Subset``, around another."""
    return isinstance(dataset, Mapping) and isinstance(dataset.get("data"), Mapping) and "type" in dataset["data"]


def allowed(loader, name: str) -> tuple:
    """The values of the key ``allow``, checked."""
    allow = loader.get("allow") or ()
    if not isinstance(allow, (list, tuple)):
        raise TypeError(f"{name}.allow must be a list of {', '.join(map(repr, ALLOWED))}, got {allow!r}")
    for value in allow:
        if value not in ALLOWED:
            raise ValueError(f"{name}.allow: unknown value {value!r}; {did_you_mean(value, ALLOWED)}")
    return tuple(allow)


def kind_of(dataset) -> str:
    """Name of the class of a data set."""
    kind = dataset.get("type")
    return getattr(kind, "__name__", kind)


def class_of(dataset):
    """The class of a data set."""
    return DATASETS.get(dataset["type"]) if isinstance(dataset["type"], str) else dataset["type"]


def root(dataset) -> Path | None:
    """The folder of a data set, from its config or the default of its class; None for sets without files."""
    path = dataset.get("data_root")
    if path is None:
        default = inspect.signature(class_of(dataset)).parameters.get("data_root")
        path = None if default is None or default.default is default.empty else default.default
    return None if path is None else local_path(path).absolute()


def origin(dataset) -> tuple:
    """Which data set a config names, whatever the split: npz files of one folder are one set."""
    path = root(dataset)
    return kind_of(dataset), path.parent if path is not None and path.suffix == ".npz" else path, dataset.get("name")


def spelled(dataset) -> str:
    path, name = root(dataset), dataset.get("name")
    return f"{kind_of(dataset)}{f' {name!r}' if name else ''}{f' of {path}' if path else ''}"


def part(dataset) -> str:
    """Split and val_size, as a config has them."""
    size = dataset.get("val_size", 0)
    return f"split {dataset.get('split', 'train')!r}" + (f" with val_size={size}" if size else "")


def declared_overlap(train, other) -> bool:
    """Whether two configs of the same files name common images: held-out parts of other sizes are nested."""
    if kind_of(train) != kind_of(other) or any(train.get(key) != other.get(key) for key in ("seed", "num_images")):
        return False
    (one, held), (two, held_there) = ((config.get("split", "train"), config.get("val_size") or 0)
                                      for config in (train, other))
    sources = ["train" if split == "val" and size else split for split, size in ((one, held), (two, held_there))]
    if sources[0] != sources[1]:
        return False
    inside, outside = (held, held_there) if one == "val" else (held_there, held)
    return one == two or inside > outside  # "val" has more images than "train" leaves out


def pixels(cfg) -> bool:
    """Whether the training set is known to hold uint8 images, whose statistics are in units of pixel / 255."""
    train = dataset_of(cfg, "train_dataloader")
    return train is None or not getattr(class_of(train), "floats", True)


def check_statistics(cfg) -> None:
    """``mean`` and ``std`` may be in ``data_preprocessor`` and in data sets; where they do, they agree."""
    for key in ("mean", "std"):
        given = {f"data_preprocessor.{key}": (cfg.get("data_preprocessor") or {}).get(key)}
        given |= {f"{name}.dataset.{key}": (dataset_of(cfg, name) or {}).get(key)
                  for name in ("train_dataloader", *evaluations_of(cfg))}
        given = {where: statistics(f"{where}: {key}", values, None, None, pixels(cfg))
                 for where, values in given.items() if values is not None}
        (first, expected), *others = given.items() or [(None, None)]
        for where, values in others:
            if values != expected:
                raise ValueError(f"{first} is {expected} and {where} is {values}: images are normalised alike in "
                                 f"training and evaluation; set data_preprocessor.{key} alone")
        if dataset_of(cfg, "train_dataloader") and first is not None and first.startswith(tuple(evaluations_of(cfg))):
            raise ValueError(f"{first} is given and that of training is not: images are normalised alike in training "
                             f"and evaluation; set data_preprocessor.{key} for both")
