#!/usr/bin/env python
"""One HTML page of runs: python tools/report.py work_dirs/cifar100. As ``openmix report``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["report", *sys.argv[1:]])
