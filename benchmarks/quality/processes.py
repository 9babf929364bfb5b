#!/usr/bin/env python
"""Accuracy of one process against several (gloo on a CPU): each step sees the same images, split.

    python benchmarks/quality/processes.py --config configs/shapes/r20_mixup.py --seeds 3 --processes 2

Partners are found inside a process's share of the batch and BatchNorm sees that share, so weights agree within noise.
"""
import argparse
from pathlib import Path

from prettytable import PrettyTable, TableStyle
from seeds import ROOT, agree, spread, train


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs/shapes/r20_mixup.py"))
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/processes"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cfg-options", nargs="+", default=["env_cfg.channels_last=True"])
    args = parser.parse_args()
    accuracies = {n: [train(args.config, args.work_dir / f"{n}_processes" / f"seed{s}", s, args.cfg_options, n)
                 for s in range(args.seeds)] for n in (1, args.processes)}
    table = PrettyTable(["config", *(f"top-1 with {n}" for n in accuracies), "within 2 sd"])
    table.add_row([Path(args.config).stem, *map(spread, accuracies.values()), agree(*accuracies.values())])
    table.set_style(TableStyle.MARKDOWN)
    print(table)


if __name__ == "__main__":
    main()
