#!/usr/bin/env python
"""A short training of every registered method, on one process and on several: does it learn, agree and resume?

    python benchmarks/quality/every_method.py --data-root data
    python benchmarks/quality/every_method.py --dataset Shapes --methods CutMix AutoMix --iterations 10
    python benchmarks/quality/every_method.py --data-root data --write docs/reference/methods.md

Each method trains a small ResNet (a small transformer where it needs attention) on one process, on several, and on
several with gradients accumulated over two batches. Each of these runs is done twice: straight, and stopped in the
middle and resumed. Columns: mean loss of the first and the last five iterations of each run; whether the losses are
finite, whether the last are lower, whether the parameters of all processes are equal, and whether the resumed run ends
with the same parameters as the straight one, bit by bit. The loss is that of the trained network: of methods that log
parts of it (``loss_one_q`` ...), their sum, without the part of a teacher or a mask. It is divided by the weight of
the labels where these do not sum to 1 (``label_weight``). A method with a teacher gets a
ResNet-20 that is trained first. The exit status is 1 if anything is not as it should be.
"""
import argparse
import functools
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import Config
from prettytable import PrettyTable, TableStyle

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from registered import TEACHER, backbone, method_config, optimizer, with_teachers  # noqa: E402

from openmix.engine.runner import Runner  # noqa: E402
from openmix.engine.train_loop import Stopped  # noqa: E402
from openmix.registry import DATASETS, MIXUPS, required_keys  # noqa: E402
from openmix.results import documents  # noqa: E402

SHOWN = 5  # iterations whose mean loss is shown
CHECKS = ("finite", "falls", "ranks", "resumes")


@functools.cache
def data(kind: str, root: str | None):
    return DATASETS.build(dict(type=kind, **(dict(data_root=root) if root else {})))


def ReadOnce(kind, root=None):
    """``data`` by a config: all runs share one copy."""
    return data(kind, root)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=MIXUPS.known(), default=MIXUPS.known())
    parser.add_argument("--dataset", default="CIFAR100")
    parser.add_argument("--data-root")
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--batch", type=int, default=50, help="images of all processes")
    parser.add_argument("--depth", type=int, default=8, help="of the ResNet: 8, 14, 20 ...")
    parser.add_argument("--processes", type=int, default=2, help="of the runs with several; 1 leaves these out")
    parser.add_argument("--teacher", help="work dir of a trained ResNet-20; by default one is trained first")
    parser.add_argument("--out", help="also write the values as JSON; methods that the file has stay in the table")
    parser.add_argument("--write", metavar="FILE", help="write the table between the markers quality:methods of FILE")
    return parser


def mixup(args, name: str) -> dict:
    """The method with a trained teacher in the place of any."""
    config = method_config(name)
    if "teacher" in config:
        config["teacher"] = TEACHER
    return with_teachers(config, lambda _: args.teacher)


def config(args, name: str, accumulate: int, work_dir) -> Config:
    cfg = Config(dict(
        model=dict(type="Classifier", num_classes=len(data(args.dataset, args.data_root).classes),
                   backbone=backbone(name, args.depth), mixup=mixup(args, name)),
        train_dataloader=dict(total_batch=args.batch, dataset=dict(type="ReadOnce", kind=args.dataset,
                                                                   root=args.data_root)),
        train_cfg=dict(max_epochs=1, limit=args.iterations),
        optim_wrapper=dict(optimizer=optimizer(name), accumulative_counts=accumulate),
        env_cfg=dict(amp="off", step="eager", num_threads=1), log_level="ERROR", randomness=dict(seed=0),
        default_hooks=dict(logger=dict(interval=1), checkpoint=dict(min_seconds=0), preview=None, progress=None),
        work_dir=str(work_dir)))
    cfg.launcher = "pytorch" if "RANK" in os.environ else "none"
    return cfg


def losses(work_dir) -> list[float]:
    """The logged loss of the trained network in each iteration, of all parts of a run."""
    actual = {}
    for path in sorted(Path(work_dir).glob("*/vis_data/scalars.json")):
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        for entry in (entry for entry in entries if "loss" in entry):
            parts = [value for key, value in entry.items() if key.startswith("loss_") and key.endswith("_q")]
            actual[entry["step"]] = (sum(parts) if parts else entry["loss"]) / entry.get("label_weight", 1)
    return [actual[step] for step in sorted(actual)]


def trained(cfg, resume: bool):
    """A runner after its training, stopped in the middle and resumed or straight."""
    if resume:
        cfg.train_cfg.stop_after = cfg.train_cfg.limit // 2 + 1
        try:
            Runner.from_cfg(cfg).train()
        except Stopped as stop:
            if stop.signal:  # by the user
                raise
        cfg.train_cfg.stop_after, cfg.resume = None, True
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def train_teacher(args) -> str:
    """Train the teacher of all methods without mixing; returns its work dir."""
    folder = tempfile.mkdtemp(prefix="openmix_teacher_")
    cfg = config(args, "Vanilla", 1, folder)
    cfg.model.backbone, cfg.train_cfg.limit = TEACHER["backbone"], 150
    Runner.from_cfg(cfg).train()
    return folder


