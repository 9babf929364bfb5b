"""Compare two sets of runs: openmix compare 'work_dirs/cifar100/r18_mixup' 'work_dirs/cifar100/r18_cutmix'"""
import sys

from ..arguments import Parser, typed_path

FORMATS = ("markdown", "csv", "latex", "html")


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("a", type=typed_path, help="folder of runs, or a pattern in quotes that finds such folders")
    parser.add_argument("b", type=typed_path, help="the runs to compare with them: differences are B - A")
    parser.add_argument("--format", choices=FORMATS, default="markdown")
    parser.add_argument("--out", type=typed_path, help="write to this file instead of the screen")
    return parser


def main(args) -> int:
    from ..console import warn
    from ..results.compare import as_part, compare, gather
    from ..results.records import damaged
    from ..results.render import layout, render
    from ..workdir.files import write_atomic

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
