#!/usr/bin/env python
"""A whole training epoch of openmix against a textbook loop and a careful hand-written loop, in one process.

    python benchmarks/speed/epoch.py --backbone r18                       # on a GPU: whole epochs
    python benchmarks/speed/epoch.py --backbone r20 --steps 5             # on a CPU: a few steps of one

* textbook: torchvision's CIFAR, DataLoader with workers, PIL; float32 and TF32, NCHW; the loss is read at each step.
* careful: uint8 images on the device, whole batches augmented there, openmix's precision, channels_last on a GPU,
  fused SGD, nothing read by the host; eager.
* openmix: the shipped config under its Runner, once for each form of the step that is asked for.

Same network, data and method, batches of 100, 500 steps an epoch; with ``--steps`` fewer are measured, and seconds are
scaled up to an epoch. The DataLoader's workers stay from turn to turn. "start, s" is what the first turn took beyond a
later one: compiling, capturing, choosing kernels. The share of the roofline is that of ``roofline.py``. On a CPU all
contenders have openmix's malloc settings, which are the process's.
"""
import argparse
import time
import warnings

import torch
from contenders import BACKBONES, BATCH, MIXES, STEPS, careful, data, openmix, textbook
from measure import best_clock, interleaved, print_setting, print_table, synchronize
from roofline import add_peaks, count, peaks, step_seconds

FORMS = ("auto", "eager", "compile", "graph", "compile+graph")


def started(make) -> tuple:
    """(epoch, seconds of its first call)."""
    epoch = make()
    synchronize()
    start = time.perf_counter()
    epoch()
    synchronize()
    return epoch, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    gpu = torch.cuda.is_available()
    parser.add_argument("--backbone", choices=BACKBONES, default="r18" if gpu else "r20")
    parser.add_argument("--method", choices=MIXES, default="MixUp")
    parser.add_argument("--forms", choices=FORMS, nargs="+", default=["auto"])
    parser.add_argument("--steps", type=int, default=STEPS if gpu else 5, help=f"measured of an epoch's {STEPS}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=8 if gpu else 0, help="of the textbook's DataLoader")
    parser.add_argument("--threads", type=int, default=1, help="of torch on a CPU")
    parser.add_argument("--data-root", help="where CIFAR-100 is; noise of its shape by default")
    add_peaks(parser)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    device = torch.device("cuda", 0) if gpu else torch.device("cpu")
    common = (args.backbone, args.method, args.data_root, args.steps)

    makers = dict(textbook=lambda: textbook(*common, device, args.workers), careful=lambda: careful(*common, device))
    makers |= {f"openmix, {form}": lambda form=form: openmix(*common, form) for form in args.forms}
    epochs, firsts = {}, {}
    for name, make in makers.items():
        try:
            epochs[name], firsts[name] = started(make)
        except (ValueError, RuntimeError) as error:  # a form that this machine cannot run
            if not name.startswith("openmix"):
                raise
            print(f"{name}: {str(error).splitlines()[0]}\n")
    times = interleaved(epochs, args.rounds, least_ms=0, clock=best_clock(args.threads, args.workers))

    for name, epoch in epochs.items():
        print("".join(f"{name}: {message}\n\n" for message in getattr(epoch, "warnings", [])), end="")
    print_setting("torchvision", "mmengine", workers=args.workers)
    print(f"{BACKBONES[args.backbone]}, {args.method}, batch {BATCH}, {data(args.data_root).name}; {args.steps} of "
          f"{STEPS} steps, median of {args.rounds} rounds\n")
    columns, peak = ["epoch of", "x textbook", "x careful", "start, s"], peaks(args)
    rows = [[name, seconds / times["textbook"], seconds / times["careful"], max(0.0, firsts[name] - seconds)]
            for name, seconds in times.items()]
    if gpu:
        columns.append("s/epoch")
        for row, seconds in zip(rows, times.values(), strict=True):
            row.append(seconds / args.steps * STEPS)
    if gpu and peak:
        columns.append("share of the roofline")
        bound = step_seconds(count(args.backbone), *peak) * args.steps
        for row, seconds in zip(rows, times.values(), strict=True):
            row.append(f"{bound / seconds:.0%}")
    print_table(columns, rows)
    if gpu and peak:
        print(f"\nroofline: {bound / args.steps * STEPS:.3g} s an epoch, computed for {peak[0]:g} TFLOP/s and "
              f"{peak[1]:g} TB/s")


if __name__ == "__main__":
    main()
