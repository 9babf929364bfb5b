"""Logging intervals of the training loop.

Losses are added up on the device and read once an interval, on a GPU one interval late. So the host never waits for a
step that is still running.
"""
import time
from collections import deque
from typing import NamedTuple

import torch
import torch.distributed as dist

from ..step.eager import Diverged
from ..step.meters import AsyncRead, record_event
from ..summary import note_memory

HEARTBEAT = 1.0  # seconds at least between two writings of status.json


class Interval(NamedTuple):
    """A logging interval whose sums are on their way from the device."""

    index: int  # of its last batch in the epoch
    iteration: int  # of the run, of the same batch
    lr: float
    count: int
    names: list
    readout: AsyncRead
    steps: int  # of this process since the last one: a resumed run has read none of the earlier ones' time
    seconds: float
    data_seconds: float
    began: torch.cuda.Event | None


class IntervalLog:
    """Times and means of the logging intervals of an epoch, and their log lines.

    Args:
        loop: the training loop.

    Attributes:
        means: (steps, means) of the epoch's intervals so far.
        data_seconds: time spent waiting for data in the current interval; the loop adds to it.
    """

    def __init__(self, loop):
        self.loop, self.means, self.pending, self.heartbeat = loop, [], deque(), 0.0

    def begin_epoch(self, index: int) -> None:
        """Start the clock before batch ``index`` of the epoch."""
        self.epoch_began = self.began = time.perf_counter()
        self.epoch_began_cpu = time.process_time()
        self.data_seconds, self.first, self.pending = 0.0, index, deque()
        self.event = record_event(self.loop.runner.device)

    def send(self, index: int) -> bool:
        """Start reading the sums of the interval that ends with batch ``index``; returns whether to stop."""
        loop, runner, step, now = self.loop, self.loop.runner, self.loop.step, time.perf_counter()
        others = []
        if not step.guard.immediate:
            others = step.guard.tensors()
            if runner.world_size > 1:  # the processes agree on a stop (on CPUs they do at each step)
                flag = torch.tensor(float(runner.stop_signal.received > 0), device=runner.device)
                dist.all_reduce(flag)
                others = [*others, flag]
        count, names, readout = step.meter.read_and_reset(*others)
        self.pending.append(Interval(
            index, loop.iter, loop.lr(loop.iter), count, names, readout, steps=index + 1 - self.first,
            seconds=now - self.began, data_seconds=self.data_seconds, began=self.event))
        self.began, self.data_seconds, self.first, self.event = now, 0.0, index + 1, readout.done
        return runner.world_size == 1 and bool(runner.stop_signal.received)

    def write(self, keep: int = 0) -> bool:
        """Read and log the pending intervals but for the newest ``keep``; returns whether to stop."""
        stop = False
        while len(self.pending) > keep:
            stop = self.write_line(self.pending.popleft()) or stop
        return stop

    def write_line(self, interval: Interval) -> bool:
        """One log line; returns whether to stop. Raises Diverged if a loss was not finite."""
        loop, runner, guard, names = self.loop, self.loop.runner, self.loop.step.guard, interval.names
        values = interval.readout.tolist()
        sums, others = values[:len(names)], values[len(names):]
        if not guard.immediate and others[0]:
            raise loop.diverged(Diverged("the loss was not finite"), loop.first_iter + int(others[1]))
        note_memory(runner)
        means = {name: total / max(1, interval.count) for name, total in zip(names, sums, strict=True)}
        self.means.append((interval.count, dict(means)))
        seconds, steps = interval.seconds, interval.steps
        if interval.began is not None:  # the host runs ahead of a GPU, so its clock does not measure them
            seconds = interval.began.elapsed_time(interval.readout.done) / 1e3
        scalars = dict(lr=interval.lr, time=seconds / steps, data_time=interval.data_seconds / steps)
        # "loss" first, as readers of the line expect it
        scalars |= {"loss": means.pop("loss", float("nan")), **means}
        scalars["img/s"] = steps * loop.dataloader.total_batch / max(seconds, 1e-9)
        for name, value in scalars.items():
            runner.message_hub.update_scalar(f"train/{name}", float(value))
        runner.message_hub.update_info("eta", (loop.max_iters - interval.iteration - 1) * seconds / steps)
        with loop.at_iteration(interval.iteration):
            for hook in loop.observers:
                hook.after_train_iter(runner, batch_idx=interval.index, data_batch=None, outputs=scalars)
        now = time.perf_counter()
        if now - self.heartbeat > HEARTBEAT:
            self.heartbeat = now
            runner.set_status("running", epoch=loop.epoch + 1, step=interval.iteration + 1)
        return not guard.immediate and runner.world_size > 1 and others[2] > 0

    def epoch_means(self) -> dict[str, float]:
        """Means over the epoch of what was logged in its intervals; the next epoch starts anew."""
        steps = sum(count for count, _ in self.means)
        names = dict.fromkeys(name for _, means in self.means for name in means)
        means = {k: sum(count * means.get(k, 0.0) for count, means in self.means) / steps for k in names}
        self.means = []
        return means
