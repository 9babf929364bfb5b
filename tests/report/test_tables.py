"""The tables of the report: what a row shows of its cell."""
from openmix.report.tables import CELL_HEAD, cell_rows
from openmix.results.cells import make_cells
from openmix.results.records import read_records
from tests.results.made import make_two_kinds


def test_a_cell_on_two_kinds_of_hardware_shows_the_cost_on_that_of_most_rows_and_says_so(tmp_path):
    make_two_kinds(tmp_path)
    rows = [dict(zip(CELL_HEAD, (text for text, _ in row), strict=True))
            for row in cell_rows(make_cells(read_records(tmp_path)))]
    assert {row["method"]: (row["cost"], row["img/s"]) for row in rows} == {
        "Vanilla": ("1.00x", "1,000"), "MixUp": ("2.00x", "500"), "CutMix": ("1.25x", "800")}
    assert {row["method"]: row["hardware"] for row in rows} == {
        "Vanilla": "1 x GPU B, bfloat16, batch 100 and others", "MixUp": "1 x GPU B, bfloat16, batch 100 and others",
        "CutMix": "1 x GPU B, bfloat16, batch 100"}
