#!/usr/bin/env python
"""The first iterations of configs, on one process and on several: are the losses finite, do they fall, do ranks agree?

    python benchmarks/quality/first_iterations.py configs/feature_mix/cifar10_{erm,feature}.py --batch 64 --lr 0.01

A smaller batch needs a smaller learning rate, and with very few images the loss need not fall. Columns: mean loss of
the first and the last ten iterations; images of a second; whether all losses are finite, whether the last are lower,
and whether the parameters of all processes are equal. The exit status is 1 if anything is not as it should be.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from every_method import equal_on_all_ranks, losses
from prettytable import PrettyTable, TableStyle

from openmix.engine.config.load import load_config
from openmix.engine.runner import Runner

SHOWN = 10  # iterations whose mean loss is shown
CHECKS = ("finite", "falls", "ranks")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+")
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--batch", type=int, help="images of all processes; by default that of the config")
    parser.add_argument("--lr", type=float, help="learning rate; by default that of the config")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", help=argparse.SUPPRESS)
    return parser


def examine(args, config: str) -> dict:
    """Train for the first iterations of a config, and what is true of them."""
    cfg = load_config(config)
    for key in ("val_dataloader", "val_cfg", "val_evaluator", "test_dataloader", "test_cfg", "test_evaluator"):
        cfg.pop(key, None)
    cfg.train_dataloader.dataset.data_root = args.data_root
    cfg.train_dataloader.total_batch = args.batch or cfg.train_dataloader.total_batch
    cfg.optim_wrapper.optimizer.lr = args.lr or cfg.optim_wrapper.optimizer.lr
    folder = [tempfile.mkdtemp(prefix="openmix_")]
    if dist.is_initialized():
        dist.broadcast_object_list(folder)
    cfg.merge_from_dict(dict(
        train_cfg=dict(max_epochs=1, limit=args.iterations), work_dir=folder[0], log_level="ERROR",
        env_cfg=dict(amp="off", step="eager", num_threads=1),
        default_hooks=dict(logger=dict(interval=1), checkpoint=None, preview=None, progress=None)))
    cfg.launcher = "pytorch" if dist.is_initialized() else "none"
    began, runner = time.perf_counter(), Runner.from_cfg(cfg)
    runner.train()
    values = losses(folder[0])
    first, last = (sum(part) / len(part) for part in (values[:SHOWN], values[-SHOWN:]))
    return dict(first=first, last=last, speed=cfg.train_dataloader.total_batch * len(values) / (
        time.perf_counter() - began), finite=all(map(math.isfinite, values)) and len(values) == args.iterations,
        falls=last < first, ranks=equal_on_all_ranks(runner.model))


def several(args, config: str, processes: int) -> dict:
    """The same on several processes, which this script starts."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        given = {f"--{key}": getattr(args, key) for key in ("batch", "lr")}
        chosen = [text for key, value in given.items() if value for text in (key, str(value))]
        line = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}",
                __file__, config, "--data-root", args.data_root, "--iterations", str(args.iterations), *chosen,
                "--out", str(out)]
        subprocess.run(line, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return json.loads(out.read_text())


def main() -> int:
    args = make_parser().parse_args()
    torch.set_num_threads(1)
    if "RANK" in os.environ:  # one of several, started by this script
        dist.init_process_group("gloo")
        actual = examine(args, args.configs[0])
        if dist.get_rank() == 0:
            Path(args.out).write_text(json.dumps(actual))
        dist.barrier()
        os._exit(0)  # all is written; gloo's threads sometimes abort an interpreter that ends by itself
    table, right = PrettyTable(["config", "processes", "loss", "images/s", *CHECKS]), True
    for config in args.configs:
        for processes in args.processes:
            actual = examine(args, config) if processes == 1 else several(args, config, processes)
            checks = ["yes" if actual[key] else "NO" for key in CHECKS]
            right = right and "NO" not in checks
            table.add_row([Path(config).stem, processes, f"{actual['first']:.3f} -> {actual['last']:.3f}",
                           f"{actual['speed']:.1f}", *checks])
            print(f"{config}, {processes} processes: {actual}", file=sys.stderr, flush=True)
    table.set_style(TableStyle.MARKDOWN)
    table.align["config"] = "l"
    print(table)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
