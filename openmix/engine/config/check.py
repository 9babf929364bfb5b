"""Refusing what nobody would read in a config: an unknown key stops the run before data is touched."""
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import PurePath

import torch

from ...checks import (
    check_choice,
    check_classes,
    check_count,
    check_dict,
    check_keys,
    count_classes,
    is_number,
)
from ...registry import (
    BACKBONES,
    DATASETS,
    HEADS,
    HOOKS,
    LOG_PROCESSORS,
    LOOPS,
    LOSSES,
    MIXUPS,
    MODELS,
    SCOPE,
    SCOPES,
    VISBACKENDS,
    VISUALIZERS,
)
from ...workdir.identity import refuse_secrets
from ..distributed.launch import LAUNCHERS
from ..precision import AMP
from ..step.modes import MODES

TOP_LEVEL = {
    "model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg", "test_cfg",
    "optim_wrapper", "param_scheduler", "val_evaluator", "test_evaluator", "default_hooks", "custom_hooks",
    "data_preprocessor", "load_from", "resume", "launcher", "env_cfg", "log_processor", "log_level", "visualizer",
    "default_scope", "randomness", "experiment_name", "work_dir", "auto_scale_lr", "custom_imports", "sync_bn",
    "find_unused_parameters", "config_name", "evals",
}
SAME = dict(batch_size="total_batch", epochs="max_epochs", learning_rate="lr", wd="weight_decay")  # of other libraries
TOGETHER = (  # of each of these, all or none
    ("train_dataloader", "train_cfg", "optim_wrapper"),
    ("val_dataloader", "val_cfg", "val_evaluator"),
    ("test_dataloader", "test_cfg", "test_evaluator"),
)
LOADER_KEYS = dict(train_dataloader={"total_batch", "dataset", "augment", "num_workers"},
                   val_dataloader={"batch_size", "dataset", "num_workers", "allow"},
                   test_dataloader={"batch_size", "dataset", "num_workers", "allow"})
AUGMENT_KEYS = {"padding", "mode", "flip", "noise", "scale", "ratio"}
ENV_VALUES = dict(amp=AMP, step=MODES, channels_last=("auto", True, False), cudnn_benchmark=(True, False),
                  num_threads=None)
MODEL_PARTS = dict(backbone=BACKBONES, head=HEADS, mixup=MIXUPS, loss=LOSSES)
TRACKERS = dict(TensorboardVisBackend="tensorboard", WandbVisBackend="wandb")  # packages, and extras of the same name


def check_config(cfg, values: bool = True) -> None:
    """Check every name and key of a config. Raises ValueError or TypeError naming the key and the nearest name.

    Nothing is read and nothing large is built for it: it takes milliseconds.

    Args:
        values: also build the mixing method and the loss to see whether their values fit. A run leaves that out, as it
            builds them itself before it touches its work dir.
    """
    from ..evaluations import check_evals
    from ..optim.optimizers import check_optimizer
    from ..optim.schedules import check_schedule
    from .data import check_data

    check_top_level(cfg)
    refuse_secrets(cfg)
    for key in ("model", "work_dir"):
        if key not in cfg:
            raise ValueError(f"the config has no {key!r}; start from one of configs/, whose _base_ files set it")
    for key in ("work_dir", "load_from", "resume"):
        value = cfg.get(key)
        if not (isinstance(value, (str, PurePath)) and str(value).strip() or key != "work_dir" and value is None
                or key == "resume" and isinstance(value, bool)):
            raise ValueError(f"{key} must be a path, got {value!r}; in --cfg-options quotes make text of a number: "
                             f"{key}=\"'2024'\"")
    for keys in TOGETHER:
        missing = [key for key in keys if cfg.get(key) is None]
        if missing and len(missing) < len(keys):
            raise ValueError(f"the config has no {missing[0]!r}; {', '.join(keys)} go together, and the files of "
                             "configs/_base_ set them")
    check_model(cfg.model, values)
    for name in LOADER_KEYS:
        if cfg.get(name) is not None:
            check_loader(name, cfg[name])
    if cfg.get("optim_wrapper") is not None:
        check_optimizer(cfg.optim_wrapper)
    check_schedule(cfg.get("param_scheduler"))
    check_loops(cfg)
    check_evals(cfg, partial(check_loader, keys=LOADER_KEYS["val_dataloader"]))
    check_hooks(cfg)
    check_run(cfg)
    check_preprocessor(cfg.get("data_preprocessor") or {})
    check_data(cfg)
    check_logging(cfg)


