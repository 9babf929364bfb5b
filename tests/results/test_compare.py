"""Two sets of runs: which cells are compared, by which test, and what is said where nothing can be."""
import itertools
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import stats

from openmix.results.compare import as_part, compare, gather
from openmix.results.render import render
from tests.results.fake_runs import write_run

ROOT = Path(__file__).resolve().parents[2]


def flat(value, epochs=12):
    """A run whose last ten epochs have this median."""
    return [1.0] * (epochs - 10) + [value] * 10


def write(home, method, values, **options):
    """{seed: value} as runs of one cell; returns the folder above them."""
    for seed, value in values.items():
        write_run(home / f"seed{seed}", f"type={method!r}", seed, flat(value), **options)
    return home


def compared(a, b):
    return compare(gather(str(a)), gather(str(b)))


def only_outcome(a, b):
    pair, = compared(a, b).pairs
    return pair.outcome


# -- the test ------------------------------------------------------------------------------------------------------


def test_equal_seeds_are_paired(tmp_path):
    """t of the differences by the textbook's formula, and the p value of SciPy's paired test."""
    x, y = {0: 70.0, 1: 71.5, 2: 69.2}, {0: 70.9, 1: 72.0, 2: 70.3}
    actual = only_outcome(write(tmp_path / "a", "MixUp", x), write(tmp_path / "b", "MixUp", y))
    d = [y[s] - x[s] for s in x]
    mean, error = statistics.mean(d), statistics.stdev(d) / math.sqrt(3)
    quantile = 4.302652729911275  # of Student's t with 2 degrees of freedom at 97.5 %
    assert actual.test == "paired t-test, 3 seeds" and actual.n == (3, 3)
    assert actual.difference == pytest.approx(mean)
    assert (actual.low, actual.high) == pytest.approx((mean - quantile * error, mean + quantile * error))
    assert actual.p == pytest.approx(stats.ttest_rel([y[s] for s in x], list(x.values())).pvalue)


def test_other_seeds_are_not_paired_and_variances_need_not_agree(tmp_path):
    """Welch's statistic and degrees of freedom, written out."""
    x, y = {0: 70.0, 1: 71.5, 2: 69.2}, {3: 72.0, 4: 72.1, 5: 72.3, 6: 71.9}
    actual = only_outcome(write(tmp_path / "a", "MixUp", x), write(tmp_path / "b", "MixUp", y))
    vx, vy = (statistics.variance(v.values()) / len(v) for v in (x, y))
    difference = statistics.mean(y.values()) - statistics.mean(x.values())
    df = (vx + vy) ** 2 / (vx**2 / 2 + vy**2 / 3)
    assert actual.test == "Welch's t-test (no seed is the same)" and actual.n == (3, 4)
    assert actual.difference == pytest.approx(difference)
    assert actual.p == pytest.approx(2 * stats.t.sf(abs(difference) / math.sqrt(vx + vy), df))
    half = stats.t.ppf(0.975, df) * math.sqrt(vx + vy)
    assert (actual.low, actual.high) == pytest.approx((difference - half, difference + half))


def test_seeds_that_match_in_part_are_not_paired_and_all_runs_count(tmp_path):
    actual = only_outcome(write(tmp_path / "a", "MixUp", {0: 70.0, 1: 71.0, 2: 72.0}),
                         write(tmp_path / "b", "MixUp", {1: 71.0, 2: 72.0, 3: 76.0}))
    assert actual.test == "Welch's t-test (only 2 seeds are the same)" and actual.difference == pytest.approx(2.0)


@pytest.mark.parametrize("seeds_a, seeds_b", [((0,), (0,)), ((0,), (1,)), ((0,), (0, 1, 2)), ((0, 1), (5,))])
def test_one_run_a_side_is_compared_and_not_tested(tmp_path, seeds_a, seeds_b):
    actual = only_outcome(write(tmp_path / "a", "MixUp", {s: 70.0 + s for s in seeds_a}),
                         write(tmp_path / "b", "MixUp", {s: 72.0 + s for s in seeds_b}))
    assert actual.test == "n = 1: nothing can be tested" and actual.difference is not None
    assert (actual.p, actual.low, actual.high) == (None, None, None)


def test_equal_differences_are_not_a_proof(tmp_path):
    """0.1 is no binary fraction: rounding must not pass for a tiny spread and p for 0."""
    actual = only_outcome(write(tmp_path / "a", "MixUp", {0: 70.1, 1: 71.3, 2: 69.7}),
                         write(tmp_path / "b", "MixUp", {0: 70.2, 1: 71.4, 2: 69.8}))
    assert actual.p is None and "nothing to test" in actual.test and actual.difference == pytest.approx(0.1)


