"""Listing many runs: seconds to read a thousand work dirs.

    python benchmarks/speed/records.py
    python benchmarks/speed/records.py --runs 200 --epochs 1200

Each made-up run has a resolved config, status, environment and a result with the accuracies of all epochs. Seconds are
of the own clock of the process, which leaves out what other programs take; but "command", `tools/model_zoo.py` in a
process of its own from its start to the tables, is on the clock on the wall.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from measure import interleaved, print_setting, print_table  # noqa: E402

from openmix.engine.config.load import load_config  # noqa: E402
from openmix.paths import config_root  # noqa: E402
from openmix.results.cells import make_cells  # noqa: E402
from openmix.results.records import read_records  # noqa: E402
from openmix.workdir import result  # noqa: E402
from openmix.workdir.identity import config_hash  # noqa: E402

METHODS = ("vanilla", "mixup", "cutmix", "fmix", "resizemix", "manifoldmix", "puzzlemix", "automix", "smoothmix",
           "saliencymix")


def make_runs(root: Path, runs: int, epochs: int) -> None:
    """Ten methods, as many seeds as it takes."""
    for method in METHODS:
        cfg = load_config(config_root() / "cifar100" / f"r18_{method}.py", {"train_cfg.max_epochs": epochs})
        cfg.randomness = dict(seed=0, deterministic=False)
        text = cfg.pretty_text  # slow: formatted by yapf
        for seed in range(runs // len(METHODS)):
            folder = root / method / f"seed{seed}"
            folder.mkdir(parents=True)
            (folder / "config.py").write_text(text.replace("seed=0", f"seed={seed}"))
            history = [dict(epoch=i, img_s=5000.0, val=dict(net=dict(top1=50 + i / 100, top5=90 + i / 1000)))
                       for i in range(1, epochs + 1)]
            facts = result.build(
                history, status="done", config=f"configs/cifar100/r18_{method}.py", config_hash=config_hash(cfg),
                data=dict(name="CIFAR-100", sha256="0" * 64), seed=seed, processes=1,
                total_batch=100, parameters=11_220_132, max_epochs=epochs, wall_s=1.0, peak_memory_mib=1000.0,
                hardware="GPU", precision="torch.bfloat16")
            for name, content in (("result", facts), ("status", dict(state="done", epoch=epochs)),
                                  ("env", dict(hardware="GPU", world_size=1, versions=dict(torch="2.11.0")))):
                (folder / f"{name}.json").write_text(json.dumps(content, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=200, help="of each run, whose accuracies its result holds")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_runs(root, args.runs, args.epochs)
        records = read_records(root)
        tool = [sys.executable, str(Path(__file__).resolve().parents[2] / "tools" / "model_zoo.py"), folder]
        times = interleaved({
            "all files": lambda: read_records(root),
            "cells of the table": lambda: make_cells(records)}, args.rounds, clock=time.process_time)
        times |= interleaved({"command": lambda: subprocess.run(tool, capture_output=True, check=True)}, args.rounds)
    print_setting(runs=args.runs, epochs=args.epochs)
    print_table(["listing", "seconds", "relative"],
                [[name, seconds, seconds / times["all files"]] for name, seconds in times.items()])


if __name__ == "__main__":
    main()
