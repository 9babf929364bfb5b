"""Every method against one: differences, tests over all of them, ranks; and tables for LaTeX."""
import statistics

import pytest
from scipy import stats

from openmix.cli.compare import main, make_parser
from openmix.results.baseline import baseline_part, ranks
from openmix.results.cells import make_cells
from openmix.results.records import gather
from openmix.results.render import Best, Table, booktabs, layout, render
from openmix.results.tables import make_part
from tests.results.fake_runs import write_run

VALUES = dict(Vanilla=(70.0, 71.0, 72.0), MixUp=(72.0, 72.8, 74.3), CutMix=(69.0, 72.0, 70.5))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    for depth, shift in ((20, 0.0), (32, 1.0)):
        for method, values in VALUES.items():
            for seed, value in enumerate(values):
                value += shift if method == "CutMix" else 0
                write_run(home / f"{depth}{method}" / f"seed{seed}", f"type={method!r}", seed, [1.0, *[value] * 10],
                          depth=depth)
    write_run(home / "20FMix" / "seed0", "type='FMix'", 0, [1.0, *[60.0] * 10])
    return home


def test_differences_and_p_values_are_those_of_paired_tests_adjusted_together(runs):
    table, mean_ranks = baseline_part(gather([runs]), "Vanilla", "here").tables
    rows = {(row[0], row[1]): row for row in table.rows}
    pairs = {(m, d): [v + (1.0 if (m, d) == ("CutMix", "32") else 0) for v in VALUES[m]]
             for d in ("20", "32") for m in ("MixUp", "CutMix")}
    p = {key: stats.ttest_rel(values, VALUES["Vanilla"]).pvalue for key, values in pairs.items()}
    expected = dict(zip(p, stats.false_discovery_control(list(p.values())), strict=True))
    for (method, depth), values in pairs.items():
        row = rows[method, f"CifarResNet-{depth}"]
        difference = statistics.mean(values) - 71.0
        assert row[6] == f"{difference:+.2f}{' *' if expected[method, depth] < 0.05 else ''}"
        assert row[8] == f"{expected[method, depth]:.4f}" and row[4] == "3"
    assert rows["Vanilla", "CifarResNet-20"][6:9] == ["-", "-", "-"]
    assert rows["FMix", "CifarResNet-20"][6:9] == ["-11.00", "-", "-"], "one seed is compared, not tested"
    assert dict(mean_ranks.rows) == {"MixUp": "1.00", "Vanilla": "2.50", "CutMix": "2.50"}


def test_there_is_no_mean_rank_where_the_groups_share_the_baseline_alone(tmp_path):
    for depth, method in ((20, "MixUp"), (32, "CutMix")):
        for name in ("Vanilla", method):
            write_run(tmp_path / f"{depth}{name}" / "seed0", f"type={name!r}", 0, [1.0, *[60.0] * 10], depth=depth)
    table, = baseline_part(gather([tmp_path]), "Vanilla", "here").tables
    assert sorted(row[0] for row in table.rows) == ["CutMix", "MixUp", "Vanilla", "Vanilla"]


def test_equal_means_share_their_rank(runs):
    group = [c for c in make_cells(gather([runs])) if c.network == "CifarResNet-20"]
    assert ranks(group) == dict(MixUp=1, Vanilla=2, CutMix=3, FMix=4)
    next(c for c in group if c.row == "CutMix").values[:] = VALUES["Vanilla"]
    assert ranks(group) == dict(MixUp=1, Vanilla=2.5, CutMix=2.5, FMix=4)


def test_the_command_takes_a_baseline_or_a_second_set(runs, capsys):
    assert main(make_parser("compare").parse_args([str(runs), "--baseline", "Vanilla", "--format", "latex"])) == 0
    text = capsys.readouterr().out
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2 and r"\textbf{73.03 $\pm$ 1.17}" in text
    for words in ([str(runs)], [str(runs), str(runs), "--baseline", "Vanilla"]):
        with pytest.raises(ValueError, match="--baseline METHOD"):
            main(make_parser("compare").parse_args(words))
    with pytest.raises(ValueError, match="no method 'Vanila' .* did you mean 'Vanilla'"):
        baseline_part(gather([runs]), "Vanila", "here")


def test_a_tabular_has_the_rules_of_booktabs_and_the_best_in_bold():
    table = Table(["a_b", "x"], [["r", Best("1 %")], ["s", "0"]])
    assert layout(table, "latex") == "\n".join([
        r"\begin{tabular}{lr}", r"\toprule", r"a\_b & x \\", r"\midrule", r"r & \textbf{1 \%} \\", r"s & 0 \\",
        r"\bottomrule", r"\end{tabular}"])
    assert booktabs(["a"], []).splitlines()[0] == r"\begin{tabular}{l}"
    assert "**" not in layout(table, "markdown") and layout(table, "csv") == "a_b,x\nr,1 %\ns,0\n"


def test_a_table_of_chosen_epochs_has_no_other_column(tmp_path):
    for epochs in (11, 12):
        write_run(tmp_path / f"e{epochs}" / "seed0", "type='MixUp'", 0, [50.0 + epochs] * epochs)
    cells = make_cells(gather([tmp_path]))
    place = cells[0].dataset, cells[0].network
    assert make_part(cells, *place).tables[0].head == ["method", "11 epochs", "12 epochs"]
    part = make_part(cells, *place, only=(12,))
    assert part.tables[0].head == ["method", "12 epochs"] and "61.00" not in render(part, "html")
