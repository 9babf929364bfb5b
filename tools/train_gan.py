"""Train the toy GAN of the mixup paper (Figure 5); run again to go on, or to see what is there.

    python tools/train_gan.py ring grid --alpha 0 0.2 --seeds 5 --out work_dirs/gan

The seeds of a setting are trained as one batch. Its folder gets gan.json and samples.png.
"""
import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from openmix.console import leave
from openmix.extras.gan import FORMS, SNAPSHOTS, Settings, Training
from openmix.extras.gan_table import table
from openmix.workdir.environment import describe_machine
from openmix.workdir.files import write_atomic


def save(folder: Path, run: Training) -> None:
    torch.save(run.state(), folder / "state.tmp")
    (folder / "state.tmp").replace(folder / "state.pth")


def train(folder: Path, settings: Settings, until: int | None = None) -> dict:
    """The result of a setting: from its file if it is there, else trained, from where it was stopped."""
    result, until = folder / "gan.json", settings.steps if until is None else min(until, settings.steps)
    if result.is_file() and (facts := json.loads(result.read_text()))["step"] >= until:
        return facts
    folder.mkdir(parents=True, exist_ok=True)
    run = Training(settings)
    if (folder / "state.pth").is_file():
        run.load(torch.load(folder / "state.pth", weights_only=True))
    first, begin = run.step, time.monotonic()
    run.run(until, saved=lambda run: save(folder, run))
    speed = (run.step - first) / max(time.monotonic() - begin, 1e-9)
    if run.snapshots:
        draw(folder, run)
    facts = dict(experiment="gan", settings=asdict(settings), step=run.step, history=run.history,
                 steps_per_second=round(speed, 2), environment=describe_machine(seed=settings.seeds[0]))
    write_atomic(result, json.dumps(facts, indent=1).encode())
    return facts


def draw(folder: Path, run: Training) -> None:
    """``samples.png``: a row for each seed, a panel for each snapshot."""
    from matplotlib.figure import Figure

    seeds, shown = run.settings.seeds, sorted(run.snapshots.items())
    figure = Figure(figsize=(1.6 * len(shown), 1.6 * len(seeds) + 0.2), layout="constrained")
    rows = figure.subplots(len(seeds), len(shown), squeeze=False)
    for column, (step, points) in enumerate(shown):
        for row, seed in enumerate(seeds):
            panel = rows[row][column]
            panel.scatter(*points[row].T, s=2, color="#2563a8", linewidths=0)
            panel.scatter(*run.means.T, s=10, marker="x", color="#c2410c", linewidths=0.6)
            panel.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xticks=[], yticks=[])
            if row == 0:
                panel.set_title(f"{step:,} steps", fontsize=8)
            if column == 0:
                panel.set_ylabel(f"seed {seed}", fontsize=8)
    figure.savefig(folder / "samples.png", dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", choices=("ring", "grid"))
    parser.add_argument("--alpha", nargs="+", type=float, default=[0.0, 0.2],
                        help="0: an ordinary GAN (default: 0 0.2)")
    parser.add_argument("--form", choices=FORMS, default="paper", help="the paper's formula, or the authors' code")
    parser.add_argument("--non-saturating", action="store_true", help="the other loss of the generator")
    parser.add_argument("--steps", type=int, default=SNAPSHOTS[-1], help="generator steps (default: 20000)")
    parser.add_argument("--until", type=int, metavar="STEP", help="stop there; the same command goes on without it")
    parser.add_argument("--width", type=int, default=512, help="of the hidden layers (default: 512)")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds (default: 1)")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/gan"))
    args = parser.parse_args()
    if args.until is not None and args.until < 1:
        parser.error(f"--until must be a step of at least 1, got {args.until}")
    results = []
    try:
        for data in args.data:
            for alpha in args.alpha:
                settings = Settings(data=data, alpha=alpha, form=args.form, saturating=not args.non_saturating,
                                    steps=args.steps, width=args.width, seeds=tuple(range(args.seeds)))
                loss = "_non-saturating" * args.non_saturating
                width = f"_width{args.width}" * (args.width != 512)
                name = f"{data}_{args.form}{loss}_alpha{alpha:g}{width}_steps{args.steps}_seeds{args.seeds}"
                results.append(train(args.out / name, settings, args.until))
                print(f"{name}: {results[-1]['history'][-1:]}", flush=True)
    except (ValueError, FloatingPointError) as error:
        parser.exit(2, f"error: {error}\n")
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        leave(130)
    print(f"\n{table(results)}", end="")


if __name__ == "__main__":
    main()
