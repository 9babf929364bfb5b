#!/usr/bin/env python
"""Microseconds a step of the training loop against a hand-written PyTorch loop and mmengine's default Runner.

    python benchmarks/speed/loop.py

A network of two linear layers (64-32-10) on one constant batch of 100: all that can differ is the loop. Contenders are
interleaved in one process, medians are compared; the loop is measured again after 100,000 iterations of history.
Goals: at most 1.10x the loop by hand, unchanged (within 10 %) after the history.
"""
import argparse
import logging
import tempfile
import warnings

import torch
import torch.nn.functional as F
from measure import best_clock, interleaved, print_setting, print_table
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner as DefaultRunner
from torch import nn

from openmix.engine.distributed.launch import local_device
from openmix.engine.runner import Runner
from openmix.plan import PlanRow
from openmix.registry import BACKBONES

STEPS = 500


@BACKBONES.register_module()
class Hidden(nn.Module):
    out_channels = 32

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Linear(64, 32)

    def forward(self, x):
        return self.layer1(x).relu()


class Constant:
    """A loader that costs nothing."""

    total_batch = 100

    def __init__(self, steps=STEPS):
        device = local_device()
        self.images, self.labels = torch.randn(100, 64, device=device), torch.randint(10, (100,), device=device)
        self.steps = steps
        self.dataset = range(steps * 100)

    def __len__(self):
        return self.steps

    def __iter__(self):
        return ((self.images, self.labels) for _ in range(self.steps))

    def rows(self, epoch=0, start=0, columns=None):
        return (PlanRow(mix={}, seed=i) for i in range(start, self.steps))

    def batch(self, row):
        return self.images, self.labels

    def draws(self, row):
        return row.mix

    def describe(self):
        return dict(name="constant")


def by_hand(epochs):
    loader, net = Constant(), nn.Sequential(Hidden(), nn.Linear(32, 10)).to(local_device())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * STEPS)

    def epoch():
        total = 0.0
        for i, (images, labels) in enumerate(loader):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            if (i + 1) % 50 == 0:
                total += loss.item()
    return epoch


def ours(epochs, folder):
    cfg = Config(dict(
        model=dict(type="Classifier", num_classes=10, backbone=dict(type="Hidden")), work_dir=folder,
        train_dataloader=dict(total_batch=100, dataset=dict(type="Shapes")), train_cfg=dict(max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9)), env_cfg=dict(amp="off", step="eager"),
        param_scheduler=[dict(type="CosineAnnealingLR", convert_to_iter_based=True)],
        default_hooks=dict(checkpoint=None, preview=None), log_level="ERROR"))
    runner = Runner.from_cfg(cfg)
    loop = runner.build_train_loop(Constant())
    loop.start()
    return loop.run_epoch


class Plain(BaseModel):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(Hidden(), nn.Linear(32, 10))

    def forward(self, images, labels, mode="tensor"):
        return dict(loss=F.cross_entropy(self.net(images), labels))

    def train_step(self, data, optim_wrapper):
        with optim_wrapper.optim_context(self):
            parsed, log = self.parse_losses(self(*data, mode="loss"))
        optim_wrapper.update_params(parsed)
        return log


def mmengines(epochs, folder):
    loader = torch.utils.data.DataLoader(range(STEPS))
    runner = DefaultRunner(
        Plain(), folder, train_dataloader=loader, train_cfg=dict(by_epoch=True, max_epochs=epochs), log_level="ERROR",
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9)), default_hooks=dict(checkpoint=None),
        param_scheduler=dict(type="CosineAnnealingLR", by_epoch=False, T_max=epochs * STEPS))
    runner.train_loop.dataloader = Constant()
    loop = runner.train_loop
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    runner.call_hook("before_run")
    runner.call_hook("before_train")
    return loop.run_epoch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--history", type=int, default=100_000, help="iterations before the second measurement")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    warm_up = 2  # calls of each contender by ``interleaved`` before it measures
    with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
        epochs = 2 * (args.rounds + warm_up) + args.history // STEPS
        contenders = {"by hand": by_hand(epochs), "openmix": ours(epochs, a), "mmengine": mmengines(epochs, b)}
        fresh = interleaved(contenders, args.rounds, least_ms=0, clock=best_clock(1))
        for _ in range(args.history // STEPS):
            contenders["openmix"]()
        pair = {name: contenders[name] for name in ("by hand", "openmix")}
        aged = interleaved(pair, args.rounds, least_ms=0, clock=best_clock(1))
    print_setting("mmengine", batch=100, rounds=args.rounds)
    rows = [[name, seconds / STEPS * 1e6, seconds / fresh["by hand"]] for name, seconds in fresh.items()]
    seconds = aged["openmix"]
    rows.append([f"openmix after {args.history:,} iterations", seconds / STEPS * 1e6, seconds / aged["by hand"]])
    print_table(["loop", "us/step", "x by hand"], rows)


if __name__ == "__main__":
    main()
