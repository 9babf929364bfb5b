#!/usr/bin/env python
"""Run a cell again and compare: python tools/rerun.py work_dirs/cifar100/r18_mixup/seed0. As ``openmix rerun``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["rerun", *sys.argv[1:]])
