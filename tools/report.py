#!/usr/bin/env python
"""One HTML page of runs, to be opened anywhere: python tools/report.py work_dirs/cifar100"""
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.engine.output import until_closed  # noqa: E402


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+", help="folders that hold the runs")
    parser.add_argument("--out", default="report.html", help="default: report.html")
    parser.add_argument("--title", default="openmix report")
    parser.add_argument("--no-pictures", action="store_true", help="leave out the pictures of mixed images")
    return parser


@until_closed()
def main(args) -> int:
    try:
        from openmix.visualization.report import write_report

        path = write_report(args.roots, args.out, title=args.title, pictures=not args.no_pictures)
    except (ValueError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(make_parser().parse_args()))
