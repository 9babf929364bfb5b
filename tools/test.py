#!/usr/bin/env python
"""Evaluate a checkpoint: python tools/test.py CONFIG CHECKPOINT. As ``openmix test``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["test", *sys.argv[1:]])
