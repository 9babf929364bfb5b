#!/usr/bin/env python
"""Seconds until something happens: importing the library, showing the help, the first step of a training.

    python benchmarks/speed/startup.py

Each in fresh processes that take turns, medians; the files lie in the disk cache after the first round, which does not
count. The first step is timed on a one-epoch training of the embedded shapes, from the start of the process to the end
of the first iteration; "interpreter" is a process that does nothing, "import torch" one that only imports it.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import print_setting, print_table

ROOT = Path(__file__).resolve().parents[2]
FIRST_STEP = """
import os
import runpy
import sys

from mmengine.hooks import Hook
from openmix.registry import HOOKS

@HOOKS.register_module()
class LeaveHook(Hook):
    observer = False

    def after_train_iter(self, *args, **kwargs):
        os._exit(0)

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def commands(config: str, folder: str) -> dict:
    """What is timed."""
    python, train = sys.executable, str(ROOT / "tools/train.py")
    leaving = Path(folder) / "leaving.py"
    leaving.write_text(f"_base_ = [{config!r}]\ncustom_hooks = [dict(type='LeaveHook')]\n")
    step = [python, "-c", FIRST_STEP, train, str(leaving), "--work-dir", str(Path(folder) / "run")]
    return {"interpreter": [python, "-c", ""], "import openmix": [python, "-c", "import openmix"],
            "tools/train.py --help": [python, train, "--help"], "import torch": [python, "-c", "import torch"],
            "to the first step": step, "--dry-run": [python, train, config, "--dry-run"]}


def seconds(command: list[str]) -> float:
    """Wall time of one process, which must succeed."""
    start = time.perf_counter()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)
    taken = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs/shapes/r20_mixup.py"))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    times_of = {}
    for _ in range(args.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            for name, command in commands(args.config, folder).items():
                times_of.setdefault(name, []).append(seconds(command))
    print_setting("mmengine", "torchvision", rounds=args.rounds)
    print_table(["process", "median s", "fastest s"],
                [[name, statistics.median(times[1:]), min(times[1:])] for name, times in times_of.items()])


if __name__ == "__main__":
    main()
