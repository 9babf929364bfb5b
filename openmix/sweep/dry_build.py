"""Checking the configs of a sweep before anything starts: as a run would, but without data and without weights."""
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from ..errors import did_you_mean
from .jobs import Job, typed


def check(jobs: list[Job], draft: Path | None = None) -> list[Job]:
    """The jobs with the hash of their config and their epochs. Raises ValueError naming every config not right."""
    checked, problems = check_each(jobs, draft)
    if problems:
        raise ValueError("these configs are not right:\n" + "\n".join(f"  {c}: {e}" for c, e in problems.items()))
    return checked


def check_each(jobs: list[Job], draft: Path | None = None) -> tuple[list[Job], dict[str, str]]:
    """Check each config once as ``openmix train`` will, and build model and optimizer; those built alike once.

    Args:
        draft: folder with the configs as they will be, under the names of their files.

    Returns:
        (jobs whose config is right, with its hash and epochs; {path of a config: its error}).
    """
    facts, problems, built = {}, {}, set()
    for job in {job.config: job for job in reversed(jobs)}.values():  # of each config the first job
        try:
            facts[job.config] = _facts(replace(job, config=str(draft / Path(job.config).name)) if draft else job, built)
        except (ValueError, TypeError, OSError, ImportError) as error:
            problems[job.config] = str(error)
            if draft:
                problems[job.config] = str(error).replace(str(draft), str(Path(job.config).parent))
    problems = {job.config: problems[job.config] for job in jobs if job.config in problems}
    return [replace(job, **facts[job.config]) for job in jobs if job.config in facts], problems


def _facts(job: Job, built: set[str]) -> dict:
    from .. import workdir
    from ..engine.config.command_line import configure
    from ..engine.optim.scaling import scale_lr

    cfg = configure(SimpleNamespace(config=typed(job.config), seed=job.seed, work_dir=typed(job.work_dir), amp=None,
                                    cfg_options=[], deterministic=False, launcher="none"), values=False)  # built below
    if cfg.get("train_cfg") is None:
        raise ValueError("the config does not train: it has no train_cfg")
    scale_lr(cfg)
    plain = workdir.canonical(cfg.to_dict())
    key = json.dumps([plain.get(k) for k in ("model", "optim_wrapper", "param_scheduler", "train_cfg")], sort_keys=True)
    if key not in built:
        _build(cfg)
        built.add(key)
    total, processes = cfg.train_dataloader.get("total_batch", 100), job.processes * job.nodes
    if total % processes:
        raise ValueError(f"total_batch {total} cannot be divided among {processes} processes")
    return dict(epochs=cfg.train_cfg.max_epochs, config_hash=workdir.config_hash(cfg.to_dict()))


def _build(cfg) -> None:
    """Model, optimizer and learning rates; raises as building them in a run would."""
    import torch

    from ..engine.optim.optimizers import build_optimizer
    from ..engine.optim.schedules import lr_table
    from ..registry import MODELS

    with torch.device("meta"):
        model = MODELS.build({k: v for k, v in cfg.model.items() if k != "data_preprocessor"})
    for group in build_optimizer(model, cfg.optim_wrapper).param_groups:
        lr_table(cfg.get("param_scheduler"), group["lr"], cfg.train_cfg.max_epochs, 1)
    network, known = (cfg.get("val_cfg") or {}).get("network"), model.networks()
    if network is not None and network not in known and not cfg.get("custom_hooks"):  # a hook may add networks (EMA)
        raise ValueError(f"val_cfg.network: no network {network!r} is evaluated here; {did_you_mean(network, known)}")
