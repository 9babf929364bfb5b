"""The epoch loop.

Hooks that only watch (loggers) run at the logging interval, hooks that act (a user's hook that overrides
before_/after_train_iter) at every step. A hook's class attribute ``observer = True`` or ``False`` decides; mmengine's
own hooks are observers.
"""
import contextlib
import json
import time

import mmengine.hooks
import torch
import torch.distributed as dist
from mmengine.runner import BaseLoop

from .build import build_loader
from .distributed.launch import average_buffers, gather, unwrap
from .finite import not_finite, state_tensors
from .logging.intervals import IntervalLog
from .optim.optimizers import build_optimizer
from .optim.schedules import lr_table
from .resume import save_run
from .step.eager import Diverged
from .step.modes import make_step

__all__ = ["EpochLoop"]


class Stopped(Exception):
    """The run was asked to stop; its state is saved. ``signal`` is the signal's number, 0 for a planned stop."""

    def __init__(self, signal: int):
        super().__init__(f"stopped by signal {signal}" if signal else "stopped as planned")
        self.signal = signal


class EpochLoop(BaseLoop):
    """Train for ``max_epochs`` epochs of an epoch plan, evaluating every ``val_interval`` epochs.

    Args:
        mixup_off_epochs: train the last epochs without mixing.
        mixup_begin_epoch: train so many first epochs without mixing.
        limit: at most so many batches an epoch, in training and evaluation (``--dry-run``).
        stop_after: stop as if by a signal after this iteration of the run (tests of resuming).
    """

    def __init__(self, runner, dataloader, max_epochs: int, val_interval: int = 1, mixup_off_epochs: int = 0,
                 mixup_begin_epoch: int = 0, limit: int | None = None, stop_after: int | None = None):
        if max_epochs < 1 or val_interval < 1:
            raise ValueError(f"max_epochs and val_interval must be at least 1, got {max_epochs} and {val_interval}")
        super().__init__(runner, build_loader(runner, dataloader, train=True))
        self._max_epochs, self.val_interval, self.stop_after = max_epochs, val_interval, stop_after
        self.mixing_epochs = range(mixup_begin_epoch, max_epochs - mixup_off_epochs)
        if mixup_begin_epoch and not self.mixing_epochs:
            raise ValueError(f"no epoch is mixed: mixup_begin_epoch={mixup_begin_epoch} and mixup_off_epochs="
                             f"{mixup_off_epochs} leave none of max_epochs={max_epochs}; lower them, or use Vanilla")
        self.steps = len(self.dataloader) if limit is None else min(limit, len(self.dataloader))
        self._max_iters = max_epochs * self.steps
        self._epoch = self._iter = self.first_iter = 0  # first_iter: of this part of the run
        self.log = IntervalLog(self)
        self.exempt = set()  # tensors that are not finite by design, such as a mask of a network
        self.late = runner.device.type == "cuda"  # a log line is written when the next interval has been queued

        config = runner.cfg.optim_wrapper
        self.optimizer = build_optimizer(runner.model, config)
        self.accumulate = config.get("accumulative_counts", 1)
        self.step = make_step(
            runner.model, self.optimizer, self.dataloader.batch, draws=self.dataloader.draws,
            mode=runner.cfg.get("env_cfg", {}).get("step", "auto"), warn=runner.logger.warning, device=runner.device,
            dtype=runner.amp_dtype, clip_grad=config.get("clip_grad"), accumulate=self.accumulate)
        schedule = runner.cfg.get("param_scheduler")
        tables = {}
        for group in self.optimizer.param_groups:
            base = group["base_lr"]
            if base not in tables:
                tables[base] = lr_table(schedule, base, max_epochs, self.steps)
        self.lr_tables = tables

    epoch = property(lambda self: self._epoch)
    iter = property(lambda self: self._iter)
    max_epochs = property(lambda self: self._max_epochs)
    max_iters = property(lambda self: self._max_iters)

    # -- running -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Sort the hooks into those that watch and those that act; to be called before the first epoch."""
        runner = self.runner
        self.interval = min((h.interval for h in runner.hooks if isinstance(h, mmengine.hooks.LoggerHook)), default=50)
        watching = ("before_train_iter", "after_train_iter")
        hooks = [h for h in runner.hooks if any(stage in h.get_triggered_stages() for stage in watching)]
        observes = [getattr(h, "observer", type(h).__module__.startswith("mmengine.")) for h in hooks]
        self.observers = [h for h, o in zip(hooks, observes, strict=True) if o]
        self.actors = [h for h, o in zip(hooks, observes, strict=True) if not o]
        self.followers = [h for h in runner.hooks if hasattr(h, "follow")]
        self.exempt = set(self.not_finite())
        runner.call_hook("before_train")

    def run(self):
        runner = self.runner
        self.start()
        while self._epoch < self._max_epochs:
            self.run_epoch()
        runner.call_hook("after_train")
        return runner.model

    def run_epoch(self):
        runner, step, actors, accumulate = self.runner, self.step, self.actors, self.accumulate
        runner.call_hook("before_train_epoch")
        runner.model.train()
        step.begin_epoch()
        mixing, start = self._epoch in self.mixing_epochs, self._iter - self._epoch * self.steps
        self.log.begin_epoch(start)
        first, stopping = self._iter, False
        rows = self.dataloader.rows(self._epoch, start, self.columns())
        for index in range(start, self.steps):
            waiting = time.perf_counter()
            row = next(rows)
            self.log.data_seconds += time.perf_counter() - waiting
            for hook in actors:
                hook.before_train_iter(runner, batch_idx=index, data_batch=None)
            last = index + 1 == self.steps
            begun = index % accumulate  # batches of this window before this one; an epoch's last window is shorter
            window = min(accumulate, self.steps - index + begun)
            update = begun + 1 == window
            if "graph" not in step.mode:
                self.set_lr(self._iter)
            planned = self.stop_after is not None and self._iter + 1 >= self.stop_after
            followers = self.due(begun) if update and self.followers else ()
            try:
                losses, stop = step(row, self._iter / self._max_iters, mixing, update,
                                    bool(runner.stop_signal.received), followers, window)
            except Diverged as error:
                raise self.diverged(error, self._iter) from None
            if actors and "graph" in step.mode:  # a graph writes to the same tensors each time, and hooks may keep them
                losses = {name: value.clone() for name, value in losses.items()}
            for hook in actors:
                hook.after_train_iter(runner, batch_idx=index, data_batch=None, outputs=losses)
            if last or (index + 1) % self.interval == 0:
                stop = self.log.send(index) or stop
                stop = self.log.write(keep=1 if self.late and not last else 0) or stop
            stopping = stopping or stop or planned  # all processes have agreed on this, and it waits for an update
            self._iter += 1
            if stopping and update and not last:
                self.stop()
        self.end_epoch(first, stopping)

    def due(self, begun: int) -> list:
        """Those that follow this iteration's update: due at it, or at one of the ``begun`` before in its window."""
        window = range(self._iter - begun, self._iter + 1)
        return [f for f in self.followers if any(f.due(iteration) for iteration in window)]

    def columns(self) -> dict:
        """Learning rates and progress of an epoch's steps, for the modes of the step that read them on the device."""
        if self.step.mode == "eager":
            return {}
        first, last = self._epoch * self.steps, self._max_iters - 1  # with a limit the plan is longer than the run
        steps = [min(first + i, last) for i in range(len(self.dataloader))]
        progress = torch.tensor(steps) / self._max_iters
        rates = [[self.lr_tables[group["base_lr"]][i] for i in steps] for group in self.optimizer.param_groups]
        return dict(progress=progress, lr=torch.tensor(rates).T.contiguous())

    def lr(self, iteration: int) -> float:
        """Learning rate of the first parameter group."""
        return self.lr_tables[self.optimizer.param_groups[0]["base_lr"]][iteration]

    def set_lr(self, iteration: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr_tables[group["base_lr"]][iteration]

    @contextlib.contextmanager
    def at_iteration(self, iteration: int):
        """Let hooks see an earlier iteration: the one that a log line is about."""
        now, self._iter = self._iter, iteration
        try:
            yield
        finally:
            self._iter = now

    def end_epoch(self, first: int, stop: bool) -> None:
        """Evaluate, save and note the epoch, whose first iteration here was ``first``."""
        runner = self.runner
        seconds = time.perf_counter() - self.log.epoch_began
        average_buffers(runner.model)
        images = (self._iter - first) * self.dataloader.total_batch
        entry = dict(epoch=self._epoch + 1, lr=self.lr(self._iter - 1), seconds=seconds,
                     img_s=images / seconds, train=self.log.epoch_means(), val=None)
        if runner.device.type == "cpu":  # the processor's own time: other programs do not change it
            spent = time.process_time() - self.log.epoch_began_cpu
            entry["cpu_img_s"] = images / runner.world_size / max(spent, 1e-9)
        runner.call_hook("after_train_epoch")
        self.check_finite()
        self._epoch += 1
        last = self._epoch == self._max_epochs
        if runner.val_loop is not None and (last or self._epoch % self.val_interval == 0):
            try:
                entry["val"] = runner.val_loop.run()
            except Diverged as error:
                raise self.diverged(error, self._iter - 1) from None
        if runner.evaluations is not None:
            runner.evaluations.run_due(entry)
        runner.history.append(entry)
        if runner.world_size == 1:  # several processes agree at the next step on what came during evaluation
            stop = stop or bool(runner.stop_signal.received)
        stopped = self.stopped() if stop and not last else None  # before one of them may fail to save
        runner.call_hook("after_epoch", entry=entry, force=stop or last)
        if stopped:
            raise stopped

    def stop(self):
        """Save in the middle of an epoch and leave."""
        self.log.write()
        guard = self.step.guard
        if not guard.immediate and guard.tripped:  # since the last log line
            raise self.diverged(Diverged("the loss was not finite"), self.first_iter + int(guard.good))
        self.runner.call_hook("before_stop")
        own = {name: b for name, b in unwrap(self.runner.model).named_buffers() if b.is_floating_point()}
        own = gather(own) if self.runner.world_size > 1 else None  # methods may use statistics before they are averaged
        average_buffers(self.runner.model)
        stopped = self.stopped()
        save_run(self.runner, f"iter_{self._iter}.pth", own_buffers=own)
        raise stopped

    def stopped(self) -> Stopped:
        """The signal is that of any process: all leave with the same status."""
        number = torch.tensor(self.runner.stop_signal.received)
        return Stopped(max(int(rank["signal"]) for rank in gather(dict(signal=number))))

    def not_finite(self) -> list[str]:
        """Names of tensors of the run's state that hold an infinity or a NaN."""
        return not_finite(state_tensors(self.runner.model, self.optimizer, self.runner.hook_networks()))

    def check_finite(self) -> None:
        """Raise Diverged if the last update left numbers that must not be saved or evaluated. All processes call it."""
        wrong = [name for name in self.not_finite() if name not in self.exempt]
        flag = torch.tensor(float(bool(wrong)), device=self.runner.device)
        if self.runner.world_size > 1:
            dist.all_reduce(flag)
        if flag.item():
            names = ", ".join(wrong[:2]) + (f" and {len(wrong) - 2} more" if len(wrong) > 2 else "")
            raise self.diverged(Diverged(f"weights or states of the optimizer are not finite ({names or 'elsewhere'})"),
                                self._iter - 1)

    def diverged(self, error: Diverged, iteration: int) -> Diverged:
        epoch, lr = iteration // self.steps + 1, self.lr(min(iteration, self._max_iters - 1))
        return Diverged(f"{error} at iteration {iteration + 1} (epoch {epoch}, lr {lr:g}); the last good "
                        "checkpoint is kept. Try a lower lr, warm-up (LinearLR) or clip_grad")

    # -- state -------------------------------------------------------------------------------------------------

    def state(self) -> dict:
        scaler = self.step.scaler
        return dict(epoch=self._epoch, iter=self._iter, sums=self.step.meter.state(),
                    means_json=json.dumps(self.log.means), scaler=scaler.state_dict() if scaler else None)

    def load_state(self, state: dict) -> None:
        self._epoch, self._iter = state["epoch"], state["iter"]
        self.first_iter = self._iter
        self.step.meter.load(state["sums"], self.runner.device)
        self.log.means = json.loads(state["means_json"])
        if self.step.scaler and state["scaler"]:
            self.step.scaler.load_state_dict(state["scaler"])
