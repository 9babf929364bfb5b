"""The state of a run: what is saved, and how a run goes on from it."""
import json
from pathlib import Path

import torch

from .. import workdir
from . import agreement, checkpoint, fitting, run_checkpoints
from .distributed import launch
from .distributed.launch import unwrap


def save_run(runner, name: str, keep: int | None = None, own_buffers: list[dict] | None = None) -> None:
    """Write everything a resume needs to ``work_dir/name``; with ``keep``, prune older ones afterwards.

    Args:
        own_buffers: of each process, in the middle of an epoch: the statistics that the model's are the mean of.

    Raises:
        Diverged: a weight or a state of the optimizer is not finite; nothing is written.
    """
    loop = runner.train_loop
    loop.check_finite()
    content = dict(
        meta=dict(epoch=runner.epoch, iter=runner.iter, seed=runner.seed, processes=runner.world_size,
                  total_batch=loop.dataloader.total_batch, seconds=runner.wall_seconds(),
                  config=workdir.canonical(runner.cfg.to_dict()), kernels=workdir.kernels(runner.cfg.to_dict()),
                  data=data_facts(loop.dataloader), data_sets=runner.data_records, openmix=workdir.version()),
        state_dict=unwrap(runner.model).state_dict(), optimizer=portable_state(loop.optimizer), loop=loop.state(),
        history_json=json.dumps(runner.history), mixup_history=launch.gather(unwrap(runner.model).mixup.history()))
    content |= {} if own_buffers is None else dict(own_buffers=own_buffers)
    runner.call_hook("before_save_checkpoint", checkpoint=content)
    if runner.rank == 0:
        path = Path(runner.work_dir) / name
        checkpoint.save(path, content)
        if keep is not None and keep > 0:
            run_checkpoints.prune(runner.work_dir, keep)
    if runner.world_size > 1:
        torch.distributed.barrier()


def data_facts(loader) -> dict:
    """Data facts stored with the weights: enough to prepare images alike and to name classes."""
    data = loader.data
    view = {key: getattr(data, key) for key in ("resize", "interpolation") if hasattr(data, key)}
    if loader.spare:  # files are resized as the set's images are, before the centre is cut out
        view.setdefault("resize", data.shape[1])
    return dict(name=data.name, classes=list(data.classes), size=list(loader.size), **view,
                **loader.statistics())


def portable_state(optimizer) -> dict:
    """The optimizer's state without traces of the mode of the step: a run captured on a GPU may go on on a CPU."""
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group["lr"] = float(group["lr"])
        if "capturable" in group:
            group["capturable"] = False
    return state


