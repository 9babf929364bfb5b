#!/usr/bin/env python
"""What each mixing method costs: a training epoch with it, over one without mixing, by the same engine.

    python benchmarks/speed/methods.py --backbone r18                     # on a GPU: whole epochs
    python benchmarks/speed/methods.py --backbone r20 --steps 3           # on a CPU: a few steps of one

Every registered method with the hyper-parameters of its config, under the Runner. Methods take turns with ``Vanilla``.
The column "goal" is the one for ResNet-18 on a GPU.
"""
import argparse
import warnings

import torch
from contenders import BACKBONES, BATCH, STEPS, data, openmix
from epoch import FORMS, started
from measure import best_clock, interleaved, print_setting, print_table

from openmix.apis import list_mixups

TRANSFORMERS = {*list_mixups(needs="attention"), "TokenMix"}  # methods that the networks here cannot have
DEFAULT_GOAL = 1.03
GOALS = dict(SaliencyMix=1.08, ManifoldMix=1.05, PuzzleMix=2.3, AutoMix=3.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    gpu = torch.cuda.is_available()
    parser.add_argument("--backbone", choices=BACKBONES, default="r18" if gpu else "r20")
    every = [name for name in list_mixups() if name not in TRANSFORMERS]
    parser.add_argument("--methods", choices=every, nargs="+", default=every)
    parser.add_argument("--form", choices=FORMS, default="auto")
    parser.add_argument("--steps", type=int, default=STEPS if gpu else 3, help=f"measured of an epoch's {STEPS}")
    parser.add_argument("--rounds", type=int, default=3 if gpu else 5)
    parser.add_argument("--threads", type=int, default=1, help="of torch on a CPU")
    parser.add_argument("--data-root", help="where CIFAR-100 is; noise of its shape by default")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)

    methods = ["Vanilla", *(name for name in args.methods if name != "Vanilla")]
    epochs = {name: started(lambda name=name: openmix(args.backbone, name, args.data_root, args.steps, args.form))[0]
              for name in methods}
    found = interleaved(epochs, args.rounds, least_ms=0, clock=best_clock(args.threads))

    for name, epoch in epochs.items():
        print("".join(f"{name}: {message}\n\n" for message in epoch.said), end="")
    print_setting("mmengine", form=args.form)
    print(f"{BACKBONES[args.backbone]}, batch {BATCH}, {data(args.data_root).name}; {args.steps} of {STEPS} steps, "
          f"median of {args.rounds} rounds\n")
    rows = []
    for name, seconds in found.items():
        row = [name, seconds / found["Vanilla"], 1.0 if name == "Vanilla" else GOALS.get(name, DEFAULT_GOAL)]
        rows.append(row + [seconds / args.steps * STEPS] * gpu)
    print_table(["method", "x Vanilla", "goal"] + ["s/epoch"] * gpu, rows)


if __name__ == "__main__":
    main()
