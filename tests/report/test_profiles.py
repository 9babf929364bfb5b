"""Evaluations that are lists become curves over their own axis, of finished runs alone."""
import json

from openmix.report import write_report
from openmix.report.page import gather
from openmix.report.profiles import profiles
from openmix.results.cells import make_cells
from tests.results.fake_runs import write_run


def add(folder, **evals):
    """Evaluations in the result of a run: name=(type, values)."""
    path = folder / "result.json"
    result = json.loads(path.read_text())
    result["evals"] = {name: dict(type=kind, main="x", data={}, epoch=1, networks=dict(net=values))
                       for name, (kind, values) in evals.items()}
    path.write_text(json.dumps(result))


def test_the_mean_and_range_of_each_list_are_over_the_axis_of_its_evaluation(tmp_path):
    for seed, half in enumerate((10.0, 14.0)):
        add(write_run(tmp_path / "a" / f"seed{seed}", seed=seed, top1=[50.0]),
            between=("InBetween", dict(miss=[0.0, half, 0.0], norm=[1.0, 2.0, 1.0], lam=[0.0, 0.5, 1.0], half=half)),
            top=("Accuracy", dict(top1=50.0)), family=("Corruptions", dict(snow=[1.0, 2.0])))
    curves = profiles(make_cells(gather([tmp_path])))
    assert list(curves) == [("between: miss", "lam"), ("between: norm", "lam")]
    (curve,) = curves["between: miss", "lam"]
    assert (curve.x, curve.mean, curve.n) == ([0, 0.5, 1], [0, 12, 0], 2)
    assert (curve.low, curve.high) == ([0, 10, 0], [0, 14, 0])
    text = write_report(tmp_path, tmp_path / "report.html").read_text()
    assert text.count('"axis_label": "lam"') == 2 and '"axis_label": "between: norm"' in text, "no log, so no loss"
    assert '"axis_label": "time of the training steps' in text, "each chart has a place of its own"


def test_an_evaluation_without_a_type_is_no_curve_and_no_error(tmp_path):
    folder = write_run(tmp_path / "a" / "seed0", seed=0, top1=[50.0])
    add(folder, between=("InBetween", dict(miss=[0.0, 1.0], lam=[0.0, 1.0])))
    path = folder / "result.json"
    result = json.loads(path.read_text())
    del result["evals"]["between"]["type"]
    path.write_text(json.dumps(result))
    assert profiles(make_cells(gather([tmp_path]))) == {}


def test_seeds_at_other_points_and_values_that_are_not_finite_are_in_no_mean(tmp_path):
    points = [dict(top1=[9.0, 1.0], share=[0.0, 0.5]), dict(top1=[9.0, 3.0], share=[0.0, 0.7]),
              dict(top1=[9.0, None], share=[0.0, 0.5])]
    for seed, values in enumerate(points):
        add(write_run(tmp_path / "a" / f"seed{seed}", seed=seed, top1=[50.0]), hidden=("Occlusion", values))
    (curve,) = profiles(make_cells(gather([tmp_path])))["hidden: top1", "share"]
    assert (curve.x, curve.mean, curve.n) == ([0, 0.5], [9, 1], 1)
