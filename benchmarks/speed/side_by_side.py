#!/usr/bin/env python
"""What several small runs side by side on one GPU (or on one CPU) gain over one after the other.

    python benchmarks/speed/side_by_side.py
    python benchmarks/speed/side_by_side.py --config configs/cifar100/r18_mixup.py --data-root data --steps 500

k runs of one config with different seeds are started by tools/side_by_side.sh, k = 1, 2, 3, 4. On a GPU with NVIDIA MPS
where it is installed, and once more without (the processes take turns then); on a CPU the cores are divided among the
runs. Start-up and evaluation do not count: each run's median epoch does, and the speeds of the k runs are added. An
epoch has ``--steps`` steps.
"""
import shutil
import statistics
import tempfile
from pathlib import Path

import torch
from measure import print_setting, print_table
from runs import ROOT, call, record, run_parser, train_options


def settings(counts: list[int]) -> list[tuple[str, int, int]]:
    """(what is said of it, k, whether with MPS)."""
    mps = torch.cuda.is_available() and shutil.which("nvidia-cuda-mps-control")
    found = []
    for k in counts:
        if mps and k > 1:
            found.append((f"{k}, MPS", k, 1))
        found.append((f"{k}, no MPS" if mps and k > 1 else str(k), k, 0))
    return found


def main():
    parser = run_parser(__doc__)
    parser.add_argument("--side-by-side", type=int, nargs="+", default=[1, 2, 3, 4])
    args = parser.parse_args()
    chosen = settings(args.side_by_side)
    found = {name: [] for name, _, _ in chosen}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(args.rounds):
            for name, k, mps in chosen:
                places = [Path(folder) / f"{repeat}_{name}_{seed}".replace(", ", "_").replace(" ", "_")
                          for seed in range(k)]
                runs = [f"{args.config} --seed {seed} --work-dir {place}" for seed, place in enumerate(places)]
                call(["bash", str(ROOT / "tools/side_by_side.sh"), str(k), *runs, "--", *train_options(args)],
                     MPS=mps, LOGS=Path(folder) / "logs")
                records = [record(place) for place in places]
                found[name].append(sum(r["img_s"] for r in records))
    rates = {name: statistics.median(speeds) for name, speeds in found.items()}
    first = next(iter(rates.values()))
    print_setting(config=Path(args.config).stem, steps=args.steps, rounds=args.rounds)
    images = records[0]["total_batch"] * args.steps
    print_table(["runs side by side", "images/s of all", "s per epoch and run", f"x {chosen[0][0]} run(s)"],
                [[name, f"{rate:,.0f}", images / rate, rate / first] for name, rate in rates.items()])


if __name__ == "__main__":
    main()
