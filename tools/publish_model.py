#!/usr/bin/env python
"""One network of a run as a file to hand out: python tools/publish_model.py work_dirs/cifar100/r18_mixup/seed0"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.arguments import Parser, typed_path  # noqa: E402


def make_parser() -> Parser:
    parser = Parser(description=__doc__)
    parser.add_argument("source", type=typed_path, help="work dir (its newest weights) or checkpoint of a run")
    parser.add_argument("--out-dir", type=typed_path, default="published", help="default: published/")
    parser.add_argument("--network", help="which of the run's networks (default: the one whose accuracy is the run's)")
    parser.add_argument("--name", help="beginning of the file's name (default: that of the config and the network)")
    return parser


def main(args) -> int:
    from openmix.inference.publish import publish

    print(publish(args.source, args.out_dir, args.network, args.name))
    return 0


if __name__ == "__main__":
    from openmix.console import run

    arguments = make_parser().parse_args()
    sys.exit(run(lambda: main(arguments)))
