"""One HTML page of runs, to be opened anywhere: openmix report work_dirs/cifar100"""
from ..arguments import Parser, typed_path


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("roots", nargs="+", type=typed_path, help="folders that hold the runs")
    parser.add_argument("--out", type=typed_path, default="report.html", help="default: report.html")
    parser.add_argument("--title", default="openmix report")
    parser.add_argument("--columns", nargs="+", action="extend", default=[], metavar="NAME[.VALUE]",
                        help="further columns of the table of cells, as for tools/model_zoo.py")
    parser.add_argument("--no-pictures", action="store_true", help="leave out the pictures of mixed images")
    return parser


def main(args) -> int:
    from ..escape import printable
    from ..report.page import write_report

    path = write_report(args.roots, args.out, title=args.title, pictures=not args.no_pictures,
                        columns=args.columns)
    print(f"{printable(path)}: {path.stat().st_size / 2**20:.1f} MiB")
    return 0
