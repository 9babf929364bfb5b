#!/usr/bin/env python
"""Peak memory of a training on the CPU, above what the imports take, and whether it grows over epochs.

    python benchmarks/speed/memory.py --data-root data

Trains a config in a process of its own: really (reading, evaluation, checkpoints, log, preview), but with ``--steps``
batches an epoch and in each evaluation. One process counts. The peak is the kernel's VmHWM of /proc/self/status, set
back to the present size (5 into /proc/self/clear_refs) after the imports and after epoch 2. "After the imports" is
with torch, torchvision, mmengine and openmix's engine imported and one small convolution forward and back. Linux only.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torchvision  # noqa: F401
from measure import print_setting, print_table
from mmengine.hooks import Hook

from openmix.engine.config.load import load_config
from openmix.engine.runner import Runner
from openmix.registry import HOOKS

ROOT = Path(__file__).resolve().parents[2]
EARLY = 2  # the epoch after which memory must not grow


def memory(kind: str) -> float:
    """MiB of this process: ``"VmRSS"`` now, ``"VmHWM"`` the peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) / 2**10


def forget_peak() -> None:
    """Let VmHWM start from the present size."""
    Path("/proc/self/clear_refs").write_text("5")


@HOOKS.register_module()
class MemoryHook(Hook):
    """Notes memory where data has been read, and after each epoch."""

    def __init__(self):
        self.samples = []

    def note(self, when):
        self.samples.append([when, memory("VmRSS"), memory("VmHWM")])

    def before_train(self, runner):
        self.note("data read")

    def after_epoch(self, runner, entry, force=False):
        self.note(f"epoch {entry['epoch']}")
        if entry["epoch"] == EARLY:
            forget_peak()


def train(args) -> list:
    """[[when, resident MiB, peak MiB]] of one training in this process."""
    torch.set_num_threads(args.threads)
    torch.nn.functional.conv2d(torch.ones(1, 3, 8, 8, requires_grad=True), torch.ones(3, 3, 3, 3)).sum().backward()
    forget_peak()
    start = ["imports", memory("VmRSS"), memory("VmHWM")]
    cfg = load_config(args.config)
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        if args.data_root and "data_root" in cfg[key].dataset:
            cfg[key].dataset.data_root = args.data_root
    cfg.train_cfg.update(max_epochs=args.epochs, limit=args.steps)
    cfg.val_cfg.limit = args.steps
    cfg.log_level = "ERROR"
    cfg.default_hooks.checkpoint.min_seconds = 0
    cfg.work_dir = args.child
    runner = Runner.from_cfg(cfg)
    hook = MemoryHook()
    runner.register_hook(hook, "LOWEST")
    runner.train()
    return [start, *hook.samples]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs/cifar100/r20_mixup.py"))
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        (Path(args.child) / "memory.json").write_text(json.dumps(train(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--child", folder], check=True, env=env)
        samples = json.loads((Path(folder) / "memory.json").read_text())
    print_setting("torchvision", "mmengine", config=Path(args.config).name, steps=args.steps)
    base = samples[0][1]
    epochs = [f"epoch {n}" for n in sorted({1, EARLY, args.epochs // 2, args.epochs})]
    shown = [row for row in samples if row[0] in ("imports", "data read", *epochs)]
    print_table(["after", "resident MiB", "peak MiB since the line before", "peak above imports MiB"],
                [[when, f"{now:.0f}", f"{peak:.0f}", f"{peak - base:.0f}"] for when, now, peak in shown])
    peak = max(peak for _, _, peak in samples) - base
    early, last = (next(now for when, now, _ in samples if when == f"epoch {n}") for n in (EARLY, args.epochs))
    print(f"peak {peak / 1024:.2f} GiB above the imports; resident at epoch {args.epochs}: {last - early:+.0f} MiB "
          f"against epoch {EARLY}")


if __name__ == "__main__":
    main()
