"""Columns by name: values of evaluations beside the accuracy."""
import json

import pytest

from openmix.cli import main
from openmix.results.cells import make_cells
from openmix.results.columns import column_text, parse_columns
from openmix.results.records import read_records
from openmix.results.tables import make_part

from .fake_runs import write_run


def measured(folder, epoch=10, images=100, **values):
    """Write an evaluation ``cal`` into a run."""
    path = folder / "result.json"
    actual = json.loads(path.read_text())
    actual["evals"]["cal"] = dict(type="Calibration", main="ece", epoch=epoch,
                                 data=dict(name="CIFAR-100", images=images),
                                 networks=dict(net=dict(accuracy=[1.0, None], count=5, **values)))
    path.write_text(json.dumps(actual))


@pytest.fixture
def root(tmp_path):
    for seed, ece in enumerate((0.02, 0.04, None)):
        folder = write_run(tmp_path / "runs" / f"seed{seed}", seed=seed, top1=[50.0 + seed] * 10)
        if ece:
            measured(folder, ece=ece, nll=1.0)
    write_run(tmp_path / "runs" / "cut" / "seed0", "type='CutMix'", top1=[60.0] * 10)
    return tmp_path / "runs"


def zoo(*arguments):
    return main(["zoo", *map(str, arguments)])


def test_a_column_is_the_mean_over_the_runs_that_have_it(root):
    records = read_records(root)
    column, = parse_columns(["cal"], records)
    assert column == ("cal", "ece"), "a name alone is its main value"
    cells = {cell.method: cell for cell in make_cells(records)}
    assert column_text(cells["MixUp"], column) == "0.03 ± 0.014 (2/3)"
    assert column_text(cells["CutMix"], column) == "-"
    assert column_text(cells["MixUp"], *parse_columns(["val.top5"], records)) == "51 ± 1 (3)"


def test_means_are_over_runs_that_were_measured_on_the_same_images(tmp_path):
    for seed, (images, ece) in enumerate(((50, 0.5), (100, 0.02), (100, 0.04))):
        measured(write_run(tmp_path / f"seed{seed}", seed=seed, top1=[50.0] * 10), images=images, ece=ece)
    cell, = make_cells(read_records(tmp_path))
    assert column_text(cell, ("cal", "ece")) == "0.03 ± 0.014 (2/3)"
    measured(tmp_path / "seed2", images=70, ece=0.04)
    cell, = make_cells(read_records(tmp_path))
    assert column_text(cell, ("cal", "ece")) == "0.5 (1/3)", "of as many the first"


def test_tables_show_the_columns_that_are_asked_for_and_no_others(root, capsys):
    records = read_records(root)
    cells = make_cells(records)
    place = cells[0].dataset, cells[0].network
    plain, more = (make_part(cells, *place, columns=c).tables[0] for c in ((), parse_columns(["cal.nll"], records)))
    assert more.head == [*plain.head, "cal.nll, 10"]
    assert [row[:-1] for row in more.rows] == plain.rows
    assert zoo(root, "--columns", "cal.ece", "val.top5", "--format", "csv") == 0
    head, *rows = (line.split(",") for line in capsys.readouterr().out.splitlines())
    assert head[-4:] == ["cal.ece", "cal.ece std", "val.top5", "val.top5 std"]
    assert ["0.03", "0.0141", "51", "1"] in [row[-4:] for row in rows]


def test_values_of_earlier_weights_are_marked(root):
    measured(root / "seed0", epoch=4, ece=0.1)
    records = read_records(root)
    cells = make_cells(records)
    part = make_part(cells, cells[0].dataset, cells[0].network, columns=parse_columns(["cal.ece"], records))
    assert any("§ (2/3)" in str(row[-1]) for row in part.tables[0].rows) and any("§" in note for note in part.notes)


@pytest.mark.parametrize("name, message", [
    ("cla", "no run has an evaluation 'cla'; did you mean 'cal'"),
    ("cal.ecee", "evaluation 'cal' has no value 'ecee'; did you mean 'ece'"),
    ("cal.accuracy", "evaluation 'cal' has no value 'accuracy'"), ("", "no run has an evaluation ''")])
def test_a_column_that_no_run_has_is_refused(root, capsys, name, message):
    assert zoo(root, "--columns", name) == 2
    assert message in capsys.readouterr().err
