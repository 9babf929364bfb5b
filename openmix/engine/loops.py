"""The epoch loop.

Losses are added up on the device and read once an interval. Hooks that only watch (loggers) run at that interval,
hooks that act (a user's hook that overrides before_/after_train_iter) at every step; a hook says so itself with a
class attribute ``observer = True`` or ``False``, and mmengine's own hooks are observers.
"""
import json
import time

import torch
import torch.distributed as dist
from mmengine.runner import BaseLoop

from .launch import average_buffers
from .optim import build_optimizer
from .schedules import lr_table
from .step import Diverged, make_step

__all__ = ["EpochLoop"]

HEARTBEAT = 0.25  # seconds at least between two writings of status.json


class Stopped(Exception):
    """The run was asked to stop; its state is saved. ``signal`` is the signal's number, 0 for a planned stop."""

    def __init__(self, signal: int):
        super().__init__(f"stopped by signal {signal}" if signal else "stopped as planned")
        self.signal = signal


class Sums:
    """Scalars of many steps, added up on the device; read and averaged when somebody asks."""

    def __init__(self):
        self.totals, self.count = {}, 0

    def add(self, losses: dict) -> None:
        self.count += 1
        for name, value in losses.items():
            if name in self.totals:
                self.totals[name] += value
            else:  # the first step, or another method of a RandomChoice with terms of its own
                self.totals[name] = value.clone()

    def read(self) -> dict[str, float]:
        """Means over the steps since the last read (one host read)."""
        if not self.count:
            return {}
        means = torch.stack(list(self.totals.values())) / self.count
        found = dict(zip(self.totals, means.tolist(), strict=True))
        self.__init__()
        return found

    def state(self) -> dict:
        return dict(totals=dict(self.totals), count=self.count)

    def load(self, state: dict, device) -> None:
        self.totals, self.count = {k: v.to(device) for k, v in state["totals"].items()}, state["count"]


