"""Whether the data that were read fit together: those of training, of evaluation and of a checkpoint."""
from collections.abc import Mapping

from ..datasets.arrays import renumbered
from ..datasets.augment import per_channel
from ..datasets.compare import changes, images_in_common, record
from .config.data import allowed, dataset_of, declared_overlap, loader_of, part


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
