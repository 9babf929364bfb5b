#!/usr/bin/env python
"""Accuracies of the library against a hand-written loop (plain_loop.py): a small ResNet on CIFAR-100, several seeds.

    python benchmarks/quality/against_plain_loop.py --data-root data --epochs 3 --seeds 3

Finished runs in --work-dir are not repeated, so it can be stopped and started.
"""
import argparse
import json
import sys
from pathlib import Path

from prettytable import PrettyTable, TableStyle
from seeds import ROOT, agree, spread, start, train


def plain(method, out, seed, args) -> float:
    if not out.exists():
        start([sys.executable, ROOT / "benchmarks/quality/plain_loop.py", "--data-root", args.data_root, "--method",
               method, "--seed", seed, "--epochs", args.epochs, "--threads", args.threads, "--depth", args.depth,
               "--out", out], args.threads)
    return json.loads(out.read_text())["top1"][-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/against_plain_loop"))
    parser.add_argument("--methods", nargs="+", default=["vanilla", "mixup"])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--depth", type=int, default=20, help="of the ResNet: 8, 14, 20 ...")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    data = [f"{name}_dataloader.dataset.data_root={args.data_root}" for name in ("train", "val", "test")]
    options = [*data, f"train_cfg.max_epochs={args.epochs}", f"train_cfg.val_interval={args.epochs}",
               f"model.backbone.depth={args.depth}", "env_cfg.channels_last=True", "default_hooks.logger.interval=100"]
    table = PrettyTable(["method", "openmix top-1", "plain loop top-1", "within 2 sd"])
    for method in args.methods:
        config = ROOT / f"configs/cifar100/r20_{method}.py"
        ours = [train(config, args.work_dir / method / f"seed{s}", s, options, threads=args.threads)
                for s in range(args.seeds)]
        theirs = [plain(method, args.work_dir / f"plain_{method}" / f"seed{s}.json", s, args)
                  for s in range(args.seeds)]
        table.add_row([method, spread(ours), spread(theirs), agree(ours, theirs)])
    table.set_style(TableStyle.MARKDOWN)
    print(table)


if __name__ == "__main__":
    main()
