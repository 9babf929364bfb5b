"""What the benchmarks of whole runs share: short trainings started from the command line, and their images a second."""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_parser(description: str) -> argparse.ArgumentParser:
    """The arguments that say which training is measured."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs/shapes/r20_mixup.py"))
    parser.add_argument("--data-root", help="of the config's data set, if it has one")
    parser.add_argument("--steps", type=int, default=20, help="steps of an epoch")
    parser.add_argument("--epochs", type=int, default=6, help="of each run; the median epoch counts")
    parser.add_argument("--rounds", type=int, default=3, help="of each setting; settings take turns")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[],
                        help="further overrides, as of tools/train.py")
    return parser


def train_options(args) -> list[str]:
    """Arguments of tools/train.py for these."""
    options = [f"train_cfg.limit={args.steps}", f"train_cfg.max_epochs={args.epochs}", "log_level=ERROR",
               "default_hooks.preview.interval=0", *args.cfg_options]
    if args.data_root:
        root = Path(args.data_root).resolve()
        options += [f"{name}_dataloader.dataset.data_root={root}" for name in ("train", "test")]
    return ["--no-validate", "--cfg-options", *options]


def call(command: list[str], **environment) -> None:
    """Run it in the repository's root; RuntimeError with its last words if it fails."""
    env = {**os.environ, "PYTHON": sys.executable, **{k: str(v) for k, v in environment.items()}}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-1000:]}"
                           f"\n{done.stderr[-3000:]}")


def record(work_dir) -> dict:
    """The result of a finished run; ``img_s`` is the median over its epochs of images a second."""
    return json.loads((Path(work_dir) / "result.json").read_text())
