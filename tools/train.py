#!/usr/bin/env python
"""Train one config: python tools/train.py configs/cifar100/r18_mixup.py"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.arguments import Parser  # noqa: E402
from openmix.cli import run, train_parser  # noqa: E402

if __name__ == "__main__":
    parser = train_parser(Parser(description=__doc__))
    sys.exit(run("train", parser.parse_args()))
