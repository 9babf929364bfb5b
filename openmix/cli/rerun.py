"""Run a cell again and compare: openmix rerun work_dirs/cifar100/r18_mixup/seed0"""
import sys
from pathlib import Path

from ..arguments import Parser, typed_path


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("run", type=typed_path, help="work dir of a run, or the folder above the seeds of one cell")
    parser.add_argument("--work-dir", type=typed_path,
                        help="new work dir, of several runs the folder above (default: reruns/<path>)")
    parser.add_argument("--trust", action="store_true", help="run a config that is a program (custom_imports ...)")
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    return parser


def main(args) -> int:
    """0: every run came to the same, bit by bit; 1: something differs, each in a line; 2: wrong input."""
    import shlex

    from ..escape import printable
    from ..sweep import rerun

    code, records = 0, rerun.find(args.run, args.trust)
    for record in records:
        folder = rerun.new_folder(record) if args.work_dir is None else Path(args.work_dir)
        if args.work_dir is not None and len(records) > 1:
            folder = folder / Path(record.folder).name
        if args.dry_run:
            print(shlex.join(rerun.command(record, folder)))
            continue
        try:
            new = rerun.rerun(record, folder)
        except KeyboardInterrupt:
            print("stopped; the same line goes on with --work-dir", file=sys.stderr)
            return 130
        lines = rerun.differences(record, new)
        print(printable(f"{record.folder} -> {new.folder}: {'differs' if lines else 'the same, bit by bit'}"))
        for line in lines + [f"({line})" for line in rerun.circumstances(record, new)]:
            print(f"  {printable(line)}")
        code |= bool(lines)
    return code
