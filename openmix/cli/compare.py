"""Compare two sets of runs, or all methods with one of them.

    openmix compare work_dirs/cifar100/r18_mixup work_dirs/cifar100/r18_cutmix
    openmix compare work_dirs --baseline Vanilla
"""
import argparse
import sys

from ..arguments import Parser, typed_path

FORMATS = ("markdown", "csv", "latex", "html")


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=typed_path, help="folder of runs, or a pattern in quotes that finds such folders")
    parser.add_argument("b", type=typed_path, nargs="?", help="the runs to compare with them: differences are B - A")
    parser.add_argument("--baseline", metavar="METHOD", help="instead of B: compare every method of A with this one")
    parser.add_argument("--format", choices=FORMATS, default="markdown")
    parser.add_argument("--out", type=typed_path, help="write to this file instead of the screen")
    return parser


def main(args) -> int:
    from ..console import warn
    from ..results.baseline import baseline_part
    from ..results.compare import as_part, compare, gather
    from ..results.records import damaged
    from ..results.render import layout, render
    from ..workdir.files import write_atomic

    if (args.b is None) == (args.baseline is None):
        raise ValueError("give two sets of runs, or one and --baseline METHOD, e.g. work_dirs --baseline Vanilla")
    a, b = gather(args.a), [] if args.b is None else gather(args.b)
    for line in damaged([*a, *b]):
        warn(line)
    part = baseline_part(a, args.baseline, args.a) if args.baseline else as_part(compare(a, b), args.a, args.b)
    text = layout(part.tables[0], "csv") if args.format == "csv" else render(part, args.format)
    if args.out:
        write_atomic(args.out, text.encode())
    else:
        sys.stdout.write(text)
    return 0
