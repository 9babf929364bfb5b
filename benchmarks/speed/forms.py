#!/usr/bin/env python
"""Whether the forms of the training step agree, for every mixing method: the check of the graph form on a real GPU.

    python benchmarks/speed/forms.py --forms eager graph compile compile+graph

Each form trains the same small network from the same state on the same batches. After each epoch the change of the
weights since the start is compared with that of the eager form: |change - eager's| / |eager's|, Euclidean over all
weights. "eager again" is what the eager form differs from itself by, run a second time: kernels that add in any order.
The last column names a form that fell back to another.
"""
import argparse
import logging
import tempfile
import warnings
from pathlib import Path

import torch
from measure import print_setting, print_table
from mmengine.config import Config

from openmix.engine.runner import Runner
from openmix.registry import MIXUPS


def spec(name: str) -> dict:
    if name == "RandomChoice":
        return dict(type=name, methods=[dict(type="AutoMix"), dict(type="CutMix"), dict(type="ManifoldMix")])
    return dict(type=name, teacher=None, grid=4, extra=1) if name == "TokenMix" else dict(type=name)


def train(method: str, form: str, args) -> tuple[list[torch.Tensor], str]:
    """Weights after each epoch, less those at the start, and what the log warnings about the form."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = Config(dict(
            model=dict(type="Classifier", num_classes=10, backbone=dict(type="CifarResNet", depth=args.depth),
                       mixup=spec(method)),
            train_dataloader=dict(total_batch=args.batch,
                                  dataset=dict(type="Shapes", num_images=args.steps * args.batch)),
            train_cfg=dict(max_epochs=args.epochs),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=1e-3, momentum=0.9)),
            default_hooks=dict(checkpoint=None, preview=None), custom_hooks=[dict(type="EMAHook", momentum=0.1)],
            env_cfg=dict(step=form, amp=args.amp, cudnn_benchmark=False), work_dir=str(Path(folder) / "run"),
            log_level="ERROR"))
        runner, warnings = Runner.from_cfg(cfg), []
        runner.logger.warning = warnings.append
        loop = runner.build_train_loop()
        runner.call_hook("before_run")

        def weights():
            return torch.cat([p.detach().double().flatten().cpu() for p in runner.model.parameters()])

        start, changes = weights(), []
        loop.start()
        for _ in range(args.epochs):
            loop.run_epoch()
            changes.append(weights() - start)
        states = getattr(loop.step, "variants", {}).values()
        captured = sum(program.state == "checked" for program in states)
        note = f"{captured}/{len(states)} variants captured" if states else loop.step.mode
    return changes, "; ".join([note, *map(str, warnings)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = [name for name in MIXUPS.known() if MIXUPS.get(name).needs != "attention"]
    parser.add_argument("--methods", nargs="+", default=every, choices=every)
    parser.add_argument("--forms", nargs="+", default=["graph"] if torch.cuda.is_available() else ["compile"])
    parser.add_argument("--amp", default="off", help="off (float32, where the tolerance is tight) or bf16")
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--steps", type=int, default=8, help="steps an epoch")
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    print_setting(amp=args.amp, network=f"CifarResNet-{args.depth}", batch=args.batch)
    rows = []
    for method in args.methods:
        eager, _ = train(method, "eager", args)
        again, _ = train(method, "eager", args)
        for form in args.forms:
            changed, note = train(method, form, args)
            cells = []
            for epoch in (0, -1):
                right = eager[epoch]
                cells += [f"{float((other[epoch] - right).norm() / right.norm()):.1e}" for other in (again, changed)]
            rows.append([method, form, *cells, note])
    print_table(["method", "form", "eager again, epoch 1", "form, epoch 1", "eager again, last", "form, last", "note"],
                rows)


if __name__ == "__main__":
    main()
