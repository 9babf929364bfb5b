"""Classify images: openmix infer work_dirs/cifar100/r18_mixup/seed0 cat.png dog.png"""
import json
from pathlib import Path

from ..arguments import Parser, typed_path


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("model", type=typed_path, help="work dir of a run, checkpoint or published file")
    parser.add_argument("images", nargs="+", type=typed_path, metavar="IMAGE", help="image files, or folders of them")
    parser.add_argument("--top", type=int, default=1, metavar="K", help="show the K most likely classes (1)")
    parser.add_argument("--network", help="which of the run's networks (default: the one whose accuracy is the run's)")
    parser.add_argument("--out", type=typed_path, metavar="FILE", help="also write labels and probabilities as JSON")
    return parser


def main(args) -> int:
    from ..escape import printable
    from ..workdir.files import write_atomic

    if args.top < 1:
        raise ValueError(f"--top must be at least 1, got {args.top}")
    paths = _files(args.images)
    rows = _classify(args.model, args.network, paths, args.top)
    for path, row in zip(paths, rows, strict=True):
        print(printable(f"{path}: {', '.join(f'{name} {value:.1%}' for name, value in row)}"))
    if args.out:
        listed = [dict(image=path, classes=[dict(name=name, probability=value) for name, value in row])
                  for path, row in zip(paths, rows, strict=True)]
        write_atomic(args.out, json.dumps(listed, indent=1).encode())
    return 0


def _files(images: list[str]) -> list[str]:
    """The image files, those of a folder in the order of their names. Raises FileNotFoundError."""
    from ..datasets.listing import SUFFIXES

    paths = []
    for image in map(Path, images):
        inside = [image] if not image.is_dir() else sorted(p for p in image.iterdir() if p.suffix.lower() in SUFFIXES)
        if not inside or not image.exists():
            raise FileNotFoundError(f"no image {image}" if not image.exists() else f"no images in the folder {image}")
        paths += map(str, inside)
    return paths


def _classify(model: str, network: str | None, paths: list[str], top: int) -> list[list[tuple[str, float]]]:
    """(class, probability) of the ``top`` most likely classes of each image."""
    from ..engine.distributed.launch import local_device
    from ..inference.predict import class_names, infer
    from ..inference.weights import load_network

    net, facts = load_network(model, network)
    net.trained_on = facts["data"]  # how its images are prepared
    probabilities = infer(net, paths, device=local_device()).probabilities
    count = probabilities.shape[1]
    names = class_names(facts["data"].get("classes") or range(count), count)
    values, labels = probabilities.topk(min(top, count))
    return [[(names[label], round(value, 6)) for label, value in zip(*row, strict=True)]
            for row in zip(labels.tolist(), values.tolist(), strict=True)]
