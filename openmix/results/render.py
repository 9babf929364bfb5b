"""Tables as Markdown, HTML, LaTeX or CSV. The layout is prettytable's, the escapes are those of :mod:`.text`."""
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote

from prettytable import PrettyTable, TableStyle

from .. import escape as texts

ESCAPES = dict(markdown=texts.markdown, csv=texts.csv, latex=texts.latex, html=texts.escaped_html)
FORMATS = tuple(ESCAPES)


class Link(NamedTuple):
    """A cell, or a part of a caption, that leads to a file or to a page."""

    text: str
    path: str


class Best(str):
    """A text that is the best of its column: bold in LaTeX, as it is elsewhere."""


@dataclass
class Table:
    """``head`` names the columns, ``rows`` hold texts and :class:`Link` objects; the first column is left-aligned."""

    head: list[str]
    rows: list[list]
    title: str = ""
    folded: bool = False  # long, of interest to few: closed in Markdown and HTML, left out of LaTeX


@dataclass
class Part:
    """The text between two markers: a title, a caption (texts and links), tables, notes from 1."""

    title: str
    caption: str | list
    tables: list[Table]
    notes: list[str] = field(default_factory=list)


def render(part: Part, style: str) -> str:
    """The text of a part in one of :data:`FORMATS`, ending in a line feed; CSV is one table, see :func:`layout`.

    Raises:
        ValueError: unknown format.
    """
    if style not in FORMATS or style == "csv":
        raise ValueError(f"a part can be written as markdown, latex or html, got {style!r}")
    title = ESCAPES[style](f"{part.title}.")
    caption = part.caption if isinstance(part.caption, list) else [part.caption]
    blocks = [_paragraph(" ".join([f"**{title}**" if style == "markdown" else title,
                                   *(_cell(piece, style) for piece in caption)]), style)]
    for table in part.tables:
        text = layout(table, style)
        if table.folded and style == "latex":
            continue
        if table.folded:
            # a line of HTML in Markdown too
            blocks.append(f"<details><summary>{texts.escaped_html(table.title)}</summary>\n\n{text}\n\n</details>")
        else:
            blocks.append(f"{_paragraph(_cell(table.title, style), style)}\n\n{text}" if table.title else text)
    notes = [f"[{i}] {note}." for i, note in enumerate(part.notes, 1)]
    end = {"markdown": "  ", "html": "", "latex": r" \\"}[style]  # a line break of each format
    if notes:
        lines = f"{end}\n".join(_cell(note, style) for note in notes)
        blocks.append(f"<p>{lines.replace(chr(10), '<br>' + chr(10))}</p>" if style == "html" else lines)
    return "\n\n".join(blocks) + "\n"


def layout(table: Table, style: str) -> str:
    """One table in one of :data:`FORMATS`, without its title."""
    drawn = PrettyTable([_cell(name, style) for name in table.head])
    drawn.add_rows([[_cell(value, style) for value in row] for row in table.rows])
    drawn.align = "r"
    drawn.align[drawn.field_names[0]] = "l"
    if style == "csv":
        return drawn.get_csv_string(lineterminator="\n")
    if style == "latex":
        return booktabs(drawn.field_names, drawn.rows)
    if style == "html":
        return drawn.get_html_string(escape_header=False, escape_data=False)
    drawn.set_style(TableStyle.MARKDOWN)
    drawn.align = "r"
    drawn.align[drawn.field_names[0]] = "l"
    return drawn.get_string()


def booktabs(head: list[str], rows: list[list[str]]) -> str:
    """A ``tabular`` of cells that are LaTeX already, with the rules of LaTeX's package booktabs."""
    lines = [" & ".join(row) + r" \\" for row in (head, *rows)]
    return "\n".join([rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\toprule", lines[0], r"\midrule", *lines[1:],
                      r"\bottomrule", r"\end{tabular}"])


def _paragraph(escaped: str, style: str) -> str:
    return f"<p>{escaped}</p>" if style == "html" else escaped


def _cell(value, style: str) -> str:
    """A text or a link with the escapes of a format: everything that is written comes through here."""
    escape = ESCAPES[style]
    if isinstance(value, Best) and style == "latex":
        return rf"\textbf{{{escape(value)}}}"
    if not isinstance(value, Link):
        return escape(value)
    text, path = escape(value.text), _address(value.path)
    if style == "latex":
        path = path.replace("%", r"\%").replace("#", r"\#")
    return {"markdown": f"[{text}]({path})", "html": f'<a href="{path}">{text}</a>',
            "latex": rf"\href{{{path}}}{{{text}}}", "csv": escape(value.path)}[style]


def _address(path: str) -> str:
    """A path, or the address of a page, as a link takes it."""
    scheme, colon, rest = path.partition("://")
    if scheme in ("http", "https") and colon:
        return f"{scheme}://{quote(rest)}"
    return quote(path.encode(errors="surrogateescape"))  # names of files may be no UTF-8
