#!/usr/bin/env python
"""The step of a student on a CPU: its teacher sees the batch in slices, or whole.

    python benchmarks/speed/teacher.py --threads 1
    python benchmarks/speed/teacher.py --batch 256

A LeNet learns from a ResNet-20 of random weights: forward and backward pass, with and without hints, without the
optimizer. Both ways take turns in one process, and medians are compared.
"""
import argparse

import torch
from measure import best_clock, interleaved, print_setting, print_table

from openmix import frozen
from openmix.backbones import CifarResNet, LeNet
from openmix.losses import SoftCrossEntropy
from openmix.mixups import Distill, MixUp
from openmix.models import build_net

HINTS = dict(none=(), layer2=[("layer2", "layer2")])


def make_step(hints, batch: int):
    teacher = build_net(CifarResNet(20), num_classes=10).to(memory_format=torch.channels_last)
    student = build_net(LeNet(), num_classes=10).to(memory_format=torch.channels_last)
    method, criterion = Distill(teacher, MixUp(), hints=hints), SoftCrossEntropy()
    method.attach(student)
    images, labels = torch.randn(batch, 3, 32, 32), torch.randint(10, (batch,))
    return lambda: method.loss(student, images, labels, criterion)["loss"].backward()


def in_slices_of(size: int, step):
    def call():
        frozen.SLICE = size
        step()
    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows, size = [], frozen.SLICE
    for name, hints in HINTS.items():
        step = make_step(hints, args.batch)
        seconds = interleaved({n: in_slices_of(n, step) for n in (args.batch, size)}, args.rounds,
                              clock=best_clock(args.threads))
        rows.append([name, seconds[size] / seconds[args.batch]])
    print_setting(batch=args.batch)
    print_table(["hints", f"slices of {size} x whole batch"], rows)


if __name__ == "__main__":
    main()
