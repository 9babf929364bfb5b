"""Whether two samples of accuracies differ: paired t-test where the seeds are the same, Welch's otherwise (scipy).

A seed fixes the order, crops and flips of a run, so its effect on both sides drops out of paired differences. Welch's
test (Biometrika 34, 1947) needs no equal variances. One run a side can be compared but not tested.
"""
import statistics
from dataclasses import dataclass, replace

CONFIDENCE = 0.95
ROUNDING = 1e-9  # differences that spread less than this are equal: nothing to test


@dataclass(frozen=True)
class Outcome:
    """Difference B - A of two samples.

    Attributes:
        n: sizes of both samples. difference: of the means. low, high: bounds of the 95 % confidence interval.
        p: two-sided, of no difference. p_adjusted: after Benjamini and Hochberg, over the cells of a comparison.
        test: which one it was, or why there is none (``low``, ``high`` and ``p`` are None then).
    """

    n: tuple[int, int]
    difference: float | None
    test: str
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None


def two_samples(a: dict[int, float], b: dict[int, float]) -> Outcome:
    """Compare two samples {seed: value}: paired where the seeds are the same, Welch's t-test otherwise."""
    n = len(a), len(b)
    if a.keys() == b.keys() and len(a) > 1:
        differences = [b[seed] - a[seed] for seed in sorted(a)]
        return replace(one_sample(differences, f"paired t-test, {len(a)} seeds", ""), n=n)
    difference = statistics.mean(b.values()) - statistics.mean(a.values())
    if min(n) < 2:
        return Outcome(n, difference, f"n = {min(n)}: nothing can be tested")
    x, y = list(a.values()), list(b.values())
    if max(max(x) - min(x), max(y) - min(y)) < ROUNDING:
        return Outcome(n, difference, "no spread among seeds: nothing to test")
    test = scipy_stats().ttest_ind(y, x, equal_var=False)
    low, high = test.confidence_interval(CONFIDENCE)
    same = len(a.keys() & b.keys())
    why = f"only {same} seeds are the same" if same else "no seed is the same"
    return Outcome(n, difference, f"Welch's t-test ({why})", float(low), float(high), float(test.pvalue))


def one_sample(differences: list[float], name: str, too_few: str) -> Outcome:
    """Student's t-test that the mean of ``differences`` is 0."""
    n = len(differences), len(differences)
    if not differences:
        return Outcome(n, None, too_few)
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return Outcome(n, mean, too_few)
    if max(differences) - min(differences) < ROUNDING:
        return Outcome(n, mean, "all differences are the same: nothing to test")
    test = scipy_stats().ttest_1samp(differences, 0.0)
    low, high = test.confidence_interval(CONFIDENCE)
    return Outcome(n, mean, name, float(low), float(high), float(test.pvalue))


def adjusted(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes with p values adjusted for how many were tested (Benjamini and Hochberg, JRSS B 57, 1995)."""
    tested = [i for i, outcome in enumerate(outcomes) if outcome.p is not None]
    corrected = scipy_stats().false_discovery_control([outcomes[i].p for i in tested]) if tested else []
    outcomes = list(outcomes)
    for i, p in zip(tested, corrected, strict=True):
        outcomes[i] = replace(outcomes[i], p_adjusted=float(p))
    return outcomes


def scipy_stats():
    try:
        from scipy import stats
    except ImportError as error:
        raise ImportError('a comparison needs scipy: pip install scipy') from error
    return stats