def check_top_level(cfg) -> None:
    """The keys of the config itself; the message about one that belongs further inside names the full key."""
    keys = {key: value for key, value in cfg.items() if not key.startswith("_")}
    for key in keys.keys() - TOP_LEVEL:
        places = [place for name in (SAME.get(key, key), key) for place in places_of(name, keys)]
        if places:
            raise ValueError(f"config: unknown key {key!r}; did you mean {' or '.join(dict.fromkeys(places))}?")
    check_keys("config", keys, TOP_LEVEL)


def places_of(key: str, inside, prefix: str = "") -> list[str]:
    """Dotted names of the entries ``key`` below the top of a config."""
    items = inside.items() if isinstance(inside, Mapping) else enumerate(inside)
    places = []
    for name, value in items:
        if name == key and prefix:
            places.append(f"{prefix}{name}")
        if isinstance(value, (Mapping, list, tuple)):
            places += places_of(key, value, f"{prefix}{name}.")
    return places


def check_model(model, values: bool = True) -> None:
    """The classifier and its parts; with ``values`` the mixing method and the loss, which are small, are built."""
    MODELS.check(model, "model", filled=())
    if "data_preprocessor" in model:
        raise ValueError("model.data_preprocessor is not read; mean and std belong in the config's data_preprocessor")
    for part, registry in MODEL_PARTS.items():
        if model.get(part) is not None:
            registry.check(model[part], f"model.{part}", filled=("in_channels", "num_classes"))
    classes = check_class_counts(model)
    for part in ("mixup", "loss"):
        if values and model.get(part) is not None:
            with torch.random.fork_rng(devices=[]):
                built = MODEL_PARTS[part].build_part(f"model.{part}", model[part])
            if classes is not None:
                check_classes(classes, **{f"model.{part}": built})


def check_class_counts(model) -> int | None:
    """The number of classes of the model and its head, which must agree; None where neither names one."""
    head = model.get("head") or {}
    for where, part in (("model", model), ("model.head", head)):
        if part.get("num_classes") is not None:
            check_count(f"{where}.num_classes", part["num_classes"])
    try:
        return count_classes(head, model.get("num_classes"))
    except ValueError as error:
        raise ValueError(f"model.{error}") from error


def check_loader(name: str, loader, keys=None) -> None:
    """``total_batch`` and ``augment`` (training) or ``batch_size`` (evaluation), and the data set."""
    check_keys(name, loader, keys or LOADER_KEYS[name])
    if "dataset" not in loader:
        raise ValueError(f"{name} has no 'dataset'; known types: {', '.join(DATASETS.known())}")
    DATASETS.check(loader["dataset"], f"{name}.dataset", filled=())
    check_augment(f"{name}.augment", loader.get("augment") or {}, loader["dataset"])
    for key, least in dict(total_batch=1, batch_size=1, num_workers=0).items():
        if loader.get(key) is not None:
            check_count(f"{name}.{key}", loader[key], least)


def check_augment(where: str, augment, dataset) -> None:
    """Keys of the augmentation; crops that are resized need the files of a streamed set."""
    from ...datasets.streaming import RATIO, check_resized_crop

    check_keys(where, augment, AUGMENT_KEYS)
    try:
        check_resized_crop(augment.get("scale"), augment.get("ratio", RATIO), augment.get("padding", 0))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if augment.get("scale") is not None and dataset.get("resident") is not False:
        raise ValueError(f"{where}.scale crops the files themselves: it needs a data set that is streamed, "
                         "dict(type='ImageFolderData', resident=False, ...)")


def check_loops(cfg) -> None:
    """``train_cfg``, ``val_cfg``, ``test_cfg`` and the evaluators."""
    from ..evaluations import check_evaluator

    for name, loop in (("train_cfg", "EpochLoop"), ("val_cfg", "EvalLoop"), ("test_cfg", "EvalLoop")):
        given = cfg.get(name)
        if given is None:
            continue
        check_dict(name, given)
        LOOPS.check({"type": loop, **given}, name, filled={"runner", "dataloader", "evaluator"})
        for key, least in dict(max_epochs=1, val_interval=1, mixup_off_epochs=0, mixup_begin_epoch=0, limit=1,
                               stop_after=1).items():
            if given.get(key) is not None:
                check_count(f"{name}.{key}", given[key], least)
    train = cfg.get("train_cfg") or {}
    off, epochs = train.get("mixup_off_epochs") or 0, train.get("max_epochs")
    if epochs is not None and off >= epochs:
        raise ValueError(f"train_cfg.mixup_off_epochs={off} of max_epochs={epochs} trains without any mixing; lower "
                         "it, or take model.mixup=dict(type='Vanilla') if that is meant")
    for name in ("val_evaluator", "test_evaluator"):
        if cfg.get(name) is not None:
            check_evaluator(name, cfg[name])


