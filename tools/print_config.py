#!/usr/bin/env python
"""A config as a run would read it: python tools/print_config.py configs/cifar100/r18_mixup.py"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.arguments import Parser  # noqa: E402
from openmix.engine.cli import common_arguments, configure  # noqa: E402


def make_parser() -> Parser:
    return common_arguments(Parser(description=__doc__))


def main(args) -> int:
    try:
        cfg = configure(args)
    except (ValueError, TypeError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from openmix.engine.plain import config_text
    from openmix.engine.workdir import config_hash

    print(config_text(cfg), end="")
    print(f"# config hash {config_hash(cfg)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(make_parser().parse_args()))
