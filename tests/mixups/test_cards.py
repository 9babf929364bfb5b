"""Every method states its card, and the tables in the documents are made of the cards."""
import inspect
import re
from pathlib import Path

import pytest

from openmix.cli.list import main, make_parser
from openmix.mixups import MixMethod
from openmix.registry import MIXUPS, accepted_keys
from openmix.results import documents
from openmix.visualization.cards import TABLES, method_table, reference

ROOT = Path(__file__).resolve().parents[2]
FIELDS = ("paper", "year", "venue", "passes", "defaults")
PAPER = r'[^"]+, "[^"]+"(, (arXiv \d{4}\.\d{4,5}|https://\S+))?'
every = pytest.mark.parametrize("cls", [MIXUPS.get(name) for name in MIXUPS.known()], ids=lambda cls: cls.__name__)


@every
def test_a_method_states_its_whole_card_itself(cls):
    assert [field for field in FIELDS if field not in vars(cls)] == [], "not inherited from another method"


@every
def test_a_paper_has_authors_title_year_and_venue_or_there_is_none(cls):
    if cls.paper:
        assert re.fullmatch(PAPER, cls.paper) and 2015 <= cls.year <= 2026 and cls.venue
        number = re.search(r"arXiv (\d\d)", cls.paper)
        assert number is None or 2000 + int(number[1]) <= cls.year, "published before it was submitted"
    else:
        assert (cls.year, cls.venue) == (0, "")
    assert cls.passes and cls.passes == cls.passes.strip(". ")


@every
def test_default_settings_are_options_of_the_method_that_it_accepts(cls):
    required = [p for p in inspect.signature(cls).parameters.values()
                if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for options in cls.defaults.values():
        assert set(options) <= accepted_keys(cls)
        if not required:
            MIXUPS.build(dict(type=cls.__name__, **options))  # methods and teachers among the options too


def test_the_tables_in_the_documents_are_up_to_date():
    names = {name for path in documents.find_documents(ROOT, "methods")
             for name, _ in documents.marks_in(path.read_text(), "methods")}
    assert names == set(TABLES)
    for path in documents.find_documents(ROOT, "methods"):
        text = path.read_text()
        assert text == documents.rewrite(text, method_table, str(path), "methods"), (
            f"{path.name} is out of date: openmix list mixups --write")


def test_a_table_has_a_row_for_each_method_and_links_its_paper():
    rows = [row.split(" | ") for row in method_table("papers").splitlines()[2:]]
    assert sorted(row[0].strip("|` ") for row in rows) == sorted(MIXUPS.known())
    assert len({len(row) for row in rows}) == 1
    mixup = reference(MIXUPS.get("MixUp"))
    assert mixup == ("Zhang et al., [mixup: Beyond Empirical Risk Minimization](https://arxiv.org/abs/1710.09412), "
                     "ICLR 2018")
    assert reference(type("Own", (MixMethod,), {"__doc__": "Stripes: ``a`` and b.\n\nMore."})) == "Stripes: `a` and b."


def test_write_changes_what_is_between_the_markers_and_check_lists_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- methods:papers begin -->\nstale\n<!-- methods:papers end -->\nafter\n")
    assert main(make_parser().parse_args(["mixups", "--check"])) == 1 and "stale" in page.read_text()
    assert main(make_parser().parse_args(["mixups", "--write"])) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "| `CutMix` |" in text and "stale" not in text
    assert main(make_parser().parse_args(["mixups", "--check"])) == 0
    with pytest.raises(ValueError, match="are for mixups"):
        main(make_parser().parse_args(["losses", "--write"]))
