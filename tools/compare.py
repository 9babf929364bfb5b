#!/usr/bin/env python
"""Compare two sets of runs: python tools/compare.py 'work_dirs/cifar100/r18_mixup' 'work_dirs/cifar100/r18_cutmix'"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.engine.output import until_closed  # noqa: E402

FORMATS = ("markdown", "csv", "latex", "html")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("a", help="folder of runs, or a pattern in quotes that finds such folders")
    parser.add_argument("b", help="the runs to compare with them: differences are B - A")
    parser.add_argument("--format", choices=FORMATS, default="markdown")
    parser.add_argument("--out", help="write to this file instead of the screen")
    return parser


@until_closed()
def main(args) -> int:
    from openmix.benchmark.compare import as_part, compare, gather
    from openmix.benchmark.render import layout, render

    try:
        part = as_part(compare(gather(args.a), gather(args.b)), args.a, args.b)
        text = layout(part.tables[0], "csv") if args.format == "csv" else render(part, args.format)
        if args.out:
            Path(args.out).write_text(text)
        else:
            print(text, end="")
    except (ValueError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(make_parser().parse_args()))
