#!/usr/bin/env python
"""From a grid file to finished runs: python tools/sweep.py make|run|status GRID. As ``openmix sweep``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["sweep", *sys.argv[1:]])
