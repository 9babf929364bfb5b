"""Records to the cells of tables: the runs that are repetitions of each other, and their mean.

A cell is the mean and the sample standard deviation, over seeds, of each run's accuracy: the median of exactly the last
10 epochs of its primary network, or where its table asks for it that of the last one. Runs are repetitions if they
differ in nothing but the seed: equal config, precision, number of processes, data and major version of torch. Others
have rows of their own.
"""
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ..moved import renamed
from . import published
from .records import Record
from .repetitions import variants

REDUCTIONS = dict(median="median of the last 10 epochs", last="last epoch")  # kinds of cells, in words


@dataclass
class Cell:
    """The runs of a method with a network on a data set for so many epochs.

    Attributes:
        row: label of the row: the method's, and what sets these runs apart from others of that label.
        records: all runs, sorted by seed; repeated: finished runs of a seed that another one counts for already.
        counted: the finished run of each seed.
        reduction: ``median`` or ``last``, what the values should be.
        kind: ``median`` (of the last 10 epochs), ``last`` (by ``reduction``, or as there are fewer than 10 evaluated
            epochs), or None.
        values: accuracies in percent that the mean is over, one a seed.
    """

    row: str
    method: str
    network: str
    dataset: str
    epochs: int
    records: list[Record]
    reduction: str = "median"
    counted: list[Record] = field(default_factory=list)
    repeated: list[Record] = field(default_factory=list)
    kind: str | None = None
    values: list[float] = field(default_factory=list)

    def __post_init__(self):
        self.records = sorted(self.records, key=lambda r: (-1 if r.seed is None else r.seed, r.folder))
        seen = set()
        done = [r for r in self.records if r.state == "done"]
        for record in sorted(done, key=lambda r: (r.seed, r.accuracy() is None, r.accuracy("last") is None, r.folder)):
            (self.repeated if record.seed in seen else self.counted).append(record)
            seen.add(record.seed)
        medians, lasts = ([value for r in self.counted if (value := r.accuracy(kind)) is not None]
                          for kind in ("median", "last"))
        medians = medians if self.reduction == "median" else []
        self.kind = "median" if medians else "last" if lasts else None
        self.values = medians or lasts

    @property
    def mean(self) -> float | None:
        return statistics.mean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation; None for fewer than two seeds."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def seeds(self) -> int:
        """Seeds that were started."""
        return len({r.seed for r in self.records})

    @property
    def others(self) -> Counter:
        """How many runs do not count, by state; finished ones lack the median (or, in a cell without, the accuracy)."""
        states = Counter(r.state for r in self.records if r.state != "done")
        states["without median" if self.kind == "median" else "not evaluated"] = len(self.counted) - len(self.values)
        return +states

    @property
    def not_counted(self) -> list[str]:
        """:attr:`others` and repeated runs in words: ``1 diverged``, ``2 repeated``."""
        counts = sorted(self.others.items()) + ([("repeated", len(self.repeated))] if self.repeated else [])
        return [f"{count} {state}" for state, count in counts]

    @property
    def held_out(self) -> bool:
        """Whether accuracies were measured on images held out of training, not on the test set."""
        return any(r.result["split"] != "test" for r in self.counted)


def make_cells(records: list[Record], reduction: str | None = None) -> list[Cell]:
    """All cells, sorted by data set, network, row and epochs. Runs without a readable config have no cell.

    Args:
        reduction: ``median`` or ``last``; by default that of each table, see :func:`published.reduction`.
    """
    placed = [r for r in records if has_table(r)]
    by_label = defaultdict(list)
    for record in placed:
        by_label[record.dataset, record.network, record.method].append(record)
    cells = []
    for (dataset, network, method), labelled in sorted(by_label.items()):
        for row, runs in variants(method, labelled).items():
            by_epochs = defaultdict(list)
            for record in runs:
                by_epochs[record.epochs].append(record)
            chosen = reduction or published.reduction(dataset, network)
            cells += [Cell(row, method, network, dataset, n, by_epochs[n], chosen) for n in sorted(by_epochs)]
    return sorted(cells, key=lambda c: (c.dataset, c.network, c.row, c.epochs))


def has_table(record: Record) -> bool:
    """Whether the files of a run name its cell: method, network, data set and epochs."""
    return "?" not in (record.method, record.network, record.dataset) and record.epochs is not None


__getattr__ = renamed(__name__, is_placed="has_table", recipe="results.repetitions.recipe",
                      setting="results.repetitions.setting")
