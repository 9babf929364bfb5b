"""The figure of a table: accuracies with error bars, and accuracy over cost."""
import re

import pytest

from openmix.cli import main
from openmix.report.figure import costs_of, draw, low_end, save_figure
from openmix.results.cells import make_cells
from openmix.results.records import read_records
from tests.results.made import last_ten, make_run, make_two_kinds

pytest.importorskip("matplotlib")
PART = "cifar100-wideresnet-28-8"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three methods, of which MixUp has two seeds and CutMix no finished run."""
    home = tmp_path_factory.mktemp("runs")
    make_run(home / "v" / "seed0", curve=last_ten(80.0), img_s=6000.0)
    for seed, top1 in enumerate((82.0, 83.0)):
        make_run(home / "m" / f"seed{seed}", "type='MixUp'", seed=seed, curve=last_ten(top1), img_s=4000.0)
    make_run(home / "c" / "seed0", "type='CutMix'", status="interrupted")
    return home


def texts(path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", path.read_text())


def test_methods_are_in_order_of_accuracy_with_their_seeds_and_others_are_named(runs, tmp_path):
    assert main(["zoo", str(runs), "--part", PART, "--figure", str(tmp_path / "a.svg")]) == 0
    shown = texts(tmp_path / "a.svg")
    rows = [text for text in shown if ", n = " in text]
    assert rows == ["1  MixUp, n = 2", "2  Vanilla, n = 1"]
    below = " ".join(shown[-4:])
    assert "No run yet: " in below and "PuzzleMix" in below and "; MixUp;" not in below


def test_costs_are_those_of_the_tables(runs):
    cells = [cell for cell in make_cells(read_records(runs)) if cell.mean is not None]
    assert costs_of(cells) == {"MixUp": 1.5, "Vanilla": 1.0}


def test_a_row_on_two_kinds_of_hardware_has_the_cost_of_the_one_where_most_rows_were_measured(tmp_path):
    make_two_kinds(tmp_path)
    make_run(tmp_path / "f" / "seed0", "type='FMix'", curve=last_ten(82.0), hardware="GPU C", img_s=800.0)
    assert costs_of(make_cells(read_records(tmp_path))) == {"MixUp": 2.0, "CutMix": 1.25, "Vanilla": 1.0}


@pytest.mark.parametrize("slowest", [1.02, 1.5, 3.0, 20.0])
def test_the_cost_axis_has_two_numbers_or_more(slowest, tmp_path):
    make_run(tmp_path / "v" / "seed0", curve=last_ten(80.0), img_s=6000.0)
    make_run(tmp_path / "m" / "seed0", "type='MixUp'", curve=last_ten(82.0), img_s=6000.0 / slowest)
    right = draw([cell for cell in make_cells(read_records(tmp_path)) if cell.mean is not None], []).axes[1]
    low, high = right.get_xlim()
    shown = [tick.get_text() for tick in right.get_xticklabels() if low <= tick.get_position()[0] <= high]
    assert len([text for text in shown if text]) >= 2 and low <= 1 <= slowest <= high


def test_a_method_that_did_not_learn_is_an_arrow_that_leaves_the_axis_to_the_others(runs, tmp_path):
    make_run(tmp_path / "f" / "seed0", "type='FMix'", curve=last_ten(3.4), img_s=5000.0)
    cells = [*make_cells(read_records(runs)), *make_cells(read_records(tmp_path))]
    figure = draw(sorted((c for c in cells if c.mean is not None), key=lambda c: -c.mean), [])
    left, right = figure.axes
    labels = [tick.get_text() for tick in left.get_yticklabels()]
    assert labels == ["1  MixUp, n = 2", "2  Vanilla, n = 1", "3  FMix, n = 1: 3.4 %"]
    assert 79 < left.get_xlim()[0] < 80 and 79 < right.get_ylim()[0] < 80


def test_numbers_of_points_that_are_close_do_not_cover_each_other(tmp_path):
    for method, top1, img_s in (("Vanilla", 80.0, 5000.0), ("MixUp", 81.0, 4000.0), ("CutMix", 81.01, 4010.0),
                                ("FMix", 76.0, 1000.0)):
        make_run(tmp_path / method / "seed0", f"type='{method}'", curve=last_ten(top1), img_s=img_s)
    figure = draw(sorted((c for c in make_cells(read_records(tmp_path))), key=lambda c: -c.mean), [])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[1].texts]
    assert [text.get_text() for text in figure.axes[1].texts] == ["1", "2", "3", "4"]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("means, arrows", [([80.0], 0), ([80.0, 80.0, 75.0], 0), ([82.0, 80.0, 75.0], 0),
                                           ([82.0, 80.0, 73.0], 1), ([25.0, 21.0, 3.0, 2.0], 0)])
def test_arrows_are_for_rows_far_below_the_median(means, arrows):
    least, edge = low_end(means)
    assert sum(mean < least for mean in means) == arrows and edge < min(mean for mean in means if mean >= least)


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
def test_the_same_cells_give_the_same_file(runs, tmp_path, suffix):
    cells = make_cells(read_records(runs))
    first, second = (save_figure(cells, tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
    assert first == second and len(first) > 2000


def test_what_cannot_be_drawn_is_refused_with_the_way_out(runs, tmp_path, capsys):
    cells = make_cells(read_records(runs))
    with pytest.raises(ValueError, match=r"one of \.png, \.pdf, \.svg, got 'a.gif'"):
        save_figure(cells, tmp_path / "a.gif")
    with pytest.raises(FileNotFoundError, match="make it first"):
        save_figure(cells, tmp_path / "no" / "a.svg")
    with pytest.raises(ValueError, match="no finished run to draw"):
        save_figure([], tmp_path / "a.svg")
    make_run(tmp_path / "runs" / "seed0", curve=last_ten(80.0, epochs=200), epochs=200)
    both = [*cells, *make_cells(read_records(tmp_path / "runs"))]
    with pytest.raises(ValueError, match="--part and --epochs"):
        save_figure(both, tmp_path / "a.svg")
    assert main(["zoo", str(runs), "--part", PART, "--part", "overview", "--figure", str(tmp_path / "a.svg")]) == 0
    assert main(["zoo", str(runs), "--part", "overview", "--figure", str(tmp_path / "b.svg")]) == 2
    assert "name it with --part" in capsys.readouterr().err
