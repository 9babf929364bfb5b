"""Which run a config describes: its canonical form and hash."""
import hashlib
import json
import re
from collections.abc import Mapping

from ..checks import plain

# Which kernels run, and in which order they add: other values change the rounding of a run and nothing else.
KERNELS = ("env_cfg.num_threads", "env_cfg.cudnn_benchmark", "env_cfg.channels_last", "env_cfg.step",
           "randomness.deterministic")
# What does not matter to training, so that the hash leaves it out: a plain name at any depth, a dotted one only there,
# one behind "*." at any depth.
RUN_ONLY = (
    *KERNELS,
    "work_dir", "launcher", "resume", "config_name", "experiment_name", "log_level", "log_interval", "log_processor",
    "visualizer", "vis_backends", "dist_cfg", "data_root", "download", "num_workers", "persistent_workers",
    "pin_memory", "prefetch_factor", "find_unused_parameters", "val_dataloader.batch_size", "train_cfg.stop_after",
    "default_hooks.logger", "default_hooks.timer", "default_hooks.checkpoint", "default_hooks.preview",
    "default_hooks.progress", "evals",
    "*.teacher.cache",
)
# New names of classes, by their key: hashes and differences keep the old ones, so that older runs fit.
RENAMED = {f"{key}.type": {"Accuracy": "TopK"} for key in ("val_evaluator", "test_evaluator")}
# What, beside that, may change between the start and the resume of a run: nothing in training reads it, or (resident)
# both values give the same batches, or (max_epochs) the rest of the run follows it.
RESUMABLE = (*RUN_ONLY, "test_dataloader", "test_cfg", "test_evaluator", "auto_scale_lr", "custom_imports",
             "default_scope", "resident", "train_cfg.max_epochs")
SECRET = re.compile(r"api_?key|secret|passw(or)?d|access_?key|private_?key|credential|(^|_|auth|access)token$", re.I)


def canonical(config, prefix: str = "", left_out=RUN_ONLY):
    """The training-relevant part of a config as plain data, without the keys ``left_out``; idempotent.

    Numbers that are equal (1, 1.0) and sequences that are equal (tuple, list) come out the same.
    """
    if hasattr(config, "to_dict"):  # mmengine's Config
        config = config.to_dict()
    config = plain(config)
    if isinstance(config, Mapping):
        dotted = {k: f"{prefix}.{k}" if prefix else str(k) for k in config}
        anywhere = tuple(name[1:] for name in left_out if name.startswith("*."))
        return {str(k): canonical(v, dotted[k], left_out) for k, v in config.items()
                if k not in left_out and dotted[k] not in left_out and k != "_delete_"
                and not dotted[k].endswith(anywhere)}
    if isinstance(config, (list, tuple)):
        return [canonical(v, f"{prefix}[{i}]", left_out) for i, v in enumerate(config)]
    if isinstance(config, float) and config.is_integer():
        return int(config)
    if isinstance(config, str):
        return RENAMED.get(prefix, {}).get(config, config)
    if config is None or isinstance(config, (bool, int, float)):
        return config
    name = getattr(config, "__qualname__", None)  # classes and functions of pure-Python configs
    return f"{config.__module__}.{name}" if name else str(config)


def config_hash(config) -> str:
    """SHA-256 of the training-relevant part of ``config``: runs of equal hash may share a table cell.

    The seed (``randomness.seed``) is left out, so that the runs a mean is taken over agree.
    """
    plain = canonical(config)
    if isinstance(plain.get("randomness"), dict):
        plain["randomness"] = {k: v for k, v in plain["randomness"].items() if k != "seed"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _leaves(value, prefix: str = "") -> dict:
    """{dotted key: value} of plain nested data; empty containers are leaves."""
    if value and isinstance(value, dict):
        items = [(f"{prefix}.{k}" if prefix else k, v) for k, v in value.items()]
    elif value and isinstance(value, list):
        items = [(f"{prefix}[{i}]", v) for i, v in enumerate(value)]
    else:
        return {prefix: value}
    return {key: leaf for name, item in items for key, leaf in _leaves(item, name).items()}


def kernels(config) -> dict:
    """Values of those of :data:`KERNELS` that a config sets, by dotted key."""
    return {key: value for key, value in _leaves(canonical(config, left_out=())).items() if key in KERNELS}


def config_difference(old, new, left_out=RUN_ONLY) -> list[str]:
    """One readable line for each key (the seed is one) in which two configs differ, except the keys ``left_out``."""
    old, new = (_leaves(canonical(config, left_out=left_out)) for config in (old, new))
    lines = []
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            lines.append(f"{key}: {old[key]!r} -> (removed)")
        elif key not in old:
            lines.append(f"{key}: (not set) -> {new[key]!r}")
        elif repr(old[key]) != repr(new[key]):  # as text NaN is equal to itself, and 1 is not True
            lines.append(f"{key}: {old[key]!r} -> {new[key]!r}")
    return lines


def refuse_secrets(config, where: str = "") -> None:
    """Configs are copied into work dirs, checkpoints and trackers, so none may hold a key or password.

    Raises:
        ValueError: a key named like a secret holds text; the message does not repeat it.
    """
    if hasattr(config, "to_dict"):
        config = config.to_dict()
    if isinstance(config, (list, tuple)):
        for i, value in enumerate(config):
            refuse_secrets(value, f"{where}[{i}]")
    if not isinstance(config, Mapping):
        return
    for key, value in config.items():
        dotted = f"{where}.{key}" if where else str(key)
        if isinstance(value, str) and value and SECRET.search(str(key)):
            raise ValueError(f"{dotted} looks like a secret, and configs are copied into every work dir and tracker; "
                             "remove it and set the tracker's environment variable instead (e.g. WANDB_API_KEY)")
        refuse_secrets(value, dotted)
