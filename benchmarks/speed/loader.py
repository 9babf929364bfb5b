#!/usr/bin/env python
"""Images a second of the resident loader against torchvision's CIFAR-100 with a DataLoader, in one process.

    python benchmarks/speed/loader.py --data-root data

Both do the CIFAR recipe (reflect-padded crop, flip, normalise) and hand out float32 batches (100, 3, 32, 32). Rounds
are interleaved and medians compared, so that a busy machine disturbs all contenders alike. The making of our plan
counts, the start of their workers does not.
"""
import argparse
import statistics
import time
import warnings

import torch
import torchvision
from torch.utils.data import DataLoader
from torchvision import transforms

from openmix.datasets import CIFAR100, ResidentLoader

BATCH = 100


class Stored(torchvision.datasets.CIFAR100):
    """torchvision's data set on the images already read, whatever their md5."""

    def __init__(self, data, transform):
        self.data, self.targets = data.images.permute(0, 2, 3, 1).contiguous().numpy(), data.labels.tolist()
        self.transform, self.target_transform = transform, None


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
    stored = Stored(data, transforms.Compose([
        transforms.RandomCrop(32, padding=4, padding_mode="reflect"), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]))
    peers = {w: DataLoader(stored, BATCH, shuffle=True, num_workers=w) for w in args.workers}

    found = {}
    for repeat in range(args.rounds + 1):
        for threads in args.threads:
            torch.set_num_threads(threads)
            speed = rate(ours.batches(epoch=repeat), len(data))
            found.setdefault(f"openmix resident, {threads} thread{'s' * (threads > 1)}", []).append(speed)
        torch.set_num_threads(1)
        for workers, loader in peers.items():
            speed = rate(loader, args.images, started=True)
            found.setdefault(f"torchvision + DataLoader, {workers} workers", []).append(speed)
    found = {name: statistics.median(speeds[1:]) for name, speeds in found.items()}  # the first round warms up

    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, {len(data)} images of {data.name}, "
          f"batches of {BATCH}, median of {args.rounds} rounds")
    theirs = [name for name in found if name.startswith("torchvision")]
    print(f"| loader | images/s | {' | '.join(f'x {name}' for name in theirs)} |")
    print(f"|---|---|{'---|' * len(theirs)}")
    for name, speed in found.items():
        print(f"| {name} | {speed:,.0f} | {' | '.join(f'{speed / found[t]:.1f}' for t in theirs)} |")


if __name__ == "__main__":
    main()
