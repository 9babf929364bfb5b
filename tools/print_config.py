#!/usr/bin/env python
"""A config as a run would read it: python tools/print_config.py CONFIG. As ``openmix config``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["config", *sys.argv[1:]])