def test_the_test_finds_a_difference_as_often_as_it_should(tmp_path):
    """Without one, p < 0.2 in about a fifth of many comparisons; with a large one nearly always."""
    import random

    from openmix.results.significance import two_samples

    def share(shift):
        rng, hits = random.Random(0), 0
        for i in range(400):
            a = {s: rng.gauss(70, 1) for s in range(4)}
            b = {s + 4 * (i % 2): rng.gauss(70 + shift, 1) for s in range(4)}  # paired and Welch in turn
            hits += two_samples(a, b).p < 0.2
        return hits / 400
    assert 0.14 < share(0) < 0.26 and share(4) > 0.95


def test_p_values_are_adjusted_for_how_many_there_are(tmp_path):
    """Benjamini and Hochberg by definition: the least p * m / rank among those of the same or a higher rank."""
    for k, (method, shift) in enumerate(zip(("MixUp", "CutMix", "FMix"), (0.1, 0.8, 3.0), strict=True)):
        noise = [0.0, 0.3 + 0.1 * k, -0.2]
        write(tmp_path / "a" / method, method, {s: 70.0 + s for s in range(3)})
        write(tmp_path / "b" / method, method, {s: 70.0 + s + shift + noise[s] for s in range(3)})
    outcomes = [pair.outcome for pair in compared(tmp_path / "a", tmp_path / "b").pairs]
    ranked = sorted(outcomes, key=lambda o: o.p)
    for i, outcome in enumerate(ranked):
        expected = min(min(1.0, o.p * 3 / rank) for rank, o in enumerate(ranked, 1) if rank > i)
        assert outcome.p_adjusted == pytest.approx(expected)
    assert ranked[0].p_adjusted > ranked[0].p


# -- which cells ---------------------------------------------------------------------------------------------------


def test_cells_are_matched_and_the_mean_over_them_is_tested(tmp_path):
    shifts = dict(MixUp=1.0, CutMix=0.4, FMix=0.7)
    for method, shift in shifts.items():
        write(tmp_path / "a" / method, method, {s: 70.0 + s for s in range(3)})
        write(tmp_path / "b" / method, method, {s: 70.0 + shift + s * 1.1 for s in range(3)})
    write(tmp_path / "a" / "alone", "GridMix", {0: 60.0})
    actual = compared(tmp_path / "a", tmp_path / "b")
    assert [pair.label for pair in actual.pairs] == ["CutMix", "FMix", "MixUp"]
    d = [shifts[m] + 0.1 for m in ("CutMix", "FMix", "MixUp")]
    assert actual.overall.difference == pytest.approx(statistics.mean(d)) and actual.overall.n == (3, 3)
    assert actual.overall.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    assert [c.row for c in actual.only_a] == ["GridMix"] and actual.only_b == []


def test_two_methods_are_compared_where_no_method_is_in_both_sets(tmp_path):
    a, b = write(tmp_path / "a", "MixUp", {0: 70.0, 1: 71.0}), write(tmp_path / "b", "CutMix", {0: 72.0, 1: 74.0})
    pair, = compared(a, b).pairs
    assert pair.label == "MixUp -> CutMix" and pair.outcome.difference == pytest.approx(2.5)


def test_left_over_methods_are_not_compared_with_each_other(tmp_path):
    for side, other in (("a", "MixUp"), ("b", "CutMix")):
        write(tmp_path / side / "x", "FMix", {0: 70.0})
        write(tmp_path / side / "y", other, {0: 70.0})
    actual = compared(tmp_path / "a", tmp_path / "b")
    assert [p.label for p in actual.pairs] == ["FMix"]
    assert [c.row for c in actual.only_a + actual.only_b] == ["MixUp", "CutMix"]


def test_other_networks_and_lengths_are_other_cells(tmp_path):
    write(tmp_path / "a", "MixUp", {0: 70.0})
    with pytest.raises(ValueError, match="no cell in common; A: MixUp / CifarResNet-20 .* 12 epochs; B: .*-32"):
        compared(tmp_path / "a", write(tmp_path / "b", "MixUp", {0: 70.0}, depth=32))
    with pytest.raises(ValueError, match="no cell in common"):
        compared(tmp_path / "a", write(tmp_path / "c", "MixUp", {0: 70.0}, epochs=20))


def test_a_run_in_both_sets_is_an_error(tmp_path):
    write(tmp_path / "a", "MixUp", {0: 70.0, 1: 71.0})
    with pytest.raises(ValueError, match="1 runs are in both sets, such as .*seed1"):
        compared(tmp_path / "a", tmp_path / "a" / "seed1")


