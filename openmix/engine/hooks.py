"""What happens beside the loss: checkpoints, weight averaging, a picture of mixed samples, a progress bar."""
import atexit
import contextlib
import copy
import sys
import time
from pathlib import Path

import mmengine.hooks
import torch
from mmengine.hooks import Hook

from ..momentum import follow
from .distributed.launch import average_buffers, broadcast_from_rank0, unwrap
from .logging.lines import is_plain, train_line
from .resume import save_run

__all__ = ["CheckpointHook", "EMAHook", "LoggerHook", "MixPreviewHook", "ProgressHook"]

DEFAULT_HOOKS = dict(
    logger=dict(type="LoggerHook", interval=50, ignore_last=False, log_metric_by_epoch=False),
    checkpoint=dict(type="CheckpointHook"),
    preview=dict(type="MixPreviewHook"),
    progress=dict(type="ProgressHook"),
)


def with_defaults(hooks: dict | None) -> list[dict]:
    """Configs of the default hooks: ``None`` removes one, a dict without ``type`` changes some of its options."""
    merged = dict(DEFAULT_HOOKS)
    for name, cfg in (hooks or {}).items():
        if cfg is None:
            merged.pop(name, None)
        else:
            merged[name] = {**merged[name], **cfg} if name in merged and "type" not in cfg else cfg
    return list(merged.values())


class LoggerHook(mmengine.hooks.LoggerHook):
    """mmengine's, but a disk that is full costs lines of a log and not the run, and no line repeats the run's name."""

    observer = True

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        with unless_disk_full(runner, "the log"):  # the loop calls at the interval and at the end of the epoch
            if is_plain(runner.log_processor):
                scalars, line = train_line(runner, batch_idx, outputs)
            else:
                scalars, line = runner.log_processor.get_log_after_iter(runner, batch_idx, "train")
            runner.logger.info(line)
            runner.visualizer.add_scalars(scalars, step=runner.iter + 1)

    def after_val_epoch(self, runner, metrics=None):
        with unless_disk_full(runner, "the log"):
            super().after_val_epoch(runner, metrics)

    def after_test_epoch(self, runner, metrics=None):
        with unless_disk_full(runner, "the log"):
            super().after_test_epoch(runner, metrics)


@contextlib.contextmanager
def unless_disk_full(runner, file: str):
    """Go on after an OSError in here, with a warning on standard error (the log itself may be what fails)."""
    try:
        yield
    except OSError as error:
        if runner.rank == 0:
            print(f"warning: could not write {file}: {error}", file=sys.stderr)


class CheckpointHook(Hook):
    """Save the run at epoch ends.

    Args:
        interval: every so many epochs; the last epoch always.
        min_seconds: but not more often than this, so that short epochs are not spent on the disk.
        max_keep: how many of the newest to keep; -1 keeps all.
        save_best: keep the weights with the best main value of ``val_evaluator`` (of the run's network) as
            ``best.pth``.
    """

    priority = "VERY_LOW"

    def __init__(self, interval: int = 1, min_seconds: float = 30.0, max_keep: int = 1, save_best: bool = True):
        if interval < 1 or max_keep == 0:
            raise ValueError(f"interval must be >= 1 and max_keep >= 1 or -1, got {interval} and {max_keep}")
        self.interval, self.min_seconds, self.max_keep, self.save_best = interval, min_seconds, max_keep, save_best
        self._saved = time.monotonic()

    def after_epoch(self, runner, entry, force=False):
        if self.save_best and entry["val"] is not None:
            loop = runner.val_loop
            new, *before = [h["val"][loop.primary][loop.main] for h in reversed(runner.history) if h["val"]]
            if all(new < old if loop.lower_is_better else new > old for old in before):
                save_run(runner, "best.pth")
        due = entry["epoch"] % self.interval == 0 and time.monotonic() - self._saved >= self.min_seconds
        if broadcast_from_rank0(due or force):  # clocks differ, and saving is collective: rank 0 decides
            save_run(runner, f"epoch_{entry['epoch']}.pth", keep=self.max_keep)
            self._saved = time.monotonic()


def floating(net) -> list[torch.Tensor]:
    """Parameters and buffers that can be averaged."""
    return [t for t in (*net.parameters(), *net.buffers()) if t.is_floating_point()]


