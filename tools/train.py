#!/usr/bin/env python
"""Train one config: python tools/train.py configs/cifar100/r18_mixup.py. As ``openmix train``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["train", *sys.argv[1:]])
