"""Whether the data of training, of evaluation and of a checkpoint fit together.

What a loader of evaluation is refused for, its key ``allow`` permits: ``"other_data"``, another data set than that of
training; ``"other_classes"``, labels that count as they are numbered, whatever the classes are called;
``"training_images"``, images that are trained on.
"""
import inspect
from collections.abc import Mapping
from pathlib import Path

from ..datasets.arrays import renumbered
from ..datasets.augment import per_channel
from ..datasets.compare import changes, images_in_common, record
from ..datasets.options import local_path, statistics
from ..errors import did_you_mean
from ..registry import DATASETS

ALLOWED = ("other_data", "other_classes", "training_images")


# -- configs -----------------------------------------------------------------------------------------------------------

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


# -- data sets ---------------------------------------------------------------------------------------------------------

def fit_to_training(data, train, allow, where: str, warn):
    """``data`` of evaluation, its labels numbered as in the training set ``train``.

    Raises:
        ValueError: classes that training lacks, or images that are trained on.
    """
    if "other_classes" not in allow:
        data = numbered(data, train.classes, f"the training set {train.name}", where)
    common, certain = (0, True) if "training_images" in allow else images_in_common(train, data)
    message = (f"{common} of the {len(data)} images of {where} ({data.name}, split {data.split!r}) are in the "
               f"training set ({train.name}, split {train.split!r}, {len(train)} images), too")
    if common and (certain or common > len(data) / 2):
        raise ValueError(f"{message}: give both the same val_size and the splits 'train' and 'val', or other files, or "
                         f"set {where}.allow=['training_images'] if that is meant")
    if common:
        warn(message)
    return data


def numbered(data, classes, of: str, where: str):
    """:func:`openmix.datasets.arrays.renumbered`, with the way out in its error."""
    try:
        return renumbered(data, classes, of)
    except ValueError as error:
        raise ValueError(f"{where}: {error}; evaluate on data with these classes, or set {where}.allow="
                         "['other_classes'] to count labels as they are numbered") from error


def fit_to_checkpoint(runner, meta: Mapping) -> None:
    """Number and normalise data of evaluation as in the training that a checkpoint with ``meta`` comes from.

    Raises:
        ValueError: classes that the checkpoint does not know, or held-out images that it was trained on.
    """
    known = meta.get("data")
    if not isinstance(known, Mapping) or not known.get("classes"):
        return runner.logger.warning("the checkpoint does not record which classes it was trained on: labels count as "
                                     "they are numbered")
    for where, loader in test_loaders(runner).items():
        fit_loader(runner, where, loader, known, meta)


def test_loaders(runner) -> dict:
    """Loaders of a test by the config key of their data."""
    test = {} if runner.test_loop is None else {"test_dataloader": runner.test_loop.dataloader}
    return test | {f"evals.{name}": loop.dataloader for name, loop in runner.evaluations.loops.items()}


def fit_loader(runner, where: str, loader, known: Mapping, meta: Mapping) -> None:
    """:func:`fit_to_checkpoint` for one loader, whose config is at ``where``."""
    cfg, warn = loader_of(runner.cfg, where), runner.logger.warning
    allow = allowed(cfg, where)
    data = loader.data
    if "other_classes" not in allow:
        data = numbered(data, known["classes"], f"the checkpoint, trained on {known.get('name')},", where)
    if data is not loader.data:
        loader.data = data
        if hasattr(loader, "labels"):
            loader.labels = data.labels[loader.first:loader.last].to(loader.device)
    if known.get("size") and len(loader.size) == 2 and tuple(known["size"]) != loader.size:
        warn(other_size(loader.size, known["size"]))
    if "training_images" not in allow:
        check_held_out(data, dataset_of(runner.cfg, where) or {}, meta, where)
    for key in ("mean", "std"):
        trained, used = known.get(key), loader.statistics()[key]
        if trained is None or used is not None and max(abs(a - b) for a, b in zip(trained, used, strict=True)) < 1e-6:
            continue
        if (runner.cfg.get("data_preprocessor") or {}).get(key) is None and (cfg.get("dataset") or {}).get(key) is None:
            setattr(loader, key, per_channel(trained, key, loader.device, loader.shape))
        else:
            warn(f"the checkpoint was trained with the {key} {rounded(trained)}, this config has {rounded(used)}")


def other_size(size, trained) -> str:
    """A warning that images of evaluation have another size than those of training; both (H, W)."""
    return f"evaluation on images of {size[0]} x {size[1]}, training on {trained[0]} x {trained[1]}"


def rounded(values) -> tuple:
    return None if values is None else tuple(round(v, 4) for v in values)


def check_held_out(data, dataset, meta: Mapping, where: str = "test_dataloader") -> None:
    """Raise ValueError if ``data``, which is not the training split by name, holds what a checkpoint was trained on."""
    if data.split == "train":
        return
    config = meta.get("config")
    trained = dataset_of(config, "train_dataloader") if isinstance(config, Mapping) else None
    before = ((meta.get("data_sets") or {}).get("train") or {}).get("sha256")
    same = before is not None and before == data.describe().get("sha256")
    if same or trained is not None and declared_overlap(trained, dataset):
        raise ValueError(f"{where} ({data.name}, {part(dataset)}) holds images that the checkpoint was trained "
                         f"on; test on others, or set {where}.allow=['training_images'] if that is meant")


# -- runs --------------------------------------------------------------------------------------------------------------

def records(runner) -> dict:
    """What a checkpoint remembers of a run's data: ``train``, and ``val`` (None without evaluation)."""
    val = None if runner.val_loop is None else record(runner.val_loop.dataloader.data)
    return dict(train=record(runner.train_loop.dataloader.data), val=val)


def check_resumed(before: Mapping | None, now: Mapping, path, warn) -> None:
    """Compare the data that a checkpoint remembers with those that were read now.

    Raises:
        ValueError: images, labels or classes of training or validation changed; names what, and both hashes.
    """
    if not before:
        return warn(f"{path} does not record which data it was trained on (an older version saved it): whether the "
                    "data changed is not checked")
    lines = []
    for which, name in (("train", "training"), ("val", "validation")):
        if before.get(which) and now.get(which):
            lines += [f"{name} data ({now[which]['name']}, {now[which]['split']}): {line}"
                      for line in changes(before[which], now[which])]
    if lines:
        raise ValueError("the data changed since the run was started:\n  " + "\n  ".join(lines) + "\nrestore them, or "
                         "start a new run with another --work-dir")


def evaluated_on(loader) -> str:
    """The data of an evaluation in a few words, for logs."""
    facts = loader.describe()
    hashed = f", SHA-256 {facts['sha256'][:16]}" if facts.get("sha256") else ""
    return (f"{facts.get('name')}, split {facts.get('split')}, {len(loader.data)} images of "
            f"{len(loader.data.classes)} classes{hashed}{of_official(loader.data)}")


def of_official(data) -> str:
    """Whether a published set was read from the published files, in words for logs; empty for other sets."""
    if getattr(data, "official", False):
        return ", the official files"
    return ", not the official files" if hasattr(data, "published") else ""
