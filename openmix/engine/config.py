"""Reading configs and refusing what nobody would read: an unknown key stops the run before data is touched."""
import inspect
from pathlib import Path

from mmengine.config import Config

from ..errors import did_you_mean
from ..registry import BACKBONES, DATASETS, HEADS, HOOKS, LOSSES, METRICS, MIXUPS, MODELS, VISBACKENDS

TOP_LEVEL = {
    "model", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg", "test_cfg",
    "optim_wrapper", "param_scheduler", "val_evaluator", "test_evaluator", "default_hooks", "custom_hooks",
    "data_preprocessor", "load_from", "resume", "launcher", "env_cfg", "log_processor", "log_level", "visualizer",
    "default_scope", "randomness", "experiment_name", "work_dir", "auto_scale_lr", "custom_imports", "sync_bn",
    "find_unused_parameters", "config_name",
}
LOADER_KEYS = {"total_batch", "batch_size", "dataset", "augment"}
AUGMENT_KEYS = {"padding", "mode", "flip"}
ENV_KEYS = {"amp", "channels_last", "cudnn_benchmark", "num_threads"}
MODEL_PARTS = dict(backbone=BACKBONES, head=HEADS, mixup=MIXUPS, loss=LOSSES)


def load_config(path, options: dict | None = None) -> Config:
    """Read a ``.py`` or ``.json`` config (text style, ``_base_`` inheritance) and merge ``--cfg-options`` into it."""
    path = Path(path)
    if path.suffix not in (".py", ".json"):
        raise ValueError(f"configs are .py or .json files, got {path}")
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path("configs")
        known = [p.name for p in folder.glob("*.py")]
        raise FileNotFoundError(f"no config {path}; in {folder}: {did_you_mean(path.name, known)}")
    config = Config.fromfile(str(path), lazy_import=False)
    if options:
        config.merge_from_dict(options)
    return config


def check_keys(where: str, found, known) -> None:
    """Raise ValueError naming the first key of ``found`` that is not known, with the nearest that is."""
    for key in found:
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}; {did_you_mean(key, known)}")


def check_config(cfg) -> None:
    """Check every name and key of a config. Raises ValueError or TypeError naming the place and the nearest name."""
    from .optim import check_optimizer
    from .schedules import check_schedule

    check_keys("config", [k for k in cfg if not k.startswith("_")], TOP_LEVEL)
    for key in ("model", "work_dir"):
        if key not in cfg:
            raise ValueError(f"the config has no {key!r}; start from one of configs/, whose _base_ files set it")
    check_model(cfg.model)
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        if cfg.get(name):
            check_loader(name, cfg[name])
    if cfg.get("optim_wrapper"):
        check_optimizer(cfg.optim_wrapper)
    check_schedule(cfg.get("param_scheduler"))
    check_loops(cfg)
    check_hooks(cfg)
    check_keys("env_cfg", cfg.get("env_cfg") or {}, ENV_KEYS)
    check_keys("randomness", cfg.get("randomness") or {}, {"seed", "deterministic"})
    check_keys("auto_scale_lr", cfg.get("auto_scale_lr") or {}, {"base_batch_size", "enable"})
    check_preprocessor(cfg.get("data_preprocessor") or {})
    visualizer = cfg.get("visualizer") or {}
    for i, backend in enumerate(visualizer.get("vis_backends") or []):
        VISBACKENDS.check(backend, f"visualizer.vis_backends[{i}]")


def check_model(model) -> None:
    """The classifier and its parts."""
    MODELS.check(model, "model")
    for part, registry in MODEL_PARTS.items():
        if model.get(part) is not None:
            registry.check(model[part], f"model.{part}")


def check_loader(name: str, loader) -> None:
    """``total_batch`` (training) or ``batch_size`` (evaluation), ``augment`` and the data set."""
    check_keys(name, loader, LOADER_KEYS)
    if "dataset" not in loader:
        raise ValueError(f"{name} has no 'dataset'; known types: {', '.join(DATASETS.known())}")
    DATASETS.check(loader["dataset"], f"{name}.dataset")
    check_keys(f"{name}.augment", loader.get("augment") or {}, AUGMENT_KEYS)
    for key in ("total_batch", "batch_size"):
        value = loader.get(key, 1)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}.{key} must be a positive integer, got {value!r}")


def check_loops(cfg) -> None:
    """``train_cfg``, ``val_cfg``, ``test_cfg`` and the evaluators."""
    from .loops import EpochLoop, EvalLoop

    own = {"self", "runner", "dataloader", "evaluator"}
    for name, loop in (("train_cfg", EpochLoop), ("val_cfg", EvalLoop), ("test_cfg", EvalLoop)):
        known = set(inspect.signature(loop.__init__).parameters) - own | {"type"}
        given = cfg.get(name)
        if given is not None and given.get("type") in (None, loop.__name__):
            check_keys(name, given, known)
    for name in ("val_evaluator", "test_evaluator"):
        if cfg.get(name):
            METRICS.check(cfg[name], name)


def check_hooks(cfg) -> None:
    """``default_hooks`` (partial dicts are filled up) and ``custom_hooks``."""
    from .runner import DEFAULT_HOOKS

    for name, hook in (cfg.get("default_hooks") or {}).items():
        if hook is None:
            continue
        if "type" not in hook:
            check_keys("default_hooks", [name], set(DEFAULT_HOOKS))
            hook = {**DEFAULT_HOOKS[name], **hook}
        HOOKS.check({k: v for k, v in hook.items() if k != "priority"}, f"default_hooks.{name}")
    for i, hook in enumerate(cfg.get("custom_hooks") or []):
        HOOKS.check({k: v for k, v in hook.items() if k != "priority"}, f"custom_hooks[{i}]")


def check_preprocessor(normalise) -> None:
    """Channel means and standard deviations, in units of pixels divided by 255."""
    check_keys("data_preprocessor", normalise, {"mean", "std"})
    for key, values in normalise.items():
        if max(values) > 1 or min(values) < 0 or (key == "std" and min(values) <= 0):
            raise ValueError(f"data_preprocessor.{key} is in units of pixel / 255, so in [0, 1], got {values}")
