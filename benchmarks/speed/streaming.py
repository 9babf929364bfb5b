#!/usr/bin/env python
"""Images a second of the streaming loader against torchvision's ImageFolder with a DataLoader, in one process.

    python benchmarks/speed/streaming.py
    python benchmarks/speed/streaming.py --size 1600 1200 --images 64

All decode the same JPEG files, made on the spot, crop and resize as RandomResizedCrop(224) does, flip, normalise and
hand out float32 batches (64, 3, 224, 224). Contenders take turns, a turn is an epoch, workers stay from epoch to epoch.
``torchvision`` is its usual pipeline with Pillow, ``torchvision v2`` the careful one: JPEG decoded to uint8 tensors,
cropped and flipped as such.
"""
import argparse
import io
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from measure import interleaved, print_setting, print_table
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from torchvision import io as tv_io
from torchvision.transforms import v2

from openmix.datasets import ImageFolderData, StreamingLoader

SIDE, CLASSES = 224, 4


def make_folder(root: Path, images: int, size) -> float:
    """JPEG files of smooth colours, shapes and noise, about as large as photographs; returns their mean KiB."""
    rng, total = np.random.default_rng(0), 0
    for i in range(images):
        picture = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.BICUBIC)
        draw = ImageDraw.Draw(picture)
        for _ in range(12):
            x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
            w, h = rng.integers(8, size[0] // 3), rng.integers(8, size[1] // 3)
            draw.ellipse((x, y, x + w, y + h), fill=tuple(rng.integers(0, 256, 3).tolist()))
        pixels = np.asarray(picture) + rng.normal(0, 6, (size[1], size[0], 3))
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
        path = root / "train" / str(i % CLASSES) / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.getvalue())
        total += len(file.getvalue())
    return total / images / 1024


def peer(root: Path, data: ImageFolderData, batch: int, workers: int, careful: bool) -> DataLoader:
    """torchvision's pipeline."""
    if careful:
        steps = v2.Compose([v2.RandomResizedCrop(SIDE, antialias=True), v2.RandomHorizontalFlip(),
                            v2.ToDtype(torch.float32, scale=True), v2.Normalize(data.mean, data.std)])
        dataset = datasets.ImageFolder(root / "train", steps, loader=lambda path: tv_io.decode_image(path, "RGB"))
    else:
        steps = transforms.Compose([transforms.RandomResizedCrop(SIDE), transforms.RandomHorizontalFlip(),
                                    transforms.ToTensor(), transforms.Normalize(data.mean, data.std)])
        dataset = datasets.ImageFolder(root / "train", steps)
    return DataLoader(dataset, batch, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0)


def consume(batches) -> None:
    for images, *_ in batches:
        assert images.dtype == torch.float32


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(500, 375), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*worker processes.*")

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        kib = make_folder(root, args.images, args.size)
        print_setting("torchvision", "pillow", images=f"{args.images} of {args.size[0]}x{args.size[1]}, {kib:.0f} KiB")
        rows = []
        for workers in args.workers:
            contenders, epochs = {}, iter(range(10**6))
            for draft in (False, True):
                data = ImageFolderData(root, size=SIDE, resident=False, draft=draft)
                loader = StreamingLoader(data, args.batch, scale=(0.08, 1), num_workers=workers)
                contenders["openmix" + " (draft)" * draft] = lambda x=loader, e=epochs: consume(x.batches(next(e)))
            for name, careful in (("torchvision", False), ("torchvision v2", True)):
                loader = peer(root, data, args.batch, workers, careful)
                contenders[name] = lambda x=loader: consume(x)
            times = interleaved(contenders, args.rounds)
            images = args.images // args.batch * args.batch
            rows += [[name, workers, images / seconds, times["torchvision"] / seconds,
                      times["torchvision v2"] / seconds] for name, seconds in times.items()]
    print_table(["loader", "workers", "images/s", "x torchvision", "x torchvision v2"], rows)


if __name__ == "__main__":
    main()
