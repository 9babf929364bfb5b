"""The numbers of a report's charts, against records whose curves are known."""
import json
from pathlib import Path

import pytest

from openmix.report.curves import make_curve, read_run, thinned
from openmix.results.cells import make_cells
from openmix.results.records import read_records
from tests.results.fake_runs import write_run


def curve_of(home, metric="accuracy"):
    records = read_records(home)
    cell, = make_cells(records)
    return make_curve(cell, {r.folder: read_run(r) for r in records}, metric)


def test_mean_and_range_over_seeds_at_each_epoch(tmp_path):
    for seed, top1 in enumerate(([10.0, 20.0, 30.0], [11.0, 26.0, 30.0], [15.0, 20.0, 33.0])):
        write_run(tmp_path / f"seed{seed}", seed=seed, top1=top1)
    actual = curve_of(tmp_path)
    assert (actual.x, actual.mean, actual.low, actual.high) == (
        [1, 2, 3], [12.0, 22.0, 31.0], [10.0, 20.0, 30.0], [15.0, 26.0, 33.0])
    assert actual.n == 3 and actual.label == "MixUp (n = 3)" and actual.singles == actual.missing == []


def test_one_seed_is_a_line_without_width(tmp_path):
    write_run(tmp_path / "seed0", top1=[10.0, 20.0])
    actual = curve_of(tmp_path)
    assert actual.low == actual.mean == actual.high == [10.0, 20.0] and actual.label == "MixUp (n = 1)"


def test_runs_that_did_not_finish_are_lines_of_their_own_and_in_no_mean(tmp_path):
    write_run(tmp_path / "seed0", seed=0, top1=[10.0, 20.0, 30.0], losses=[3.0, 2.0, 1.0])
    write_run(tmp_path / "seed1", seed=1, top1=[90.0, 1.0], losses=[5.0, 9.0], epochs=3, status="diverged")
    write_run(tmp_path / "seed2", seed=2, top1=[80.0], losses=[4.0], epochs=3, status="interrupted")
    write_run(tmp_path / "seed3", seed=3, epochs=3, status="interrupted")
    accuracy, loss = curve_of(tmp_path), curve_of(tmp_path, "loss")
    assert accuracy.mean == [10.0, 20.0, 30.0] and loss.mean == [3.0, 2.0, 1.0]
    assert accuracy.label == "MixUp (n = 1 of 4)"
    assert [(r.seed, r.state, x, y) for r, x, y in accuracy.singles] == [
        (1, "diverged", [1, 2], [90.0, 1.0]), (2, "interrupted", [1], [80.0])]
    assert [(x, y) for _, x, y in loss.singles] == [([1, 2], [5.0, 9.0]), ([1], [4.0])]
    assert [r.seed for r in accuracy.missing] == [r.seed for r in loss.missing] == [3]


def test_a_mean_stands_only_where_every_seed_was_evaluated(tmp_path):
    """Otherwise it would jump by the difference of the seeds."""
    write_run(tmp_path / "seed0", seed=0, top1=[10.0, 20.0, 30.0, 40.0])
    write_run(tmp_path / "seed1", seed=1, top1=[None, 30.0, None, 50.0])
    assert (curve_of(tmp_path).x, curve_of(tmp_path).mean) == ([2, 4], [25.0, 45.0])


def test_seeds_evaluated_at_different_epochs_are_lines_of_their_own(tmp_path):
    write_run(tmp_path / "seed0", seed=0, top1=[10.0, None, 30.0, None])
    write_run(tmp_path / "seed1", seed=1, top1=[None, 30.0, None, 50.0])
    actual = curve_of(tmp_path)
    assert actual.x == [] and actual.label == "MixUp (n = 0 of 2)"
    assert [(x, y) for _, x, y in actual.singles] == [([1, 3], [10.0, 30.0]), ([2, 4], [30.0, 50.0])]


def test_losses_are_averaged_within_an_epoch(tmp_path):
    """Logged every 200 of 500 steps and at the end of an epoch, as a run logs them."""
    run = write_run(tmp_path / "seed0", top1=[10.0, 20.0])
    losses = {200: 6.0, 400: 4.0, 500: 2.0, 600: 3.0, 800: 1.0, 1000: 2.0}
    lines = [json.dumps(dict(loss=v, epoch=1 + (step - 1) // 500, step=step)) for step, v in losses.items()]
    (run / "part" / "vis_data" / "scalars.json").write_text("\n".join(lines) + "\n")
    actual = curve_of(tmp_path, "loss")
    assert (actual.x, actual.mean) == ([1, 2], [4.0, 2.0])


def test_torn_lines_and_losses_that_are_not_finite_are_left_out_and_reported(tmp_path):
    run = write_run(tmp_path / "seed0", top1=[10.0, 20.0], losses=[2.0, float("nan")])
    with open(run / "part" / "vis_data" / "scalars.json", "a") as file:
        file.write('{"loss": 3.0, "ep')
    record, = read_records(tmp_path)
    actual = read_run(record)
    assert actual.loss == {1: 2.0} and actual.accuracy == {1: 10.0, 2: 20.0}
    assert len(actual.problems) == 1 and "1 torn lines" in actual.problems[0]


def test_a_run_without_a_log_has_no_loss(tmp_path):
    run = write_run(tmp_path / "seed0", top1=[10.0])
    (Path(run) / "part" / "vis_data" / "scalars.json").unlink()
    actual = curve_of(tmp_path, "loss")
    assert actual.x == [] and [r.seed for r in actual.missing] == [0]


@pytest.mark.parametrize("n", [0, 1, 299, 300, 301, 1200, 1201])
def test_long_curves_keep_their_last_epoch_and_a_bounded_number_of_others(n):
    actual = thinned(list(range(1, n + 1)))
    assert len(actual) <= 300 and actual == sorted(actual) and (not n or actual[-1] == n)
    assert len(actual) == n if n <= 300 else len(actual) > 100
