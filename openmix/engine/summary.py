"""What a run reports of itself at its start and at its end."""
import contextlib
import resource
from pathlib import Path

import torch

from .. import workdir
from ..workdir import result
from . import agreement
from .config.beyond import beyond_the_run
from .config.data import dataset_of
from .description import description
from .distributed.launch import unwrap


def log_plan(runner) -> None:
    """One line of what is about to be trained, and warnings of what in the config never happens."""
    loop, loader = runner.train_loop, runner.train_loop.dataloader
    scale = runner.cfg.get("auto_scale_lr") or {}
    base = scale.get("base_batch_size", loader.total_batch)
    lr = loop.optimizer.param_groups[0]["base_lr"]
    message = (f"{loader.describe()['name']}{agreement.of_official(loader.data)}: {loop.steps} steps of "
               f"{loader.total_batch} images (base {base}) an epoch, {loop.max_epochs} epochs, lr {lr:g}, "
               f"{count_parameters(runner):,} parameters")
    runner.logger.info(message)
    if runner.val_loop is not None:
        runner.logger.info(f"validating on {agreement.evaluated_on(runner.val_loop.dataloader)}")
    if loader.total_batch != scale.get("scaled_to", base):
        runner.logger.warning(f"total batch {loader.total_batch} is not the recipe's {base} and lr is not scaled; "
                              "--auto-scale-lr scales it linearly")
    for line in beyond_the_run(runner.cfg, loop.max_epochs, loop.steps, runner.hooks):
        runner.logger.warning(line)


def write_result(runner, status: str, **info) -> None:
    """``result.json`` of this run."""
    note_memory(runner)
    val_loop = runner.val_loop
    report = result.build(
        runner.history, status=status, primary=val_loop.primary if val_loop else None,
        main=val_loop.main if val_loop else None, lower_is_better=bool(val_loop and val_loop.lower_is_better),
        config=str(runner.cfg.get("config_name") or runner.cfg.filename or ""),
        config_hash=workdir.config_hash(runner.cfg.to_dict()),
        data=runner.train_loop.dataloader.describe(),
        val_data=val_loop.dataloader.describe() if val_loop else None, seed=runner.seed, processes=runner.world_size,
        total_batch=runner.train_loop.dataloader.total_batch, parameters=count_parameters(runner),
        peak_memory_mib=runner.peak_memory, wall_s=runner.wall_seconds(), max_epochs=runner.train_loop.max_epochs,
        split=val_split(runner), hardware=workdir.hardware(runner.device),
        precision=str(runner.amp_dtype or torch.float32), description=describe_run(runner), **info)
    workdir.write_json(Path(runner.work_dir) / "result.json", report)


def describe_run(runner) -> dict:
    """The names of this run in tables."""
    return description(runner.cfg.to_dict()["model"], runner.train_loop.dataloader.describe()["name"])


def count_parameters(runner) -> int:
    """Parameters of the network itself; what a mixing method adds for training is not counted."""
    return sum(p.numel() for p in unwrap(runner.model).net.parameters())


def begin_memory(device: torch.device) -> None:
    """Start the count of the peak anew: what ran before in this process is not of this run."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # where there is no /proc, the peak is that of the process
        Path("/proc/self/clear_refs").write_text("5")


def note_memory(runner) -> None:
    """Keep the peak so far, in MiB; a log line of mmengine's starts the count of a GPU anew."""
    if runner.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(runner.device) / 2**20
    else:
        peak = peak_of_process()
    runner.peak_memory = max(runner.peak_memory, peak)


def peak_of_process() -> float:
    """The most memory that this process has had since :func:`begin_memory`, in MiB."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 2**10
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def val_split(runner) -> str:
    """Which images accuracies were measured on, ``test`` or ``val``: whether "best" was chosen on the test set.

    A folder ``val/`` that the run is tested on, too, is the test set, as of ImageNet.
    """
    val, test = (dataset_of(runner.cfg, f"{name}_dataloader") or {} for name in ("val", "test"))
    tested = not val.get("val_size") and all(val.get(key) == test.get(key) for key in ("type", "data_root", "split"))
    return "val" if val.get("split") == "val" and not tested else "test"
