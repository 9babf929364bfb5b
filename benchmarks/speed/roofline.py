#!/usr/bin/env python
"""The least time that a GPU's arithmetic and memory allow for a training step, from counted FLOPs and bytes.

    python benchmarks/speed/roofline.py --tflops 790 --tbs 4.3

Forward, backward and update of the network without mixing, in bf16 with float32 weights in the optimizer, each kernel
of the unfused program by itself: it takes as long as its FLOPs or its bytes do, whichever is longer. Fusing kernels
can beat this bound; nothing else can. The peaks are the user's to give; counting needs no GPU.
"""
import argparse

import torch
import torch.nn.functional as F
from contenders import BACKBONES, BATCH, CLASSES, STEPS, network
from measure import print_table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

UPDATE_BYTES = 5 * 4  # of SGD with momentum, a float32 parameter: read weight, gradient, momentum; write two of them
PEAKS = {"H200": (790.0, 4.3)}  # dense bf16 TFLOP/s and TB/s, where --tflops and --tbs are not given


def flops(func, args, out) -> float:
    """Of convolutions and matrix products; the rest counts by its bytes alone.

    ``torch.utils.flop_counter`` counts the backward of grouped convolutions too high, so it is not used.
    """
    name = func.overloadpacket._qualified_op_name
    if name == "aten::convolution":
        return 2.0 * out.numel() * args[1][0].numel()
    if name == "aten::convolution_backward":
        gradient, _, weight = args[:3]
        return 2.0 * gradient.numel() * weight[0].numel() * sum(args[-1][:2])  # of the input, of the weight
    if name in ("aten::mm", "aten::addmm"):
        a, b = args[-2:]
        return 2.0 * a.numel() * b.shape[1]
    return 0.0


class Kernels(TorchDispatchMode):
    """(FLOPs, bytes read and written) of each kernel that runs; views and allocations are free."""

    def __init__(self):
        super().__init__()
        self.work = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if not func.is_view and "empty" not in func.__name__:
            tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor)]
            self.work.append((flops(func, args, out), sum(t.numel() * t.itemsize for t in tensors)))
        return out


def count(backbone: str) -> list[tuple[float, float]]:
    """The kernels of one training step on a batch of 32 x 32 images."""
    net = network(backbone).to("meta", torch.bfloat16)
    images = torch.empty(BATCH, 3, 32, 32, device="meta", dtype=torch.bfloat16)
    labels = torch.empty(BATCH, device="meta", dtype=torch.long)
    with Kernels() as kernels:
        F.cross_entropy(net(images).float(), labels).backward()
    return [*kernels.work, (0.0, UPDATE_BYTES * sum(p.numel() for p in net.parameters()))]


def step_seconds(kernels, tflops: float, tbs: float) -> float:
    """The bound on one step, kernel by kernel."""
    return sum(max(f / (tflops * 1e12), b / (tbs * 1e12)) for f, b in kernels)


def peaks(args) -> tuple[float, float] | None:
    """(TFLOP/s, TB/s) as given, or of a GPU that is known; None where neither is."""
    if args.tflops and args.tbs:
        return args.tflops, args.tbs
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return next((peak for known, peak in PEAKS.items() if known in name), None)


def add_peaks(parser) -> None:
    parser.add_argument("--tflops", type=float, help="dense bf16 TFLOP/s of the GPU; known: " + ", ".join(PEAKS))
    parser.add_argument("--tbs", type=float, help="TB/s of its memory")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_peaks(parser)
    peak = peaks(parser.parse_args())
    if peak is None:
        parser.error("give the peaks of the GPU you mean: --tflops and --tbs")
    rows = []
    for name in BACKBONES:
        kernels = count(name)
        work, moved = (sum(column) for column in zip(*kernels, strict=True))
        seconds = step_seconds(kernels, *peak)
        rows.append([name, work / BATCH / 1e9, moved / 1e9, work / peak[0] / 1e9, moved / peak[1] / 1e9,
                     seconds * 1e3, seconds * STEPS])
    print(f"computed for {peak[0]:g} TFLOP/s and {peak[1]:g} TB/s, batch {BATCH}, {CLASSES} classes, {STEPS} steps an "
          "epoch; torch " + torch.__version__)
    print_table(["network", "GFLOP/image", "GB/step", "arithmetic, ms", "memory, ms", "bound, ms/step", "s/epoch"],
                rows)


if __name__ == "__main__":
    main()
