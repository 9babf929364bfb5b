"""Tables as Markdown, HTML, LaTeX or CSV. The layout is prettytable's; here stand links and escapes of each format."""
import html
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote

from prettytable import PrettyTable, TableStyle

FORMATS = ("markdown", "csv", "latex", "html")
LATEX = str.maketrans({"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
                       "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
                       "±": r"$\pm$", "†": r"$\dagger$", "‡": r"$\ddagger$"})


class Link(NamedTuple):
    """A cell that leads to a file."""

    text: str
    path: str


@dataclass
class Table:
    """``head`` names the columns, ``rows`` hold texts and :class:`Link` objects; the first column is left-aligned."""

    head: list[str]
    rows: list[list]
    title: str = ""
    folded: bool = False  # long, of interest to few: closed in Markdown and HTML, left out of LaTeX


@dataclass
class Part:
    """What stands between two markers: a title, what the numbers are, tables, notes numbered from 1."""

    title: str
    caption: str
    tables: list[Table]
    notes: list[str] = field(default_factory=list)


def render(part: Part, style: str) -> str:
    """The text of a part in one of :data:`FORMATS`, ending in a line feed; CSV is one table, see :func:`layout`.

    Raises:
        ValueError: unknown format.
    """
    if style not in FORMATS or style == "csv":
        raise ValueError(f"a part can be written as markdown, latex or html, got {style!r}")
    title = f"**{part.title}.**" if style == "markdown" else f"{part.title}."
    blocks = [_paragraph(f"{title} {part.caption}", style)]
    for table in part.tables:
        text = layout(table, style)
        if table.folded and style == "latex":
            continue
        if table.folded:
            title = html.escape(table.title)
            blocks.append(f"<details><summary>{title}</summary>\n\n{text}\n\n</details>")
        else:
            blocks.append(f"{_paragraph(table.title, style)}\n\n{text}" if table.title else text)
    notes = [f"[{i}] {note}." for i, note in enumerate(part.notes, 1)]
    end = {"markdown": "  ", "html": "", "latex": r" \\"}[style]  # a line break of each format
    if notes:
        lines = f"{end}\n".join(_escape(note, style) for note in notes)
        blocks.append(f"<p>{lines.replace(chr(10), '<br>' + chr(10))}</p>" if style == "html" else lines)
    return "\n\n".join(blocks) + "\n"


def layout(table: Table, style: str) -> str:
    """One table in one of :data:`FORMATS`, without its title."""
    drawn = PrettyTable([_escape(name, style) for name in table.head])
    drawn.add_rows([[_cell(value, style) for value in row] for row in table.rows])
    drawn.align = "r"
    drawn.align[drawn.field_names[0]] = "l"
    if style == "csv":
        return drawn.get_csv_string(lineterminator="\n")
    if style == "latex":
        return drawn.get_latex_string()
    if style == "html":
        return drawn.get_html_string(escape_header=False, escape_data=False)
    drawn.set_style(TableStyle.MARKDOWN)
    drawn.align = "r"
    drawn.align[drawn.field_names[0]] = "l"
    return drawn.get_string()


def _paragraph(text: str, style: str) -> str:
    escaped = _escape(text, style)
    return f"<p>{escaped}</p>" if style == "html" else escaped


def _escape(text: str, style: str) -> str:
    text = " ".join(str(text).split())  # a message of several lines would break a table
    if style == "markdown":
        return text.replace("<", "&lt;").replace("|", r"\|")
    return {"html": html.escape, "latex": lambda t: t.translate(LATEX), "csv": str}[style](text)


def _cell(value, style: str) -> str:
    if not isinstance(value, Link):
        return _escape(value, style)
    text, path = _escape(value.text, style), quote(value.path)
    if style == "latex":
        path = path.replace("%", r"\%").replace("#", r"\#")
    return {"markdown": f"[{text}]({path})", "html": f'<a href="{html.escape(path)}">{text}</a>',
            "latex": rf"\href{{{path}}}{{{text}}}", "csv": value.path}[style]
