#!/usr/bin/env python
"""Weights of a run for others: python tools/publish_model.py RUN. As ``openmix publish``."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.cli import script  # noqa: E402

if __name__ == "__main__":
    script(["publish", *sys.argv[1:]])