class EMAHook(Hook):
    """Exponential moving average of the network, evaluated as ``ema`` beside the trained one.

    Args:
        momentum: share of the new weights in each update (BatchNorm buffers are averaged likewise).
        interval: update every so many iterations.
    """

    def __init__(self, momentum: float = 2e-4, interval: int = 1):
        if not 0 < momentum <= 1 or interval < 1:
            raise ValueError(f"momentum must lie in (0, 1] and interval be >= 1, got {momentum} and {interval}")
        self.momentum, self.interval, self.net = momentum, interval, None

    def before_run(self, runner):
        self.trained = unwrap(runner.model).net
        self.net = copy.deepcopy(self.trained).requires_grad_(False).eval()

    def networks(self, runner) -> dict:
        return dict(ema=self.net)

    def due(self, iteration: int) -> bool:
        """Whether :meth:`follow` belongs to this iteration's step (the loop asks on the host)."""
        return (iteration + 1) % self.interval == 0

    @torch.no_grad()
    def follow(self) -> None:
        """Part of the training step, also of a captured one: work on the device alone."""
        follow(floating(self.net), floating(self.trained), self.momentum)
        for ours, theirs in zip(self.net.buffers(), self.trained.buffers(), strict=True):
            if not ours.is_floating_point():  # counters
                ours.copy_(theirs)

    def tensors(self) -> list[torch.Tensor]:
        """What :meth:`follow` writes to."""
        return [*self.net.parameters(), *self.net.buffers()]

    def after_train_epoch(self, runner):
        average_buffers(self.net)

    before_stop = after_train_epoch  # in the middle of an epoch

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint["ema"] = self.net.state_dict()

    def after_load_checkpoint(self, runner, checkpoint):
        # weights without an average (of another run or library) start theirs
        self.net.load_state_dict(checkpoint.get("ema") or unwrap(runner.model).net.state_dict())


class MixPreviewHook(Hook):
    """Write a picture of mixed training samples to ``mixes/epoch_<n>.png`` of the work dir.

    Args:
        interval: at the start of every so many epochs, the first included; 0 for never.
        count: how many samples.
    """

    priority = "LOW"

    def __init__(self, interval: int = 50, count: int = 8):
        self.interval, self.count = interval, count

    def before_train_epoch(self, runner):
        if self.interval and runner.rank == 0 and runner.epoch % self.interval == 0:
            from ..visualization import save_mix_picture

            path = Path(runner.work_dir) / "mixes" / f"epoch_{runner.epoch + 1}.png"
            with unless_disk_full(runner, path):
                save_mix_picture(path, unwrap(runner.model), runner.train_loop.dataloader, runner.epoch, self.count)


class ProgressHook(Hook):
    """A progress bar on standard output, where a terminal watches, with the main value of the last evaluation.

    Args:
        enabled: True or False to decide yourself; by default only if standard output is a terminal.
    """

    observer = False

    def __init__(self, enabled: bool | None = None):
        self.enabled, self.bar, self.streams, self.values = enabled, None, [], ""

    def before_train_epoch(self, runner):
        enabled = sys.stdout.isatty() if self.enabled is None else self.enabled  # the bar is drawn on stdout
        if enabled and runner.rank == 0:
            from rich.console import Console  # mmengine depends on rich
            from rich.progress import Progress, TextColumn

            self.bar = Progress(*Progress.get_default_columns(), TextColumn("{task.fields[values]}"), transient=True,
                                console=Console())
            steps = runner.train_loop.steps
            done = runner.iter - runner.epoch * steps
            self.task = self.bar.add_task(f"epoch {runner.epoch + 1}/{runner.max_epochs}", total=steps, completed=done,
                                          values=self.values)
            atexit.register(self.bar.stop)  # give the cursor back however the run ends
            self.bar.start()
            self.streams = [(handler, handler.stream) for handler in runner.logger.handlers
                            if getattr(handler, "stream", None) is sys.__stdout__]
            for handler, _ in self.streams:  # log lines go above the bar, which has replaced sys.stdout
                handler.setStream(sys.stdout)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.bar is not None:
            self.bar.advance(self.task)

    def after_val_epoch(self, runner, metrics=None):
        main = runner.val_loop.main
        self.values = f"{main} {metrics[main]:.4g}" if metrics and main in metrics else ""

    def after_train_epoch(self, runner):
        self.close_run()

    def close_run(self) -> None:
        """Take the bar away; the terminal and its streams are as before. A run that stops or fails calls it, too."""
        if self.bar is not None:
            for handler, stream in self.streams:
                handler.setStream(stream)
            self.bar.stop()
            atexit.unregister(self.bar.stop)
            self.bar = None