def test_a_pattern_finds_the_runs_below_folders(tmp_path):
    write(tmp_path / "r18_mixup", "MixUp", {0: 70.0, 1: 71.0})
    write(tmp_path / "r18_mix_other", "MixUp", {2: 70.0})
    write(tmp_path / "r20_mixup", "MixUp", {3: 70.0})
    assert sorted(r.seed for r in gather(str(tmp_path / "r18_*"))) == [0, 1, 2]
    assert sorted(r.seed for r in gather(str(tmp_path / "r18_mixup" / "seed[1-9]"))) == [1]
    with pytest.raises(FileNotFoundError, match="no run in .*r19"):
        gather(str(tmp_path / "r19_*"))


# -- what is not compared ------------------------------------------------------------------------------------------


def test_runs_that_did_not_finish_are_named_and_do_not_count(tmp_path):
    write(tmp_path / "a", "MixUp", {0: 70.0, 1: 71.0})
    write(tmp_path / "b", "MixUp", {0: 72.0, 1: 72.5})
    write_run(tmp_path / "b" / "seed2", seed=2, top1=[1.0] * 12, status="diverged")
    write_run(tmp_path / "b" / "seed3", seed=3, top1=[1.0] * 4, epochs=12, status="interrupted")
    actual = compared(tmp_path / "a", tmp_path / "b")
    assert actual.pairs[0].outcome.n == (2, 2) and actual.pairs[0].outcome.difference == pytest.approx(1.75)
    text = render(as_part(actual, "a", "b"), "markdown")
    assert "not counted are 1 diverged, 1 interrupted" in text


def test_a_side_without_a_finished_run_has_no_difference(tmp_path):
    write(tmp_path / "a", "MixUp", {0: 70.0, 1: 71.0})
    write(tmp_path / "b", "MixUp", {0: 70.0}, status="diverged")
    actual = only_outcome(tmp_path / "a", tmp_path / "b")
    assert actual.difference is None and actual.test == "no finished run in B"


def test_a_median_is_not_compared_with_a_last_epoch(tmp_path):
    write(tmp_path / "a", "MixUp", {0: 70.0})
    run = write(tmp_path / "b", "MixUp", {0: 70.0}) / "seed0" / "result.json"
    actual = json.loads(run.read_text())
    net = actual["networks"]["net"]
    net["top1"][-2] = net["median_last10"] = None  # an epoch that was not evaluated
    run.write_text(json.dumps(actual))
    actual = only_outcome(tmp_path / "a", tmp_path / "b")
    assert actual.difference is None
    assert actual.test == "not compared: A is the median of the last 10 epochs, B the last epoch"


def test_costs_are_compared_on_the_same_hardware_only(tmp_path):
    a = write(tmp_path / "a", "MixUp", {0: 70.0, 1: 71.0}, img_s=1000.0, memory=400.0)
    same = write(tmp_path / "b", "MixUp", {0: 70.0, 1: 71.0}, img_s=1500.0, memory=300.0)
    pair, = compared(a, same).pairs
    assert (pair.speed, pair.memory) == pytest.approx((1.5, 0.75)) and "GPU A" in pair.cost
    pair, = compared(a, write(tmp_path / "c", "MixUp", {0: 70.0}, hardware="GPU B")).pairs
    assert (pair.speed, pair.memory) == (None, None)
    assert pair.cost == ("not compared: A on 1 x GPU A, bfloat16, batch 100, B on 1 x GPU B, bfloat16, batch 100")
    write_run(same / "seed2", seed=2, top1=flat(70.0), hardware="GPU B")
    pair, = compared(a, same).pairs
    assert pair.speed is None and "GPU A, bfloat16, batch 100 and 1 x GPU B" in pair.cost


# -- the command ---------------------------------------------------------------------------------------------------


def tool(*arguments):
    return subprocess.run([sys.executable, str(ROOT / "tools" / "compare.py"), *map(str, arguments)],
                          capture_output=True, text=True, timeout=120)


def test_the_command_prints_the_table_the_same_each_time(tmp_path):
    a = write(tmp_path / "a", "MixUp", {0: 70.0, 1: 71.5, 2: 69.2})
    b = write(tmp_path / "b", "MixUp", {0: 70.9, 1: 72.0, 2: 70.3})
    done = [tool(a, b) for _ in range(2)]
    assert done[0].returncode == 0, done[0].stderr
    assert done[0].stdout == done[1].stdout
    for part in ("70.23", "71.07", "+0.83", "paired t-test, 3 seeds", "median of the last 10 epochs"):
        assert part in done[0].stdout
    csv = tool(a, b, "--format", "csv", "--out", tmp_path / "c.csv")
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert csv.stdout == "" and len(lines) == 2 and lines[0].startswith("cell,network,")


@pytest.mark.parametrize("sides", list(itertools.product(("A", "nothing"), repeat=2)))
def test_wrong_input_ends_with_2_and_one_line(tmp_path, sides):
    write(tmp_path / "A", "MixUp", {0: 70.0})
    done = tool(*(tmp_path / side for side in sides))
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
