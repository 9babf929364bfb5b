"""What there is to use.

    openmix list mixups
    openmix list configs 'cifar100/r18*'
    openmix list mixups --write       # the tables of methods in README.md and docs/, from what the classes state
"""
import argparse
import re

from ..arguments import Parser

ROLE = re.compile(r":\w+:`~?(?:[^`]*\.)?([^`.]+)`")  # a reference of a docstring; its last name is printed
KINDS = ("mixups", "backbones", "losses", "datasets", "configs", "grids")


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("pattern", nargs="?", default="*",
                        help="only names that fit: a shell pattern, also of the last part ('r18_*'), or part of a name")
    parser.add_argument("--write", action="store_true",
                        help="of mixups: rewrite the tables between markers <!-- methods:NAME begin --> in README.md "
                             "and docs/ of this folder")
    parser.add_argument("--check", action="store_true",
                        help="as --write, but change nothing: list the files that are out of date, and exit with 1")
    return parser


def main(args) -> int:
    from ..apis import match
    from ..errors import did_you_mean

    if args.write or args.check:
        if args.kind != "mixups":
            raise ValueError(f"--write and --check are for mixups; of {args.kind} there are no tables")
        return _tables(args.check)
    rows = _names(args.kind) if args.kind in ("configs", "grids") else _classes(args.kind)
    pattern = args.pattern if set("*?[") & set(args.pattern) else f"*{args.pattern}*"
    names = match(rows, pattern) or [name for name in rows if match([name.rpartition("/")[2]], pattern)]
    if not names:
        raise ValueError(f"none of the {args.kind} fits {args.pattern!r}; {did_you_mean(args.pattern, rows)}")
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {rows[name]}".rstrip())
    return 0


def _tables(check: bool) -> int:
    """Bring the tables of methods in the documents of this folder up to date, or list those that are not."""
    from ..results import documents
    from ..visualization.cards import TABLES, method_table

    files = documents.find_documents(".", "methods")
    texts = documents.new_texts(files, lambda name, folder: method_table(name), TABLES, "methods")
    changed = documents.write_changed(texts, dry=check)
    for path in changed:
        print(f"{'out of date' if check else 'written'}: {path}")
    return int(bool(check and changed))


def _names(kind: str) -> dict[str, str]:
    """Names of files, as the other commands take them; nothing heavy is imported for these."""
    from ..paths import shipped

    return {name.removesuffix(".py"): "" for name in shipped(kind)}


def _classes(kind: str) -> dict[str, str]:
    """{name: first sentence of its description}; of a mixing method with its ``needs``."""
    from .. import registry

    known = dict(mixups=registry.MIXUPS, backbones=registry.BACKBONES, losses=registry.LOSSES,
                 datasets=registry.DATASETS)[kind]
    rows = {}
    for name in known.known():
        cls = known.get(name)
        summary = ((cls.__doc__ or "").strip().splitlines() or [""])[0]
        summary = ROLE.sub(r"\1", summary).replace("``", "`")
        rows[name] = f"{cls.needs:10}{summary}" if kind == "mixups" else summary
    return rows
