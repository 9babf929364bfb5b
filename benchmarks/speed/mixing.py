#!/usr/bin/env python
"""Time of the mixing calls: every static method against a textbook version, MixUp and CutMix against other libraries.

    python benchmarks/speed/mixing.py
    python benchmarks/speed/mixing.py --size 224 --batch 32 --threads 2

A call draws, mixes and makes the targets, on the CPU. All contenders take turns in one process; medians are compared.
Calls are like for like: dense targets (N, 100) where the peer gives dense ones, classes and weights where it gives
these. timm and kornia are extras (``pip install timm kornia scipy``); a missing one is left out, with a line.
"""
import argparse
import math
import warnings

import textbook
import torch
from measure import interleaved, print_setting, print_table

from openmix import mixups
from openmix.registry import MIXUPS

CLASSES = 100
TEXTBOOK = dict(MixUp=textbook.mixup, CutMix=textbook.cutmix, SmoothMix=textbook.smoothmix,
                GridMixup=textbook.gridmixup, GridMix=textbook.gridmix, ResizeMix=textbook.resizemix,
                FMix=textbook.fmix, SaliencyMix=textbook.saliencymix, RandomChoice=textbook.random_choice)
SEVEN = ("MixUp", "CutMix", "SmoothMix", "GridMixup", "ResizeMix", "FMix", "SaliencyMix")  # those of published tables
AS_PUBLISHED = dict(SaliencyMix=dict(one_box=True, saliency="fine_grained"),  # where our default does more work
                    ResizeMix=dict(clipped=True))


def static_methods() -> dict:
    """Every registered method that mixes a batch without the network, in the form that its textbook version has."""
    named = {name: MIXUPS.get(name) for name in MIXUPS.known()}
    return {name: cls(**AS_PUBLISHED[name]) if name in AS_PUBLISHED else cls.example()
            for name, cls in named.items() if cls.needs == "batch" and name != "Vanilla"}


def optional(make) -> dict:
    """What ``make`` returns, or nothing, with a line, where its library is not installed."""
    try:
        return make()
    except ImportError as error:
        print(f"left out: {error}")
        return {}


def timm() -> dict:
    from timm.data.mixup import Mixup

    mixes = {}
    for scope, mode in (("batch", "batch"), ("per sample", "elem")):
        shared = dict(mode=mode, label_smoothing=0.0, num_classes=CLASSES)
        mixes["MixUp", scope, f"timm {mode}"] = Mixup(mixup_alpha=1.0, cutmix_alpha=0.0, **shared)
        mixes["CutMix", scope, f"timm {mode}"] = Mixup(mixup_alpha=0.0, cutmix_alpha=1.0, **shared)
    return {key: lambda images, labels, mix=mix: mix(images.clone(), labels)  # it writes to its input
            for key, mix in mixes.items()}


def torchvision() -> dict:
    from torchvision.transforms import v2

    return {(name, "batch", "torchvision v2"): getattr(v2, name)(alpha=1.0, num_classes=CLASSES)
            for name in ("MixUp", "CutMix")}


def kornia() -> dict:
    from kornia.augmentation import RandomCutMixV2, RandomMixUpV2

    mixes, keys = {}, ["input", "class"]
    for scope, same in (("batch", True), ("per sample", False)):
        mixes["MixUp", scope, "kornia V2"] = RandomMixUpV2(same_on_batch=same, data_keys=keys)
        mixes["CutMix", scope, "kornia V2"] = RandomCutMixV2(same_on_batch=same, data_keys=keys,
                                                             use_correct_lambda=True)
    return mixes


def contenders(images, labels) -> tuple[dict, list]:
    """Every call to time, by name, and which two of them make a row: (name of ours, name of the other)."""
    calls = dict(clone=lambda: images.clone())
    pairs = []

    def add(ours, method, other, theirs):
        calls.setdefault(ours, lambda: method(images, labels))
        calls[other] = lambda: theirs(images, labels)
        pairs.append((ours, other))

    for name, method in static_methods().items():
        if name not in TEXTBOOK:
            print(f"left out: {name} has no textbook version")
            continue
        add(name, method, f"textbook {name}", TEXTBOOK[name])
    add("SaliencyMix, a map an image", mixups.SaliencyMix(saliency="fine_grained"),
        "textbook SaliencyMix, a map an image", textbook.saliencymix_each)
    add("ResizeMix, a place an image", mixups.ResizeMix(), "textbook ResizeMix, a place an image",
        textbook.resizemix_each)
    for peers in (timm, torchvision, kornia):
        for (name, scope, peer), theirs in optional(peers).items():
            options = dict(per_sample=scope == "per sample")
            kind = "sparse targets" if peers is kornia else "dense targets"
            if peers is not kornia:
                options["num_classes"] = CLASSES
            add(f"{name}, {scope}, {kind}", getattr(mixups, name)(**options), f"{peer} {name}, {scope}", theirs)
    return calls, pairs


def puzzle_calls(images, labels) -> dict:
    """PuzzleMix's mixing, its network passes left out: the saliency is given."""
    saliency = torch.rand(len(images), *images.shape[2:])
    calls = {}
    for blocks in (2, 4, 8, 16):
        method = mixups.PuzzleMix(blocks=blocks, t_size=4 if max(images.shape[2:]) <= 64 else -1)
        calls[f"PuzzleMix, {blocks} blocks"] = lambda method=method: method(images, labels, saliency=saliency)
    return calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32, help="side of the images")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-puzzle", action="store_true", help="leave PuzzleMix out, which takes longest")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")  # of the other libraries

    images, labels = torch.randn(args.batch, 3, args.size, args.size), torch.randint(CLASSES, (args.batch,))
    calls, pairs = contenders(images, labels)
    puzzles = {} if args.no_puzzle else puzzle_calls(images, labels)
    torch.empty(30 << 20, dtype=torch.uint8)  # as in a training: glibc then keeps freed memory for the next call
    with torch.no_grad():
        seconds = interleaved({**calls, **puzzles}, args.rounds)

    print_setting("torchvision", "timm", "kornia", "numpy", **{"images": tuple(images.shape), "rounds": args.rounds})
    saliency = "OpenCV" if textbook.opencv else "numpy (opencv-contrib-python not installed)"
    print(f"saliency of the textbook SaliencyMix by {saliency}; clone() takes {seconds['clone'] * 1e6:.0f} us\n")
    rows = [[ours, other, seconds[ours] * 1e6, seconds[other] * 1e6, seconds[ours] / seconds[other],
             seconds[ours] / seconds["clone"]] for ours, other in pairs]
    rows += [[name, "-", seconds[name] * 1e6, "-", "-", seconds[name] / seconds["clone"]] for name in puzzles]
    print_table(["openmix", "against", "openmix, us", "other, us", "openmix / other", "openmix / clone()"], rows)
    ratios = [seconds[name] / seconds[f"textbook {name}"] for name in SEVEN]
    print(f"\ngeometric mean over {', '.join(SEVEN)}: {math.prod(ratios) ** (1 / len(ratios)):.2f} of the textbook")


if __name__ == "__main__":
    main()