def load_optimizer(optimizer, state: dict) -> None:
    """The saved state; which kernels it runs on stays as it was built, as the file may come from another device."""
    own = [{k: group[k] for k in ("fused", "foreach", "capturable") if k in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, kernels in zip(optimizer.param_groups, own, strict=True):
        group.update(kernels)


def load_or_resume(runner) -> None:
    """Do what the config's ``resume`` (True or a path) and ``load_from`` ask for, once.

    No file is touched unless the run does go on: whatever is refused leaves the work dir as it was.
    """
    if runner.loaded:
        return
    runner.loaded, path = True, runner.cfg.get("resume")
    searched = path is True
    if searched:  # rank 0 decides, all load the same file
        newest = run_checkpoints.newest_valid(runner.work_dir, runner.logger.warning) if runner.rank == 0 else None
        path = launch.broadcast_from_rank0(newest)
        if path is None:
            runner.logger.info(f"nothing to resume in {runner.work_dir}: starting from the beginning")
    if path:
        resume(runner, path)
    elif runner.cfg.get("load_from") is not None:
        load_weights(runner, runner.cfg.load_from, strict=runner.train_loop is None)
    if searched and runner.rank == 0:
        run_checkpoints.set_aside(runner.work_dir, path, runner.logger.warning)


def load_weights(runner, path, strict: bool = False) -> None:
    """Weights alone, of the whole classifier or of its network, from our files or others' (``--load-from``).

    Weights of another number of classes leave the head new. That, and weights of the network that the file lacks, are
    warned of.

    Args:
        strict: refuse a file that lacks some of the weights (a test would give the accuracy of random ones).

    Raises:
        ValueError: no weight fits, or one has another shape.
    """
    content = checkpoint.load(path)
    weights, model = checkpoint.weights(content), unwrap(runner.model)
    target, prefix = model, "net."
    if not weights.keys() & model.state_dict().keys():  # of the network alone, ours or another library's
        target, prefix = model.net, ""
        bare = {k.removeprefix("net."): v for k, v in weights.items()}
        weights = fitting.named_as_ours(bare, model.net)
    own = target.state_dict()
    if not weights.keys() & own.keys():
        raise ValueError(f"{path} holds no weight of this model; its keys look like {sorted(weights)[:3]}, "
                         f"expected such as {sorted(own)[:3]}")
    new = [] if strict else fitting.of_other_classes(own, weights)
    taken = {k: v for k, v in weights.items() if k in own and k not in new}
    if problem := fitting.misfits({k: own[k] for k in taken}, taken):
        raise ValueError(f"{path} does not fit this model; {problem}")
    target.load_state_dict(taken, strict=False)
    lacking = [k for k in own if k not in weights and not k.endswith(fitting.COUNTER)]
    if strict and lacking:
        raise ValueError(f"{path} lacks {len(lacking)} weights of this model, such as {lacking[:3]}; was it "
                         "trained with another config?")
    if strict:
        agreement.fit_to_checkpoint(runner, content.get("meta") or {})
    if new:
        runner.logger.warning(fitting.left_out(own, weights, new, path))
    network = [k for k in own if k.startswith(prefix) and not k.endswith(fitting.COUNTER) and k not in new]
    random = [k for k in network if k not in weights]
    if random:
        runner.logger.warning(f"only {len(network) - len(random)} of {len(network)} weights of the network come from "
                              f"{path}; {', '.join(random[:3])}{' and others' if len(random) > 3 else ''} stay as they "
                              "were drawn. Was it made for another network?")
    if target is not model or any(k.startswith("mixup.") for k in lacking):
        model.mixup.attach(model.net)  # momentum teachers start as copies of what was loaded
    average = content.get("ema")
    if not isinstance(average, dict) or fitting.misfits(model.net.state_dict(), average):
        average = None  # that of another network: ours starts as a copy
    runner.call_hook("after_load_checkpoint", checkpoint={**content, "ema": average})
    unused = [k for k in weights if k not in own]
    runner.logger.info(f"loaded {path}: {len(lacking)} missing and {len(unused)} unexpected keys "
                       f"{[*lacking, *unused][:6]}")


def refuse_shorter(loop, path, meta: dict, done: int) -> None:
    """Raise ValueError where nothing is left to train and the run was planned longer: its result would be false."""
    planned = meta["config"]["train_cfg"]["max_epochs"]
    if done > loop.max_iters or done == loop.max_iters and planned != loop.max_epochs:
        raise ValueError(f"{path} has done {done / loop.steps:g} of {planned} epochs, so a run of train_cfg.max_epochs="
                         f"{loop.max_epochs} cannot go on from it; give more epochs, or train it with another "
                         "--work-dir")


def resume(runner, path) -> None:
    """Continue from ``path``: bit-exactly where processes, config and versions are the same."""
    content = checkpoint.load(path)
    if "loop" not in content:
        raise ValueError(f"{path} is no checkpoint of a run (weights only?); to start from it use --load-from")
    meta, mid_epoch = content["meta"], content["loop"]["iter"] != content["loop"]["epoch"] * runner.train_loop.steps
    if meta["processes"] != runner.world_size and mid_epoch:
        raise ValueError(f"{path} was saved in the middle of an epoch by {meta['processes']} processes and cannot "
                         f"go on with {runner.world_size}; use {meta['processes']}, or a checkpoint of an epoch end")
    now = runner.cfg.to_dict()
    changed = workdir.config_difference(meta["config"], now, workdir.RESUMABLE)
    if changed:
        raise ValueError("the config changed since the run was started:\n  " + "\n  ".join(changed) + "\n"
                         "resume with the same config, or start a new run with another --work-dir")
    agreement.check_resumed(meta.get("data_sets"), runner.data_records, path, runner.logger.warning)
    refuse_shorter(runner.train_loop, path, meta, content["loop"]["iter"])
    rounding = workdir.config_difference(meta["kernels"], workdir.kernels(now), ()) if "kernels" in meta else []
    if rounding:
        runner.logger.warning("other kernels than before: the rest of the run is rounded otherwise, and not bit by bit "
                              f"the run that was not stopped ({'; '.join(rounding)})")
    unwrap(runner.model).load_state_dict(content["state_dict"])
    if meta["processes"] == runner.world_size:  # with another number each process would see others' images
        unwrap(runner.model).mixup.load_history(content.get("mixup_history", [{}] * runner.world_size)[runner.rank])
        for name, value in content.get("own_buffers", [{}] * runner.world_size)[runner.rank].items():
            unwrap(runner.model).get_buffer(name).copy_(value)
    load_optimizer(runner.train_loop.optimizer, content["optimizer"])
    runner.train_loop.load_state(content["loop"])
    runner.history, runner.seconds_before = json.loads(content["history_json"]), meta["seconds"]
    runner.call_hook("after_load_checkpoint", checkpoint=content)
    runner.logger.info(f"resumed {path}: epoch {runner.epoch}, iteration {runner.iter}")
