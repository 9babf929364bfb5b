#!/usr/bin/env python
"""Compare two sets of runs: python tools/compare.py 'work_dirs/cifar100/r18_mixup' 'work_dirs/cifar100/r18_cutmix'"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.arguments import Parser, typed_path  # noqa: E402

FORMATS = ("markdown", "csv", "latex", "html")


def make_parser() -> Parser:
    parser = Parser(description=__doc__)
    parser.add_argument("a", type=typed_path, help="folder of runs, or a pattern in quotes that finds such folders")
    parser.add_argument("b", type=typed_path, help="the runs to compare with them: differences are B - A")
    parser.add_argument("--format", choices=FORMATS, default="markdown")
    parser.add_argument("--out", type=typed_path, help="write to this file instead of the screen")
    return parser


def main(args) -> int:
    from openmix.console import warn
    from openmix.results.compare import as_part, compare, gather
    from openmix.results.records import damaged
    from openmix.results.render import layout, render
    from openmix.workdir.files import write_atomic

    a, b = gather(args.a), gather(args.b)
    for line in damaged([*a, *b]):
        warn(line)
    part = as_part(compare(a, b), args.a, args.b)
    text = layout(part.tables[0], "csv") if args.format == "csv" else render(part, args.format)
    if args.out:
        write_atomic(args.out, text.encode())
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    from openmix.console import run

    arguments = make_parser().parse_args()
    sys.exit(run(lambda: main(arguments)))
