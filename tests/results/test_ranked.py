"""The finished rows of one table, best first."""
import json

import pytest

from openmix.results import published
from openmix.results.cells import make_cells
from openmix.results.records import read_records
from openmix.results.render import Best
from openmix.results.tables import any_part, cell_text, known_parts
from tests.results.made import last_ten, make_run

NAME = "ranked-cifar100-wideresnet-28-8"


@pytest.fixture
def make(tmp_path):
    """``make({mixup: accuracies of its seeds})``: the cells of such runs on CIFAR-100."""
    def cells(accuracies):
        for mixup, values in accuracies.items():
            for seed, top1 in enumerate(values):
                path = make_run(tmp_path / mixup / str(seed), f"type={mixup!r}", curve=last_ten(top1)) / "result.json"
                path.write_text(json.dumps(json.loads(path.read_text()) | dict(seed=seed)))
        return make_cells(read_records(tmp_path))
    return cells


def test_rows_are_sorted_by_accuracy_and_name_their_points_more_than_vanilla(make):
    cells = make(dict(Vanilla=[80.0, 81.0], MixUp=[82.0, 82.5], CutMix=[79.0]))
    table, = any_part(NAME, [], cells).tables
    texts = {cell.row: cell_text(cell, []) for cell in cells}
    assert table.rows == [["MixUp", texts["MixUp"], "+1.75"], ["Vanilla", texts["Vanilla"], "-"],
                          ["CutMix", texts["CutMix"], "-1.50"]]
    assert [isinstance(row[1], Best) for row in table.rows] == [True, False, False]


def test_without_vanilla_there_is_no_difference_and_methods_without_a_run_are_counted(make):
    part = any_part(NAME, [], make(dict(MixUp=[82.0], CutMix=[79.0])))
    assert [row[2] for row in part.tables[0].rows] == ["-", "-"]
    others = sum("MixUp" != name != "CutMix" for name in published.methods("CIFAR-100", "WideResNet-28-8"))
    assert part.caption.endswith(f"Best first. No run yet of {others} other methods.")


def test_every_table_has_one_also_without_runs(make):
    assert NAME in known_parts([]) and any_part(NAME, [], []).tables == []


def test_the_best_eight_and_vanilla_are_shown_and_the_table_counts_the_others(make):
    names = list(published.methods("CIFAR-100", "WideResNet-28-8"))
    better = [name for name in names if name != "Vanilla"][:10]
    table, = any_part(NAME, [], make({"Vanilla": [70.0]} | {name: [80.0 - i] for i, name in enumerate(better)})).tables
    assert [row[2] for row in table.rows] == [f"{10 - i:+.2f}" for i in range(8)] + ["-"]
    assert (table.rows[-1][0], table.title) == ("Vanilla", "Lower rows that are left out: 2.")