def equal_on_all_ranks(model) -> bool:
    if not dist.is_initialized():
        return True
    flat = torch.cat([p.detach().flatten() for p in model.parameters()])
    every = [torch.empty_like(flat) for _ in range(dist.get_world_size())]
    dist.all_gather(every, flat)
    return all(torch.equal(every[0], other) for other in every)


def same_end(straight, again) -> bool:
    """Equal parameters and buffers, bit by bit."""
    first, second = straight.state_dict(), again.state_dict()
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def examine(args, name: str, accumulate: int) -> dict:
    """The runs of one method in one setting, and what is true of them."""
    folder = [tempfile.mkdtemp(prefix="openmix_")]
    if dist.is_initialized():
        dist.broadcast_object_list(folder)
    straight = trained(config(args, name, accumulate, Path(folder[0]) / "straight"), False)
    again = trained(config(args, name, accumulate, Path(folder[0]) / "resumed"), True)
    values = losses(Path(folder[0]) / "straight")
    begin, end = (sum(part) / len(part) for part in (values[:SHOWN], values[-SHOWN:]))
    return dict(first=begin, last=end, finite=all(map(math.isfinite, values)) and len(values) == args.iterations,
                falls=end < begin, ranks=equal_on_all_ranks(straight.model),
                resumes=same_end(straight.model, again.model))


def part(args, settings) -> dict:
    """{method: {setting: outcome}} of the settings (processes, accumulate); errors are outcomes."""
    actual: dict = {}
    for name in args.methods:
        for processes, accumulate in settings:
            try:
                outcome = examine(args, name, accumulate)
            except Stopped:
                raise
            except Exception as error:  # the others are to be examined all the same
                outcome = dict(error=f"{type(error).__name__}: {error}".split("\n")[0])
            actual.setdefault(name, {})[f"{processes}, {accumulate}"] = outcome
            if not dist.is_initialized() or dist.get_rank() == 0:
                print(f"{name}, {processes} processes, accumulation {accumulate}: {outcome}", file=sys.stderr)
    return actual


def several(args) -> dict:
    """The same with several processes, which this script starts."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        line = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={args.processes}",
                __file__, *sys.argv[1:], "--out", str(out), *(["--teacher", args.teacher] if args.teacher else [])]
        subprocess.run(line, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return json.loads(out.read_text())


def show(args, actual: dict) -> bool:
    """Print the table, a row a method; whether all is as it should be."""
    settings = list(dict.fromkeys(setting for outcomes in actual.values() for setting in outcomes))
    table, right = PrettyTable(["method", *settings, *CHECKS]), True
    for name, outcomes in actual.items():
        checks = [all(outcomes.get(s, {}).get(key, False) for s in settings) for key in CHECKS]
        table.add_row([f"`{name}`", *(losses_cell(outcomes.get(s, {})) for s in settings),
                       *("yes" if check else "NO" for check in checks)])
        right = right and all(checks)
    table.set_style(TableStyle.MARKDOWN)
    table.align["method"] = "l"
    text = (f"{args.iterations} iterations of batches of {args.batch} on {data(args.dataset, args.data_root).name}, "
            f"ResNet-{args.depth} or a transformer of 4 blocks. Columns of\n"
            f"losses: processes, and batches an update.\n\n{table.get_string()}\n")
    print(text)
    if args.write:
        new = documents.rewrite(Path(args.write).read_text(), lambda name: text, args.write, "quality")
        Path(args.write).write_text(new)
    return right


def losses_cell(outcome: dict) -> str:
    """Mean loss of the first and of the last iterations."""
    return f"{outcome['first']:.3f} to {outcome['last']:.3f}" if "first" in outcome else outcome.get("error", "-")[:60]


def main() -> int:
    args = make_parser().parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    DATASETS.register_module(module=ReadOnce)
    if "RANK" in os.environ:  # one of several, started by this script
        dist.init_process_group("gloo")
        actual = part(args, [(args.processes, 1), (args.processes, 2)])
        if dist.get_rank() == 0:
            Path(args.out).write_text(json.dumps(actual))
        dist.barrier()
        os._exit(0)  # all is written; gloo's threads sometimes abort an interpreter that ends by itself
    if args.teacher is None and any("teacher" in required_keys(MIXUPS.get(name)) for name in args.methods):
        args.teacher = train_teacher(args)
    actual = part(args, [(1, 1), (1, 2)] if args.processes == 1 else [(1, 1)])
    for name, settings in several(args).items() if args.processes > 1 else ():
        actual[name] |= settings
    if args.out:
        out = Path(args.out)
        actual = dict(sorted({**(json.loads(out.read_text()) if out.is_file() else {}), **actual}.items()))
        out.write_text(json.dumps(actual, indent=1))
    return 0 if show(args, actual) else 1


if __name__ == "__main__":
    sys.exit(main())
