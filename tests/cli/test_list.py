"""Lists of what there is, as a terminal shows them."""
import pytest

from openmix.cli import main


@pytest.mark.parametrize("kind", ["mixups", "backbones", "losses", "datasets"])
def test_summaries_are_plain_text_without_references_of_docstrings(kind, capsys):
    assert main(["list", kind]) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) > 3 and ":`" not in shown and "``" not in shown
    assert kind != "datasets" or "see ArrayData" in shown
