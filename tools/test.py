#!/usr/bin/env python
"""Test a checkpoint: python tools/test.py configs/cifar100/r18_mixup.py work_dirs/cifar100/r18_mixup/seed0/best.pth"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.arguments import Parser  # noqa: E402
from openmix.cli import run, test_parser  # noqa: E402

if __name__ == "__main__":
    parser = test_parser(Parser(description=__doc__))
    sys.exit(run("test", parser.parse_args()))