def check_hooks(cfg) -> None:
    """``default_hooks`` (partial dicts are filled up) and ``custom_hooks``."""
    from ..hooks import DEFAULT_HOOKS

    hooks, custom = cfg.get("default_hooks") or {}, cfg.get("custom_hooks") or []
    check_dict("default_hooks", hooks)
    if not isinstance(custom, (list, tuple)):
        raise TypeError(f"custom_hooks must be a list of dicts, got {custom!r}")
    named = {f"custom_hooks[{i}]": hook for i, hook in enumerate(custom)}
    for name, hook in hooks.items():
        if hook is None or isinstance(hook, Mapping) and "type" not in hook:
            check_keys("default_hooks", {name: hook}, DEFAULT_HOOKS)
            hook = {**DEFAULT_HOOKS[name], **(hook or {})}
        named[f"default_hooks.{name}"] = hook
    for where, hook in named.items():
        check_dict(where, hook)
        HOOKS.check({k: v for k, v in hook.items() if k != "priority"}, where, filled=())


def check_run(cfg) -> None:
    """How a run executes: environment, seed, launcher, learning rate of another batch."""
    env = cfg.get("env_cfg") or {}
    check_keys("env_cfg", env, ENV_VALUES)
    for key, value in env.items():
        if ENV_VALUES[key]:
            check_choice(f"env_cfg.{key}", value, ENV_VALUES[key])
        elif value is not None:
            check_count(f"env_cfg.{key}", value)
    randomness = cfg.get("randomness") or {}
    check_keys("randomness", randomness, {"seed", "deterministic"})
    check_count("randomness.seed", randomness.get("seed") or 0, 0)
    check_choice("launcher", cfg.get("launcher", "none"), LAUNCHERS)
    scale = cfg.get("auto_scale_lr") or {}
    check_keys("auto_scale_lr", scale, {"base_batch_size", "enable", "scaled_to"})
    check_count("auto_scale_lr.base_batch_size", scale.get("base_batch_size", 1))
    check_choice("default_scope", cfg.get("default_scope") or SCOPE, SCOPES)  # mmengine imports the package it names
    check_keys("custom_imports", cfg.get("custom_imports") or {}, {"imports", "allow_failed_imports"})


def check_preprocessor(normalise) -> None:
    """Channel means and standard deviations, in units of pixels divided by 255; the side of a crop."""
    check_keys("data_preprocessor", normalise, {"mean", "std", "crop"})
    check_count("data_preprocessor.crop", normalise.get("crop") or 1)
    for key, values in ((key, normalise[key]) for key in ("mean", "std") if key in normalise):
        numbers = isinstance(values, (list, tuple)) and all(map(is_number, values))
        if not numbers or len(values) != 3 or max(values) > 1 or min(values) < 0 or (key == "std" and min(values) <= 0):
            raise ValueError(f"data_preprocessor.{key} is three numbers in units of pixel / 255, so in [0, 1], got "
                             f"{values!r}")


def check_logging(cfg) -> None:
    """``log_processor``, ``visualizer`` and its backends. Raises ImportError for a tracker that is not installed."""
    log_processor, visualizer = cfg.get("log_processor") or {}, cfg.get("visualizer") or {}
    for where, part, registry, kind in (("log_processor", log_processor, LOG_PROCESSORS, "LogProcessor"),
                                         ("visualizer", visualizer, VISUALIZERS, "Visualizer")):
        check_dict(where, part)
        registry.check({"type": kind, **part}, where)
    backends = visualizer.get("vis_backends") or []
    if not isinstance(backends, (list, tuple)):
        raise TypeError(f"visualizer.vis_backends must be a list of dicts, got {backends!r}")
    for i, backend in enumerate(backends):
        VISBACKENDS.check(backend, f"visualizer.vis_backends[{i}]", filled={"save_dir"})
        package = TRACKERS.get(backend["type"])
        if package and find_spec(package) is None:
            raise ImportError(f'{backend["type"]} needs {package}: pip install {package}')
