"""Tables of finished and unfinished runs: accuracy beside the published one, costs, links.

    openmix zoo work_dirs                             # Markdown to the screen
    openmix zoo work_dirs --format csv --out zoo.csv
    openmix zoo work_dirs --part cifar100-resnet-18 --figure r18.pdf
    openmix zoo work_dirs --write                     # docs/ and configs/*/README.md
    openmix zoo work_dirs --collect results           # the small files of finished runs, to be committed
"""
import argparse
import sys
from pathlib import Path

from ..arguments import Parser, typed_path

FORMATS = ("markdown", "csv", "latex", "html")


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=typed_path, default=["work_dirs"],
                        help="folders that hold runs (default: work_dirs)")
    parser.add_argument("--format", choices=FORMATS, default="markdown", help="of the output (default: markdown)")
    parser.add_argument("--part", action="append", metavar="NAME",
                        help="only this table, e.g. cifar100-resnet-18, with or without runs; may be repeated")
    parser.add_argument("--columns", nargs="+", action="extend", default=[], metavar="NAME[.VALUE]",
                        help="further columns: values of named evaluations (cal.ece) or of the validation (val.top5)")
    parser.add_argument("--reduction", choices=("median", "last"),
                        help="one accuracy a run: median of its last 10 epochs, or its last epoch (default: as each "
                             "table is defined, else the median)")
    parser.add_argument("--epochs", type=int, nargs="+", action="extend", default=[], metavar="N",
                        help="only the columns of these numbers of epochs")
    parser.add_argument("--out", type=typed_path, metavar="FILE", help="print into this file")
    parser.add_argument("--figure", type=typed_path, metavar="FILE",
                        help="draw accuracies and costs of one table into this .png, .pdf or .svg file")
    parser.add_argument("--write", action="store_true",
                        help="rewrite the tables between markers in docs/ and configs/*/README.md")
    parser.add_argument("--check", action="store_true",
                        help="as --write, but change nothing: list the files that are out of date, and exit with 1")
    parser.add_argument("--collect", type=typed_path, metavar="FOLDER",
                        help="copy result, environment and config of each finished run into this folder; refuses runs "
                             "that have not finished, diverged, or ran with changed files, and then exits with 1")
    parser.add_argument("--files", nargs="+", type=typed_path, metavar="FILE",
                        help="with --write or --check: these files alone")
    parser.add_argument("--root", type=typed_path, default=".", help="folder of docs/ and configs/ (default: this one)")
    return parser


def main(args) -> int:
    from ..console import warn
    from ..results.cells import has_table, make_cells
    from ..results.records import damaged, gather

    if args.files and not (args.write or args.check):
        raise ValueError("--files belongs to --write or --check")
    printing = (args.out or args.figure or args.part or args.columns or args.reduction or args.epochs
                or args.format != "markdown")
    if (args.write or args.check) and printing:
        raise ValueError("--out, --figure, --part, --columns, --reduction, --epochs and --format are for printing; "
                         "leave them out with --write and --check")
    records = gather(args.runs)
    if args.collect:
        return save(records, args.collect)
    cells = make_cells(records, args.reduction)
    for line in damaged(records):
        warn(line)
    lost = [r for r in records if not has_table(r)]
    if lost:
        print(f"{len(lost)} of {len(records)} runs are in no table, their files do not tell which; see --part unplaced",
              file=sys.stderr)
    return update(args, records, cells) if args.write or args.check else show(args, records, cells)


def save(records, folder) -> int:
    """Collect records, and list what was refused."""
    from ..console import warn
    from ..results.collect import collect

    written, refused = collect(records, folder)
    for path in written:
        print(f"written: {path}")
    for run, why in refused.items():
        warn(f"{run} is refused: {why}")
    print(f"{len(written)} records written, {len(refused)} runs refused")
    return int(bool(refused))


def show(args, records, cells) -> int:
    """Print tables."""
    from ..errors import did_you_mean
    from ..results import csv_table as flat
    from ..results import tables as zoo
    from ..results.columns import parse_columns
    from ..results.ranked import ranked
    from ..results.render import layout, render
    from ..workdir.files import write_atomic

    base, known = Path(args.out).parent if args.out else Path("."), zoo.parts(cells)
    own, columns = {(c.dataset, c.network) for c in cells}, parse_columns(args.columns, records)
    names = args.part or [name for name, pair in known.items() if pair in own]
    for name in names:
        if name not in zoo.known_parts(cells):
            raise ValueError(f"no table {name!r}; {did_you_mean(name, zoo.known_parts(cells))}")
    if args.figure:
        places = {**known, **ranked(known)}
        return draw(args, cells, [places[name] for name in names if name in places])
    several = [name for name in names if name not in known]
    if args.format == "csv":
        if several:
            raise ValueError(f"--format csv has no table {several[0]!r}; name the tables of one network and data set "
                             "that it is made of")
        text = layout(flat.flat_table(cells, names, columns, args.epochs), "csv")
    else:
        text = "\n".join(render(zoo.any_part(name, records, cells, base, columns, args.epochs), args.format)
                         for name in names)
    if not names:
        print(f"no runs in {', '.join(args.runs)}", file=sys.stderr)
    if args.out:
        write_atomic(args.out, text.encode())
    else:
        sys.stdout.write(text)
    return 0


def draw(args, cells, pairs) -> int:
    """Draw the table of one (data set, network)."""
    from ..report.figure import save_figure
    from ..results.tables import ordered_rows

    if len(pairs) != 1:
        raise ValueError("--figure draws one table; name it with --part, e.g. --part cifar100-resnet-18")
    own = [c for c in cells if (c.dataset, c.network) == pairs[0] and (not args.epochs or c.epochs in args.epochs)]
    done = {cell.row for cell in own if cell.mean is not None}
    save_figure(own, args.figure, [row for row, _ in ordered_rows(own, *pairs[0]) if row not in done])
    print(f"written: {args.figure}")
    return 0


def update(args, records, cells) -> int:
    """Rewrite files, or list those that would change."""
    from ..results import documents
    from ..results import tables as zoo
    from ..results.render import render

    def make(name, base):
        text = render(zoo.any_part(name, records, cells, base), "markdown")
        shown.add(name)
        return text

    shown: set = set()
    files = args.files or documents.find_documents(args.root)
    texts = documents.new_texts(files, make, zoo.known_parts(cells))
    changed = documents.write_changed(texts, dry=args.check)
    for path in changed:
        print(f"{'out of date' if args.check else 'written'}: {path}")
    own = {(c.dataset, c.network) for c in cells}
    missing = [name for name, pair in zoo.parts(cells).items() if pair in own and name not in shown]
    if missing and not args.files:
        print(f"no file has markers for {', '.join(missing)}; see them with --part", file=sys.stderr)
    return int(bool(args.check and changed))
