"""The state of a run: what is saved, and how a run goes on from it. The functions are methods of the Runner."""
import json
from pathlib import Path

import torch

from . import checkpoint, launch, workdir
from .step import unwrap


def save_run(runner, name: str, keep: int | None = None) -> None:
    """Write everything a resume needs to ``work_dir/name``; with ``keep``, prune older ones afterwards.

    Raises:
        Diverged: a weight or a state of the optimizer is not finite; nothing is written.
    """
    loop = runner.train_loop
    loop.check_finite()
    content = dict(
        meta=dict(epoch=runner.epoch, iter=runner.iter, seed=runner.seed, processes=runner.world_size,
                  total_batch=loop.dataloader.total_batch, seconds=runner.wall_seconds(),
                  config=workdir.canonical(runner.cfg.to_dict()), kernels=workdir.kernels(runner.cfg.to_dict()),
                  data=data_facts(loop.dataloader), openmix=workdir.version()),
        state_dict=unwrap(runner.model).state_dict(), optimizer=portable_state(loop.optimizer), loop=loop.state(),
        history_json=json.dumps(runner.history))
    runner.call_hook("before_save_checkpoint", checkpoint=content)
    if runner.rank == 0:
        path = Path(runner.work_dir) / name
        checkpoint.save(path, content)
        if keep is not None and keep > 0:
            checkpoint.prune(runner.work_dir, keep)
    if runner.world_size > 1:
        torch.distributed.barrier()


def data_facts(loader) -> dict:
    """What whoever uses the weights needs to know of the training data, to treat images likewise and name classes."""
    data = loader.data
    view = {key: getattr(data, key) for key in ("resize", "interpolation") if hasattr(data, key)}
    return dict(name=data.name, classes=list(data.classes), size=list(loader.size), **view,
                mean=loader.mean.flatten().tolist(), std=loader.std.flatten().tolist())


def portable_state(optimizer) -> dict:
    """The optimizer's state without traces of the form of the step: a run captured on a GPU may go on on a CPU."""
    found = optimizer.state_dict()
    for group in found["param_groups"]:
        group["lr"] = float(group["lr"])
        if "capturable" in group:
            group["capturable"] = False
    return found


def load_optimizer(optimizer, state: dict) -> None:
    """The saved state; which kernels it runs on stays as it was built, as the file may come from another device."""
    own = [{k: group[k] for k in ("fused", "foreach", "capturable") if k in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, kernels in zip(optimizer.param_groups, own, strict=True):
        group.update(kernels)


def load_or_resume(runner) -> None:
    """Do what the config's ``resume`` (True or a path) and ``load_from`` say, once.

    No file is touched unless the run does go on: whatever is refused leaves the work dir as it was.
    """
    if runner._has_loaded:
        return
    runner._has_loaded = True
    path = runner._resume
    searched = path is True
    if searched:  # the first process looks, all load what it found
        first = runner.rank == 0
        path = launch.agree(checkpoint.newest_valid(runner.work_dir, runner.logger.warning) if first else None)
        if path is None:
            runner.logger.info(f"nothing to resume in {runner.work_dir}: starting from the beginning")
    if path:
        runner.resume(path)
    elif runner._load_from is not None:
        runner.load_weights(runner._load_from, strict=runner._train_loop is None)
    if searched and runner.rank == 0:
        checkpoint.set_aside(runner.work_dir, path, runner.logger.warning)


def load_weights(runner, path, strict: bool = False) -> None:
    """Weights alone, of the whole classifier or of its network, from our files or others' (``--load-from``).

    Args:
        strict: refuse a file that lacks some of the weights (a test would give the accuracy of random ones).
    """
    found = checkpoint.load(path)
    weights = checkpoint.weights(found)
    model = unwrap(runner.model)
    target = model if any(k.startswith("net.") for k in weights) else model.net
    try:
        missing, unexpected = target.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # torch's word for shapes that differ
        raise ValueError(f"{path} does not fit this model: {' '.join(str(error).split())[:400]}") from error
    if not weights.keys() & target.state_dict().keys():
        raise ValueError(f"{path} holds no weight of this model; its keys look like {sorted(weights)[:3]}, "
                         f"expected such as {sorted(target.state_dict())[:3]}")
    lacking = [k for k in missing if not k.endswith("num_batches_tracked")]
    if strict and lacking:
        raise ValueError(f"{path} lacks {len(lacking)} weights of this model, such as {lacking[:3]}; was it "
                         "trained with another config?")
    if target is not model:
        model.mixup.attach(model.net)  # momentum teachers start as copies of what was loaded
    runner.call_hook("after_load_checkpoint", checkpoint=found)
    runner.logger.info(f"loaded {path}: {len(missing)} missing and {len(unexpected)} unexpected keys "
                     f"{[*missing, *unexpected][:6]}")


def refuse_shorter(loop, path, meta: dict, done: int) -> None:
    """Raise ValueError where nothing is left to train and the run was planned longer: its result would be false."""
    planned = meta["config"]["train_cfg"]["max_epochs"]
    if done > loop.max_iters or done == loop.max_iters and planned != loop.max_epochs:
        raise ValueError(f"{path} has done {done / loop.steps:g} of {planned} epochs, so a run of train_cfg.max_epochs="
                         f"{loop.max_epochs} cannot go on from it; give more epochs, or train it with another "
                         "--work-dir")


def resume(runner, path, *args, **kwargs) -> None:
    """Continue from ``path``: bit-exactly where processes, config and versions are the same."""
    found = checkpoint.load(path)
    if "loop" not in found:
        raise ValueError(f"{path} is no checkpoint of a run (weights only?); to start from it use --load-from")
    meta, mid_epoch = found["meta"], found["loop"]["iter"] != found["loop"]["epoch"] * runner.train_loop.steps
    if meta["processes"] != runner.world_size and mid_epoch:
        raise ValueError(f"{path} was saved in the middle of an epoch by {meta['processes']} processes and cannot "
                         f"go on with {runner.world_size}; use {meta['processes']}, or a checkpoint of an epoch end")
    now = runner.cfg.to_dict()
    changed = workdir.config_difference(meta["config"], now, workdir.RESUMABLE)
    if changed:
        raise ValueError("the config changed since the run was started:\n  " + "\n  ".join(changed) + "\n"
                         "resume with the same config, or start a new run with another --work-dir")
    refuse_shorter(runner.train_loop, path, meta, found["loop"]["iter"])
    rounding = workdir.config_difference(meta["kernels"], workdir.kernels(now), ()) if "kernels" in meta else []
    if rounding:
        runner.logger.warning("other kernels than before: the rest of the run is rounded otherwise, and not bit by bit "
                              f"the run that was not stopped ({'; '.join(rounding)})")
    unwrap(runner.model).load_state_dict(found["state_dict"])
    load_optimizer(runner.train_loop.optimizer, found["optimizer"])
    runner.train_loop.load_state(found["loop"])
    runner.history, runner._seconds = json.loads(found["history_json"]), meta["seconds"]
    runner.call_hook("after_load_checkpoint", checkpoint=found)
    runner.logger.info(f"resumed {path}: epoch {runner.epoch}, iteration {runner.iter}")
