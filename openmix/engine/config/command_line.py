"""The config file with the command line merged into it."""
import os
from pathlib import Path

from mmengine.config import Config

from ...errors import reading_input
from .load import load_config
from .options import parse_options


@reading_input()
def configure(args, values: bool = True) -> Config:
    """The config file with the command line merged into it, checked: see ``check_config`` for ``values``."""
    from ...paths import default_work_dir, find_config
    from .check import check_config

    options = parse_options(args.cfg_options)
    args.config = find_config(args.config)
    cfg = load_config(args.config, options)
    cfg.randomness = {"seed": 0, **(cfg.get("randomness") or {})}
    if args.seed is not None:
        cfg.randomness["seed"] = args.seed
    if args.deterministic:
        cfg.randomness["deterministic"] = True
    if args.amp is not None:
        cfg.env_cfg = {**(cfg.get("env_cfg") or {}), "amp": args.amp}
    cfg.launcher = args.launcher
    cfg.config_name = str(args.config)
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or default_work_dir(args.config, cfg.randomness.get("seed", 0))
    resume = getattr(args, "resume", None)
    again = any(int(os.environ.get(f"{launcher}_RESTART_COUNT", 0)) for launcher in ("TORCHELASTIC", "SLURM"))
    if again and (not resume or any(Path(cfg.work_dir).glob("*.pth"))):
        resume = "auto"  # the launcher or SLURM runs the same line again after a failure
    if resume:
        cfg.resume = True if resume == "auto" else resume
    if resume == "auto" and not args.work_dir:
        refuse_moved(args.config, cfg.work_dir)
    if getattr(args, "load_from", None):
        cfg.load_from = args.load_from
    for path in (cfg.get("load_from"), cfg.get("resume"), getattr(args, "checkpoint", None)):
        if isinstance(path, str):
            check_checkpoint(path)
    if getattr(args, "no_validate", False):
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = cfg.evals = None
    if getattr(args, "auto_scale_lr", False):
        cfg.auto_scale_lr = {**(cfg.get("auto_scale_lr") or {}), "enable": True}
    check_config(cfg, values)
    return cfg


def check_checkpoint(path: str) -> None:
    """Raise unless ``path`` is a file that may be a checkpoint; the message names what it is instead."""
    if path.endswith((".py", ".json")):
        raise ValueError(f"{path} is no checkpoint but looks like a config; openmix train takes CONFIG, "
                         "openmix test CONFIG CHECKPOINT")
    if Path(path).is_dir():
        names = sorted(p.name for p in Path(path).glob("*.pth"))
        hint = f"name one of its checkpoints: {', '.join(names[:9])}" if names else "it holds no checkpoint"
        raise ValueError(f"{path} is a folder, not a checkpoint; {hint}. To continue a run: --work-dir {path} --resume")
    if not Path(path).is_file():
        raise FileNotFoundError(f"no checkpoint {path}")


def refuse_moved(config, work_dir) -> None:
    """The config in a work dir names that work dir: where the folder was moved, the run would start anew elsewhere."""
    from ...workdir.status import holds_run

    here = Path(config).resolve().parent
    if Path(work_dir).resolve() != here and holds_run(here) and not holds_run(work_dir):
        raise ValueError(f"{config} is in the folder of a run, but its work_dir {work_dir} holds no run; if the "
                         f"folder was moved, go on with --work-dir {here}")
