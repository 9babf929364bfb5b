#!/usr/bin/env python
"""What each mixing method costs: a training epoch with it, over one without mixing, by the same engine.

    python benchmarks/speed/methods.py --backbone r18                     # on a GPU: whole epochs
    python benchmarks/speed/methods.py --backbone r20 --steps 3           # on a CPU: a few steps of one
    python benchmarks/speed/methods.py --write docs/reference/speed.md    # and put the table there

Every registered method with the hyper-parameters of its config, or else its defaults, under the Runner. Methods take
turns with ``Vanilla``. Methods that need attention train a small transformer instead, and are compared with ``Vanilla``
on that. The column "goal" is the one for ResNet-18 on a GPU.
"""
import argparse
import sys
import warnings
from pathlib import Path

import torch
from contenders import BACKBONES, BATCH, STEPS, data, openmix
from epoch import FORMS, started
from measure import best_clock, interleaved, setting, table

from openmix.apis import list_mixups
from openmix.registry import MIXUPS
from openmix.results import documents

DEFAULT_GOAL = 1.03
GOALS = dict(SaliencyMix=1.08, ManifoldMix=1.05, PuzzleMix=2.3, AutoMix=3.2)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    gpu = torch.cuda.is_available()
    parser.add_argument("--backbone", choices=BACKBONES, default="r18" if gpu else "r20")
    every = list_mixups()
    parser.add_argument("--methods", choices=every, nargs="+", default=every)
    parser.add_argument("--form", choices=FORMS, default="auto")
    parser.add_argument("--steps", type=int, default=STEPS if gpu else 3, help=f"measured of an epoch's {STEPS}")
    parser.add_argument("--rounds", type=int, default=3 if gpu else 5)
    parser.add_argument("--threads", type=int, default=1, help="of torch on a CPU")
    parser.add_argument("--data-root", help="where CIFAR-100 is; noise of its shape by default")
    parser.add_argument("--write", metavar="FILE", help="put the table between the markers speed:methods of this file")
    return parser


def measured(args, backbone: str, methods: list[str]) -> dict:
    """{method: seconds of the measured steps}, with Vanilla, on one backbone."""
    methods = ["Vanilla", *(name for name in methods if name != "Vanilla")]
    epochs = {name: started(lambda name=name: openmix(backbone, name, args.data_root, args.steps, args.form))[0]
              for name in methods}
    times = interleaved(epochs, args.rounds, least_ms=0, clock=best_clock(args.threads))
    for name, epoch in epochs.items():
        print("".join(f"{name}: {message}\n" for message in epoch.warnings), end="", file=sys.stderr)
    return times


def main() -> None:
    args, gpu = make_parser().parse_args(), torch.cuda.is_available()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    special = [name for name in args.methods if MIXUPS.get(name).needs == "attention"]
    groups = {args.backbone: [name for name in args.methods if name not in special], "vit": special}

    rows = []
    for backbone, methods in groups.items():
        times = measured(args, backbone, methods) if methods else {}
        for name, seconds in times.items():
            own = backbone == args.backbone
            row = [f"`{name}`" if own else f"`{name}`, transformer", f"{seconds / times['Vanilla']:.2f}"]
            row += [1.0 if name == "Vanilla" else GOALS.get(name, DEFAULT_GOAL) if own else "",
                    seconds / args.steps * STEPS] * gpu
            rows.append(row)
    lines = [setting("mmengine", form=args.form) + ".",
             f"{BACKBONES[args.backbone]}, batch {BATCH}, {data(args.data_root).name}; {args.steps} of {STEPS} steps, "
             f"median of {args.rounds} rounds; processor time if one thread does all.", "",
             table(["method", "x Vanilla"] + ["goal", "s/epoch"] * gpu, rows)]
    text = "\n".join(lines) + "\n"
    print(text)
    if args.write:
        new = documents.rewrite(Path(args.write).read_text(), lambda name: text, args.write, "speed")
        Path(args.write).write_text(new)


if __name__ == "__main__":
    main()
