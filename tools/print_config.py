#!/usr/bin/env python
"""A config as a run would read it: python tools/print_config.py configs/cifar100/r18_mixup.py"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.engine.cli import common_arguments, configure  # noqa: E402
from openmix.engine.output import until_closed  # noqa: E402


def make_parser() -> argparse.ArgumentParser:
    return common_arguments(argparse.ArgumentParser(description=__doc__))


@until_closed()
def main(args) -> int:
    try:
        cfg = configure(args)
    except (ValueError, TypeError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    from openmix.engine.workdir import config_hash

    print(cfg.pretty_text.rstrip())
    print(f"# config hash {config_hash(cfg)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(make_parser().parse_args()))
