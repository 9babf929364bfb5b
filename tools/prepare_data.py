#!/usr/bin/env python
"""Turn a data set into array files: python tools/prepare_data.py SOURCE OUT. As ``openmix data``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["data", *sys.argv[1:]])
