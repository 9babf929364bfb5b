"""Tables of the mixing methods, made from what their classes state: paper, needs, costs, settings."""
import inspect
import re

from ..registry import MIXUPS

LINKS = (r"arXiv (\d{4}\.\d{4,5})$", r"(https://\S+)$")


def reference(cls) -> str:
    """The paper of a method in Markdown: authors, title with a link to it, venue and year; without one its idea."""
    if not cls.paper:
        return idea(cls)
    authors, title, rest = re.fullmatch(r'([^"]+), "([^"]+)"(?:, (.*))?', cls.paper).groups()
    number, address = (re.search(pattern, rest or "") for pattern in LINKS)
    link = f"https://arxiv.org/abs/{number[1]}" if number else address and address[1]
    return f"{authors}, {f'[{title}]({link})' if link else title}, {cls.venue} {cls.year}"


def idea(cls) -> str:
    """The first sentence of a method's description, as Markdown."""
    paragraph = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=[.:;])\s(?=[A-Z])", paragraph)[0].replace("``", "`").rstrip(":;")


def settings(cls) -> str:
    """``CIFAR: alpha=1.0, prob=0.5; ImageNet: alpha=1.0``."""
    each = [f"{data}: " + ", ".join(f"`{name}={value!r}`" for name, value in options.items())
            for data, options in cls.defaults.items()]
    return "; ".join(each) or "–"


TABLES = dict(
    papers=dict(paper=reference, needs=lambda cls: cls.needs),
    costs=dict(idea=idea, weights=lambda cls: cls.weight_from, passes=lambda cls: cls.passes, settings=settings),
)
HEADS = dict(weights="label weights from", passes="passes beside the mixture's", settings="settings of paper or tables")


def method_table(name: str) -> str:
    """A Markdown table with a row for each registered method.

    Args:
        name: ``"papers"``: reference and what the method needs; ``"costs"``: idea, label weights, passes, settings.
    """
    columns = TABLES[name]
    rows = [["method", *(HEADS.get(column, column) for column in columns)], ["---"] * (len(columns) + 1)]
    for method in sorted(MIXUPS.known(), key=lambda method: (MIXUPS.get(method).year, method.lower())):
        cls = MIXUPS.get(method)
        rows.append([f"`{method}`", *(cell(cls).replace("|", "\\|") for cell in columns.values())])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).replace("| ---", "|---").replace("--- |", "---|")
