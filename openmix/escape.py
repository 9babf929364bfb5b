"""Names and reasons as text of a terminal, of Markdown, HTML, LaTeX or CSV: whatever they hold, they stay text.

They come from configs, folders and messages of errors, so they may hold anything. :mod:`openmix.results.render` calls
these functions for everything that it writes.
"""
import html
import re

LONGEST = 5000  # characters of a text that are shown
NOTE = re.compile(r"(\[\d{1,4}\])(?![(\[:])")  # the [1] that leads to a note: no link without an address behind it
# links, code, emphasis, cells of tables, formulas, and addresses that GitHub makes links of by itself
MARKDOWN = re.compile(r"[\\`*|~$\[\]]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.", re.I)
LATEX = str.maketrans({"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
                       "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
                       "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
                       "[": "{[}", "]": "{]}", "*": "{*}",  # at the start of a line: an argument of the line end before
                       "±": r"$\pm$", "†": r"$\dagger$", "‡": r"$\ddagger$"})
NUMBER = re.compile(r"[+-]?(\d[\d,]*(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.A | re.I)
FORMULA = re.compile(r"[=+\-@＝＋－＠]")


def printable(text) -> str:
    """One line in which every character is visible and keeps its order.

    Control characters (escape sequences of terminals), those that turn the direction of writing, invisible ones and
    halves of surrogate pairs become ``\\x1b``, ``\\u202e``; white space becomes one space; long text is cut.
    """
    text = " ".join(str(text).split())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def markdown(text) -> str:
    """Text in a cell or a paragraph of Markdown, as GitHub reads it."""
    pieces = NOTE.split(re.sub(r"&(?=#?\w+;)", "&amp;", printable(text)).replace("<", "&lt;"))
    return "".join(piece if i % 2 else MARKDOWN.sub(r"\\\g<0>", piece) for i, piece in enumerate(pieces))


def latex(text) -> str:
    """Text in a cell or a paragraph of LaTeX."""
    return printable(text).translate(LATEX)


def escaped_html(text) -> str:
    """Text in an element or a quoted attribute of HTML."""
    return html.escape(printable(text))


def csv(text) -> str:
    """Text in a cell of CSV: what a spreadsheet would take for a formula gets an apostrophe, numbers stay numbers."""
    text = printable(text)
    return f"'{text}" if FORMULA.match(text) and text != "-" and not NUMBER.fullmatch(text) else text
