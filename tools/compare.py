#!/usr/bin/env python
"""Compare two sets of runs: python tools/compare.py RUNS OTHERS. As ``openmix compare``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["compare", *sys.argv[1:]])
