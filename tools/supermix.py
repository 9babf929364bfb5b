"""Make a data set of SuperMix mixtures with a trained network as teacher.

    python tools/supermix.py work_dirs/cifar100/r18_vanilla/seed0 data/supermix/train.npz --count 50000

WORK_DIR (or a checkpoint of a run) is the teacher, the images are those that it was trained on. OUT gets the solved
mixtures: images and labels, the label of the largest share; the soft labels target_label and target_weight (N, K); and
the numbers of the source images (N, K). Train a student on it with dict(type="ArrayFile", data_root=OUT) and the mixing
method Distill, whose teacher is the same network.
"""
import argparse
import errno
import io
import os
import sys
from pathlib import Path

import numpy as np
import torch

from openmix import console
from openmix.datasets.augment import centre, normalise, per_channel
from openmix.engine.distributed.launch import local_device
from openmix.errors import InputError
from openmix.extras.supermix import supermix
from openmix.inference.weights import load_network
from openmix.registry import DATASETS
from openmix.sampling import keyed_generator
from openmix.workdir.files import write_atomic

SUPERMIX = 0x5E  # the stream of its draws


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work_dir", help="the teacher: a work dir or a checkpoint of a run")
    parser.add_argument("out", type=Path, help="file to write, .npz")
    parser.add_argument("--data-root", help="where the images are; by default where the run had them")
    parser.add_argument("--count", type=int, help="mixtures to try; by default as many as images")
    parser.add_argument("--inputs", type=int, default=2, help="images in a mixture (default: 2)")
    parser.add_argument("--alpha", type=float, default=3.0, help="Dirichlet parameter of the weights (default: 3)")
    parser.add_argument("--grid", type=int, default=16, help="cells a side of a mask (default: 16)")
    parser.add_argument("--sigma", type=float, default=1.0, help="blur of the gradient, in cells (default: 1)")
    parser.add_argument("--sparsity", type=float, default=25.0, help="weight of the sparsity of masks (default: 25)")
    parser.add_argument("--iterations", type=int, default=50, help="teacher passes a batch (default: 50)")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="by default the GPU if there is one")
    return parser


def training_set(facts: dict, root: str | None):
    """The images that a run was trained on. Raises ValueError for a file that does not name them."""
    dataset = ((facts["config"] or {}).get("train_dataloader") or {}).get("dataset")
    if dataset is None:
        raise InputError(f"{facts['path']} does not name its training data; give the work dir of the run")
    data = DATASETS.build(dict(dataset, **({} if root is None else dict(data_root=root))))
    if not hasattr(data, "images") or not data.is_bytes:
        raise InputError(f"{data.name}: SuperMix mixes uint8 images in memory")
    return data


def choose(n: int, inputs: int, rows: int, generator) -> torch.Tensor:
    """Numbers of different images for each of ``rows`` mixtures, (rows, inputs)."""
    return torch.stack([torch.randperm(n, generator=generator)[:inputs] for _ in range(rows)])


def main(argv=None) -> int:
    args = make_parser().parse_args(argv)
    return console.run(lambda: make(args))


def make(args) -> int:
    """Write the data set. Raises ValueError for options that cannot be, OSError where OUT cannot be written."""
    if args.out.suffix != ".npz":
        raise InputError(f"OUT must end in .npz, got {args.out}")
    if min(args.batch, args.inputs - 1, 1 if args.count is None else args.count) < 1:
        raise InputError("--batch and --count must be at least 1 and --inputs at least 2")
    args.out.parent.mkdir(parents=True, exist_ok=True)  # before hours of work
    if not os.access(args.out.parent, os.W_OK):
        raise PermissionError(errno.EACCES, "the folder is not writable", str(args.out.parent))
    net, facts = load_network(args.work_dir)
    data = training_set(facts, args.data_root)
    device = local_device() if args.device is None else torch.device(args.device)
    net = net.to(device).requires_grad_(False)
    mean, std = (per_channel(facts["data"].get(key), key, device, data.shape) for key in ("mean", "std"))
    size = list(facts["data"].get("size") or [])
    count, made = len(data) if args.count is None else args.count, []
    for number, first in enumerate(range(0, count, args.batch)):
        generator = keyed_generator(args.seed, SUPERMIX, number)
        sources = choose(len(data), args.inputs, min(args.batch, count - first), generator)
        raw = data.images[sources].to(device)
        if size and list(raw.shape[3:]) != size:  # the teacher was trained on crops
            raw = centre(raw.flatten(0, 1), size[0]).unflatten(0, raw.shape[:2])
        images = normalise(raw.flatten(0, 1), mean, std, torch.float32).view(raw.shape)
        mixtures = supermix(net, images, generator, alpha=args.alpha, grid=args.grid, sigma=args.sigma,
                            sparsity=args.sparsity, iterations=args.iterations)
        pixels = (mixtures.masks[:, :, None] * raw).sum(1).round().clamp(0, 255).byte()
        kept = mixtures.solved.cpu()
        made.append([value.cpu()[kept] for value in (pixels, mixtures.label, mixtures.weight, sources)])
        print(f"{first + len(sources)} of {count}: {sum(len(part[0]) for part in made)} solved", file=sys.stderr)
    pixels, label, weight, sources = (torch.cat(parts) for parts in zip(*made, strict=True))
    own = label.gather(1, weight.argmax(1, keepdim=True))[:, 0]
    content = io.BytesIO()
    np.savez_compressed(content, images=pixels.numpy(), labels=own.numpy(), classes=np.array(data.classes),
                        target_label=label.numpy(), target_weight=weight.numpy(), sources=sources.numpy())
    write_atomic(args.out, content.getbuffer())
    print(f"{args.out}: {len(pixels)} mixtures of {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
