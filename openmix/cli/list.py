"""What there is to use: openmix list mixups, openmix list configs 'cifar100/r18*'"""
from ..arguments import Parser

KINDS = ("mixups", "backbones", "losses", "datasets", "configs", "grids")


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("pattern", nargs="?", default="*",
                        help="only names that fit: a shell pattern such as 'r18_*', or a part of the name")
    return parser


def main(args) -> int:
    from ..apis import match
    from ..errors import did_you_mean

    rows = _names(args.kind) if args.kind in ("configs", "grids") else _classes(args.kind)
    pattern = args.pattern if set("*?[") & set(args.pattern) else f"*{args.pattern}*"
    names = match(rows, pattern)
    if not names:
        raise ValueError(f"none of the {args.kind} fits {args.pattern!r}; {did_you_mean(args.pattern, rows)}")
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {rows[name]}".rstrip())
    return 0


def _names(kind: str) -> dict[str, str]:
    """Names of files, as the other commands take them; nothing heavy is imported for these."""
    from ..paths import shipped

    return {name.removesuffix(".py"): "" for name in shipped(kind)}


def _classes(kind: str) -> dict[str, str]:
    """{name: first sentence of its description}; of a mixing method with what it needs."""
    from .. import registry

    known = dict(mixups=registry.MIXUPS, backbones=registry.BACKBONES, losses=registry.LOSSES,
                 datasets=registry.DATASETS)[kind]
    rows = {}
    for name in known.known():
        found = known.get(name)
        summary = ((found.__doc__ or "").strip().splitlines() or [""])[0]
        rows[name] = f"{found.needs:10}{summary}" if kind == "mixups" else summary
    return rows
