#!/usr/bin/env python
"""A config as a run would read it: python tools/print_config.py configs/cifar100/r18_mixup.py"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.arguments import Parser  # noqa: E402
from openmix.cli import common_arguments  # noqa: E402
from openmix.engine.config.load import configure  # noqa: E402


def make_parser() -> Parser:
    return common_arguments(Parser(description=__doc__))


def main(args) -> int:
    from openmix.engine.config.plain import config_text
    from openmix.workdir import config_hash

    cfg = configure(args)
    print(config_text(cfg).rstrip())
    print(f"# config hash {config_hash(cfg)}")
    return 0


if __name__ == "__main__":
    from openmix.console import run

    arguments = make_parser().parse_args()
    sys.exit(run(lambda: main(arguments)))
