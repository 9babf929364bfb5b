#!/usr/bin/env python
"""Tables of runs: python tools/model_zoo.py work_dirs. As ``openmix zoo``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["zoo", *sys.argv[1:]])
