#!/usr/bin/env python
"""Images a second of one training spread over 1, 2, ... processes, started by tools/dist_train.sh.

    python benchmarks/speed/scaling.py
    python benchmarks/speed/scaling.py --config configs/cifar100/r18_mixup.py --data-root data --processes 1 2 4 8

One process a GPU where there are GPUs (NCCL), else processes with one thread each on the CPU (gloo). The global batch
is the same for all: each process gets its part. Start-up and evaluation do not count.
"""
import statistics
import tempfile
from pathlib import Path

import torch
from measure import print_setting, print_table
from runs import ROOT, call, record, run_parser, train_options


def main():
    parser = run_parser(__doc__)
    parser.add_argument("--processes", type=int, nargs="+", help="default: 1, 2, 4 ... as far as GPUs or cores go")
    args = parser.parse_args()
    devices = torch.cuda.device_count() or torch.get_num_threads()
    counts = args.processes or [2**i for i in range(devices.bit_length()) if 2**i <= devices]
    speed_of = {n: [] for n in counts}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(args.rounds):
            for n in counts:
                work_dir = Path(folder) / f"{repeat}_{n}"
                line = ["bash", str(ROOT / "tools/dist_train.sh"), args.config, str(n), "--work-dir", str(work_dir)]
                call([*line, *train_options(args)], OMP_NUM_THREADS=1)
                speed_of[n].append(record(work_dir)["img_s"])
    speed_of = {n: statistics.median(speeds) for n, speeds in speed_of.items()}
    print_setting(config=Path(args.config).stem, GPUs=torch.cuda.device_count(), rounds=args.rounds)
    one = speed_of[counts[0]] / counts[0]
    print_table(["processes", "images/s", f"x {counts[0]} process(es)", "of ideal"],
                [[str(n), f"{rate:,.0f}", rate / speed_of[counts[0]], f"{rate / n / one:.0%}"]
                 for n, rate in speed_of.items()])


if __name__ == "__main__":
    main()