class EpochLoop(BaseLoop):
    """Train for ``max_epochs`` epochs of an epoch plan, evaluating every ``val_interval`` epochs.

    Args:
        mixup_off_epochs: train the last epochs without mixing.
        limit: at most so many batches an epoch, in training and evaluation (``--dry-run``).
        stop_after: stop as if by a signal after this iteration of the run (tests of resuming).
    """

    def __init__(self, runner, dataloader, max_epochs: int, val_interval: int = 1, mixup_off_epochs: int = 0,
                 limit: int | None = None, stop_after: int | None = None):
        if max_epochs < 1 or val_interval < 1:
            raise ValueError(f"max_epochs and val_interval must be at least 1, got {max_epochs} and {val_interval}")
        super().__init__(runner, runner.build_loader(dataloader, train=True))
        self._max_epochs, self.val_interval, self.stop_after = max_epochs, val_interval, stop_after
        self.mixing_epochs = max_epochs - mixup_off_epochs
        self.steps = len(self.dataloader) if limit is None else min(limit, len(self.dataloader))
        self._max_iters = max_epochs * self.steps
        self._epoch = self._iter = 0
        self._told = 0.0
        self.sums, self.means = Sums(), []  # of the running interval; (steps, means) of the epoch's earlier ones

        config = runner.cfg.optim_wrapper
        self.optimizer = build_optimizer(runner.model, config)
        self.accumulate = config.get("accumulative_counts", 1)
        self.step = make_step(runner.model, self.optimizer, device=runner.device, dtype=runner.amp_dtype,
                              clip_grad=config.get("clip_grad"), accumulate=self.accumulate)
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
        self.interval = min((h.interval for h in runner.hooks if type(h).__name__ == "LoggerHook"), default=50)
        watching = ("before_train_iter", "after_train_iter")
        hooks = [h for h in runner.hooks if any(stage in h.get_triggered_stages() for stage in watching)]
        observes = [getattr(h, "observer", type(h).__module__.startswith("mmengine.")) for h in hooks]
        self.observers = [h for h, o in zip(hooks, observes, strict=True) if o]
        self.actors = [h for h, o in zip(hooks, observes, strict=True) if not o]
        runner.call_hook("before_train")

    def run(self):
        runner = self.runner
        self.start()
        while self._epoch < self._max_epochs:
            self.run_epoch()
        runner.call_hook("after_train")
        return runner.model

    def run_epoch(self):
        runner = self.runner
        runner.call_hook("before_train_epoch")
        runner.model.train()
        self._clock = dict(start=time.perf_counter(), interval=time.perf_counter(), data=0.0, steps=0,
                           first=self._iter)
        mixing, start = self._epoch < self.mixing_epochs, self._iter - self._epoch * self.steps
        batches, stopping = self.dataloader.batches(self._epoch, start), False
        for index in range(start, self.steps):
            waiting = time.perf_counter()
            images, labels, draws, seed = next(batches)
            self._clock["data"] += time.perf_counter() - waiting
            for hook in self.actors:
                hook.before_train_iter(runner, batch_idx=index, data_batch=None)
            last = index + 1 == self.steps
            update = last or (index + 1) % self.accumulate == 0
            self.set_lr(self._iter)
            planned = self.stop_after is not None and self._iter + 1 >= self.stop_after
            try:
                losses, stop = self.step(images, labels, draws, self._iter / self._max_iters, mixing=mixing,
                                         update=update, seed=seed, stop=bool(runner.stop_signal.number))
            except Diverged as error:
                raise self.diverged(error) from None
            self.sums.add(losses)
            self._clock["steps"] += 1
            for hook in self.actors:
                hook.after_train_iter(runner, batch_idx=index, data_batch=None, outputs=losses)
            if last or (index + 1) % self.interval == 0:
                stop = self.observe(index) or stop
            stopping = stopping or stop or planned  # all processes have agreed on this, and it waits for an update
            self._iter += 1
            if stopping and update and not last:
                self.stop()
        self.end_epoch(stopping)

    def set_lr(self, iteration: int) -> None:
        for group in self.optimizer.param_groups:
            value = self.lr_tables[group["base_lr"]][iteration]
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value

    def observe(self, index: int) -> bool:
        """Everything that reads the device: the latch, the log line, the agreement on stopping."""
        runner, clock, now = self.runner, self._clock, time.perf_counter()
        self.check_finite()
        runner.note_memory()
        steps, seconds = max(1, clock["steps"]), now - clock["interval"]
        scalars = dict(lr=self.optimizer.param_groups[0]["lr"], time=seconds / steps, data_time=clock["data"] / steps)
        count, means = self.sums.count, self.sums.read()
        self.means.append((count, dict(means)))
        # "loss" first, as readers of the line expect it
        scalars |= {"loss": means.pop("loss", float("nan")), **means}
        scalars["img/s"] = clock["steps"] * self.dataloader.total_batch / max(seconds, 1e-9)
        for name, value in scalars.items():
            runner.message_hub.update_scalar(f"train/{name}", float(value))
        runner.message_hub.update_info("eta", (self._max_iters - self._iter - 1) * seconds / steps)
        for hook in self.observers:
            hook.after_train_iter(runner, batch_idx=index, data_batch=None, outputs=scalars)
        if now - self._told > HEARTBEAT:
            self._told = now
            runner.set_status("running", epoch=self._epoch + 1, step=self._iter + 1)
        clock.update(interval=time.perf_counter(), data=0.0, steps=0)
        if runner.world_size == 1:
            return bool(runner.stop_signal.number)
        if self.step.latch.on_host:  # agreed on at each step
            return False
        flag = torch.tensor(float(runner.stop_signal.number > 0), device=runner.device)
        dist.all_reduce(flag)
        return bool(flag)

    def end_epoch(self, stop: bool) -> None:
        runner = self.runner
        seconds = time.perf_counter() - self._clock["start"]
        average_buffers(runner.model)
        images = (self._iter - self._clock["first"]) * self.dataloader.total_batch
        entry = dict(epoch=self._epoch + 1, lr=float(self.optimizer.param_groups[0]["lr"]), seconds=seconds,
                     img_s=images / seconds, train=self.epoch_means(), val=None)
        runner.call_hook("after_train_epoch")
        self._epoch += 1
        last = self._epoch == self._max_epochs
        if runner.val_loop is not None and (last or self._epoch % self.val_interval == 0):
            entry["val"] = runner.val_loop.run()
        runner.history.append(entry)
        if runner.world_size == 1:  # several processes agree at the next step on what came during evaluation
            stop = stop or bool(runner.stop_signal.number)
        runner.call_hook("after_epoch", entry=entry, force=stop or last)
        if stop and not last:
            raise Stopped(runner.stop_signal.number)

    def epoch_means(self) -> dict[str, float]:
        """Means over the epoch of what was logged in its intervals."""
        steps = sum(count for count, _ in self.means)
        names = dict.fromkeys(name for _, means in self.means for name in means)
        found = {k: sum(count * means.get(k, 0.0) for count, means in self.means) / steps for k in names}
        self.means = []
        return found

    def stop(self):
        """Save in the middle of an epoch and leave."""
        self.check_finite()
        self.runner.call_hook("before_stop")
        average_buffers(self.runner.model)
        self.runner.save_run(f"iter_{self._iter}.pth")
        raise Stopped(self.runner.stop_signal.number)

    def check_finite(self) -> None:
        """Raise Diverged if a loss since the last look was not finite."""
        try:
            self.step.latch.read()
        except Diverged as error:
            raise self.diverged(error) from None

    def diverged(self, error: Diverged) -> Diverged:
        lr = float(self.optimizer.param_groups[0]["lr"])
        return Diverged(f"{error} at iteration {self._iter + 1} (epoch {self._epoch + 1}, lr {lr:g}); the last good "
                        "checkpoint is kept. Try a lower lr, warm-up (LinearLR) or clip_grad")

    # -- state -------------------------------------------------------------------------------------------------

    def state(self) -> dict:
        scaler = self.step.scaler
        return dict(epoch=self._epoch, iter=self._iter, sums=self.sums.state(), means_json=json.dumps(self.means),
                    scaler=scaler.state_dict() if scaler else None)

    def load_state(self, state: dict) -> None:
        self._epoch, self._iter = state["epoch"], state["iter"]
        self.sums.load(state["sums"], self.runner.device)
        self.means = json.loads(state["means_json"])
        if self.step.scaler and state["scaler"]:
            self.step.scaler.load_state_dict(state["scaler"])
