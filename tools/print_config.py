#!/usr/bin/env python
"""A config as a run would read it: python tools/print_config.py configs/cifar100/r18_mixup.py"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.engine.cli import common_arguments, configure  # noqa: E402


def make_parser() -> argparse.ArgumentParser:
    return common_arguments(argparse.ArgumentParser(description=__doc__))


def main(args) -> int:
    from openmix.engine.workdir import config_hash

    cfg = configure(args)
    print(cfg.pretty_text.rstrip())
    print(f"# config hash {config_hash(cfg)}")
    return 0


if __name__ == "__main__":
    from openmix.benchmark.console import run

    arguments = make_parser().parse_args()
    sys.exit(run(lambda: main(arguments)))
