"""One table of a network on several data sets."""
import json
import runpy

import pytest

from openmix import apis
from openmix.engine.config.load import load_config
from openmix.engine.description import description
from openmix.results import published
from openmix.results.across import across
from openmix.results.cells import make_cells
from openmix.results.records import read_records
from openmix.results.render import Best
from openmix.results.tables import any_part, cell_text, known_parts
from tests.results.made import last_ten, make_run


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Two methods on CIFAR-100 and one of them on another set."""
    home = tmp_path_factory.mktemp("runs")
    for i, (mixup, top1, dataset) in enumerate([("Vanilla", 80.0, "CIFAR-100"), ("MixUp", 82.0, "CIFAR-100"),
                                                ("Vanilla", 60.0, "pets")]):
        path = make_run(home / f"run{i}", f"type={mixup!r}", curve=last_ten(top1)) / "result.json"
        result = json.loads(path.read_text())
        result["data"]["name"] = dataset
        path.write_text(json.dumps(result))
    return make_cells(read_records(home))


def test_rows_are_methods_and_columns_data_sets_with_the_text_of_their_cells(cells):
    part = any_part("across-wideresnet-28-8", [], cells)
    table, = part.tables
    assert table.head == ["method", "CIFAR-100", "pets"]
    texts = {(c.row, c.dataset): cell_text(c, []) for c in cells}
    assert table.rows == [["Vanilla", texts["Vanilla", "CIFAR-100"], texts["Vanilla", "pets"]],
                          ["MixUp", texts["MixUp", "CIFAR-100"], "no run yet"]]
    assert [[isinstance(text, Best) for text in row[1:]] for row in table.rows] == [[False, True], [True, False]]


def test_networks_of_one_data_set_have_no_such_table_and_published_ones_keep_theirs_without_runs(cells):
    assert across([("a", "N 1"), ("b", "N 1"), ("a", "M")]) == {"across-n-1": "N 1"}
    assert "across-mlp" in known_parts([]) and any_part("across-mlp", [], []).tables == []


def test_the_small_benchmark_has_a_row_for_every_method_of_its_grid():
    grid = runpy.run_path(str(apis.config_root() / "grids" / "small.py"))
    rows = []
    for method in grid["mixups"]:
        small, large = (load_config(apis.config_root() / name) for name in (
            f"small/r20_{method}.py", f"cifar100/r18_{method}.py"))
        assert {**small.model.mixup, "layer": 0} == {**large.model.mixup, "layer": 0}, "options are those of the tables"
        assert small.model.get("loss") is None, "the loss is that of all methods"
        rows.append(description(small.to_dict()["model"], "CIFAR-100 (20 a class)"))
    place = "CIFAR-100 (20 a class)", rows[0]["network"]
    assert [row["method"] for row in rows] == published.methods(*place)
    assert published.reduction(*place) == "last" and published.epochs(*place) == [grid["epochs"]]
