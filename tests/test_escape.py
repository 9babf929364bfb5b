"""Names and reasons stay text in every format, whatever they hold."""
import csv
import io
import json
import re

import pytest

from openmix import escape as text
from openmix.report.page import page
from openmix.results.records import read_records
from openmix.results.render import FORMATS, Link, Part, Table, layout, render
from openmix.sweep.progress import PlainProgress
from tests.results.made import last_ten, make_run

HOSTILE = "\x1b[31m[a](http://evil.org) ![b](x) <img src=x> `c` a|b \u202egnp.exe\u2066 &lt; www.evil.org $x$ \r\n# d"


@pytest.mark.parametrize("raw, visible", [
    ("\x1b[31mred\x07", r"\x1b[31mred\x07"), ("a\u202eb\u2066", r"a\u202eb\u2066"),
    ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
    ("a\udcffb", r"a\udcffb"), ("a\r\n\tb\u2028c", "a b c"), ("\x9b2J", r"\x9b2J"), ("Größe ± 漢字", "Größe ± 漢字"),
    ("x" * 6000, "x" * 5000 + "...")])
def test_every_character_of_a_printed_text_is_visible(raw, visible):
    assert text.printable(raw) == visible and text.printable(visible) in (visible, visible + "...")


@pytest.mark.parametrize("raw, escaped", [
    ("[a](b)", r"\[a\](b)"), ("![a](b)", r"!\[a\](b)"), ("[a]: b", r"\[a\]: b"), ("[1](b)", r"\[1\](b)"),
    ("<b>", "&lt;b>"), ("&lt;", "&amp;lt;"), ("a & b", "a & b"), ("a|b", r"a\|b"), ("`a`", r"\`a\`"), ("\\|", r"\\\|"),
    ("*a* _b_ ~c~", r"\*a\* \_b\_ \~c\~"), ("weight_decay=0.1", "weight_decay=0.1"), ("http://a.b", r"http\://a.b"),
    ("www.a.b", r"www\.a.b"), ("$a$", r"\$a\$"), ("81.63 [1] [12]", "81.63 [1] [12]")])
def test_markdown_shows_what_stands_there(raw, escaped):
    assert text.markdown(raw) == escaped


@pytest.mark.parametrize("raw", ["=1+1", "@x", "+x", "-x", "\t=1", "\r=1", " =1", "+1+1", "-e5", "=", "＝1", "-1;=2",
                                 "+1 to +2"])
def test_csv_holds_no_formula(raw):
    assert text.csv(raw) == "'" + raw.strip()


@pytest.mark.parametrize("raw", ["-0.13", "+0.50", "1e-5", "-1,000.5", "-", "a=1", "0"])
def test_numbers_of_csv_stay_numbers(raw):
    assert text.csv(raw) == raw


def test_latex_has_no_special_character_and_no_argument_of_a_line_end():
    assert text.latex("[2cm] *a_b {c} <d> 5%") == r"{[}2cm{]} {*}a\_b \{c\} \textless{}d\textgreater{} 5\%"


@pytest.mark.parametrize("style", FORMATS)
def test_all_that_is_written_is_escaped(style):
    table = Table([f"h{HOSTILE}"], [[HOSTILE], [Link(HOSTILE, f"a/{HOSTILE}")], ["=1+1"], ["-0.5"]], HOSTILE)
    folded = Table(["x"], [], HOSTILE, folded=True)
    whole = layout(table, style) if style == "csv" else render(
        Part(HOSTILE, [HOSTILE, Link(HOSTILE, "https://a.org/x y")], [table, folded], [HOSTILE]), style)
    for character in "\x1b\u202e\u2066":
        assert character not in whole
    if style != "csv":
        assert "<img" not in whole and "\n# d" not in whole
    if style == "markdown":
        whole = "\n".join(line for line in whole.splitlines() if "<summary>" not in line)  # a line of HTML
        assert "[a](http" not in whole and "](x)" not in whole.replace(r"\](x)", "") and "`c`" not in whole
        assert "](https://a.org/x%20y)" in whole
    if style == "csv":
        assert [row[0] for row in csv.reader(io.StringIO(whole))][3:] == ["'=1+1", "-0.5"]


def test_the_page_of_a_report_shows_every_character(tmp_path):
    make_run(tmp_path / "a\x1bb", f"type={HOSTILE!r}", curve=last_ten(80.0), hardware=HOSTILE)
    folder = make_run(tmp_path / "b", curve=None, status="failed")
    (folder / "status.json").write_text(json.dumps(dict(state="failed", reason=HOSTILE)))
    whole = page(read_records(tmp_path), HOSTILE)
    own = whole[:whole.index("<script")] + whole[whole.index("<body>"):]
    for character in "\x1b\u202e\u2066":
        assert character not in own
    items = json.loads(re.search(r'id="items">(.*?)</script>', whole, re.S)[1])
    assert all(value.isprintable() for value in strings(items))
    assert "<img src=x" not in own and r"\u202egnp.exe" in own


def strings(value):
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(inner)


def test_a_terminal_gets_no_escape_sequence():
    said = []
    PlainProgress(said.append).event(HOSTILE)
    assert "\x1b" not in said[0] and "\n" not in said[0]
