#!/usr/bin/env python
"""Images a second of the resident loader against torchvision's CIFAR-100 with a DataLoader, in one process.

    python benchmarks/speed/loader.py --data-root data

Both do the CIFAR recipe (reflect-padded crop, flip, normalise) and hand out float32 batches (100, 3, 32, 32). Rounds
are interleaved and medians compared, so that a busy machine disturbs all contenders alike. The making of our plan
counts, the start of their workers does not. Goal: at least 15x the DataLoader with two workers.
"""
import argparse
import statistics
import time
import warnings

import torch
from contenders import BATCH, torchvision_loader
from measure import print_setting, print_table

from openmix.datasets import CIFAR100, ResidentLoader


def rate(batches, images: int, started: bool = False) -> float:
    """Images a second over the next ``images``; with ``started`` the clock starts after the first batch."""
    batches, seen = iter(batches), 0
    if started:
        next(batches)
    start = time.perf_counter()
    for batch in batches:
        seen += len(batch[0])
        if seen >= images:
            break
    return seen / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--images", type=int, default=10_000, help="images of one round of the DataLoader")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*worker processes.*")

    data = CIFAR100(args.data_root)
    ours = ResidentLoader(data, BATCH)
    peers = {workers: torchvision_loader(data, workers) for workers in args.workers}

    speed_of = {}
    for repeat in range(args.rounds + 1):
        for threads in args.threads:
            torch.set_num_threads(threads)
            speed = rate(ours.batches(epoch=repeat), len(data))
            speed_of.setdefault(f"openmix resident, {threads} thread{'s' * (threads > 1)}", []).append(speed)
        torch.set_num_threads(1)
        for workers, loader in peers.items():
            speed = rate(loader, args.images, started=True)
            speed_of.setdefault(f"torchvision + DataLoader, {workers} workers", []).append(speed)
    speed_of = {name: statistics.median(speeds[1:]) for name, speeds in speed_of.items()}  # the first round warms up

    print_setting("torchvision", batch=BATCH, rounds=args.rounds, images=f"{len(data)} of {data.name}")
    theirs = [name for name in speed_of if name.startswith("torchvision")]
    rows = [[name, f"{speed:,.0f}", *(speed / speed_of[peer] for peer in theirs)] for name, speed in speed_of.items()]
    print_table(["loader", "images/s", *(f"x {peer}" for peer in theirs)], rows)


if __name__ == "__main__":
    main()
