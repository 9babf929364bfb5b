"""Records to the cells of tables: which runs are repetitions of each other, and their mean.

A cell is the mean and the sample standard deviation, over seeds, of each run's accuracy: the median of exactly the last
10 epochs of its primary network, or where its table asks for it that of the last one. Runs are repetitions if they
differ in nothing but the seed: equal config, precision, number of processes, data and major version of torch. Others
have rows of their own.
"""
import hashlib
import json
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ..moved import renamed
from ..workdir.description import plain
from ..workdir.identity import canonical
from ..workdir.json_files import fits
from . import published
from .records import Record

SETTING = ("processes", "precision", "torch", "data")
REDUCTIONS = dict(median="median of the last 10 epochs", last="last epoch")  # kinds of cells, in words
MANY = 3  # differing keys that a row label spells out; beyond, it names the config by a hash


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
        for row, runs in _variants(method, labelled).items():
            by_epochs = defaultdict(list)
            for record in runs:
                by_epochs[record.epochs].append(record)
            chosen = reduction or published.reduction(dataset, network)
            cells += [Cell(row, method, network, dataset, n, by_epochs[n], chosen) for n in sorted(by_epochs)]
    return sorted(cells, key=lambda c: (c.dataset, c.network, c.row, c.epochs))


def has_table(record: Record) -> bool:
    """Whether the files of a run name its cell: method, network, data set and epochs."""
    return "?" not in (record.method, record.network, record.dataset) and record.epochs is not None


# -- which runs are repetitions ------------------------------------------------------------------------------------


def recipe(record: Record) -> dict:
    """The leaves of a run's config that make it another experiment: not the seed, and not the number of epochs."""
    return recipe_of(record.config)


def recipe_of(config: dict) -> dict:
    """:func:`recipe` of plain data."""
    leaves = _leaves(canonical(config))
    return {k: v for k, v in leaves.items() if k not in ("randomness.seed", "train_cfg.max_epochs")}


def _leaves(value, key: str = "") -> dict:
    """{dotted key: value}; a list without dicts in it is one value."""
    if isinstance(value, dict) and value:
        items = [(f"{key}.{k}" if key else k, v) for k, v in value.items()]
    elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
        items = [(f"{key}[{i}]", v) for i, v in enumerate(value)]
    else:
        return {key: value}
    return {name: leaf for inner, item in items for name, leaf in _leaves(item, inner).items()}


def setting(record: Record) -> tuple:
    """Processes, precision, major version of torch, data; None where no file has it yet."""
    return record.processes, record.precision or None, record.torch.split(".")[0] or None, _data(record)


def _data(record: Record) -> str | None:
    """The first digits of the data's checksum; of a split that each seed draws anew, of what all the splits share."""
    data = (record.result or {}).get("data", {})
    checksum, selection = data.get("sha256"), data.get("selection")
    if isinstance(selection, dict) and fits(record.seed, int) and selection.get("repetition") == record.seed:
        shared = [data.get("name"), data.get("size"), {k: v for k, v in selection.items() if k != "repetition"}]
        checksum = hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()
    return checksum and checksum[:8]


def _variants(method: str, records: list[Record]) -> dict[str, list[Record]]:
    """The runs of one label by row: one row if they agree in everything, else one for each difference."""
    recipes = {record.config_hash: recipe(record) for record in records}  # runs of equal hash have equal recipes
    texts = {config: json.dumps(leaves, sort_keys=True) for config, leaves in recipes.items()}
    groups = _repetitions(records, texts)
    if len(groups) == 1:
        return {method: next(iter(groups.values()))}
    by_text = {texts[config]: leaves for config, leaves in recipes.items()}
    differing = _differing(by_text.values())
    several = [len({used[i] for _, used in groups} - {None}) > 1 for i in range(len(SETTING))]
    rows = defaultdict(list)
    for (text, used), runs in sorted(groups.items(), key=_first):
        names = [_named(key, differing, by_text[text]) for key in differing]
        if len(differing) > MANY:
            names = [f"config {hashlib.sha256(text.encode()).hexdigest()[:8]}"]
        names += [f"{name} {value}" for name, value, differs in zip(SETTING, used, several, strict=True)
                  if differs and value is not None]
        rows[", ".join([method, *names])] += runs
    return dict(rows)


def _repetitions(records: list[Record], texts: dict[str, str]) -> dict[tuple[str, tuple], list[Record]]:
    """{(recipe, setting): runs that differ in nothing but the seed}.

    A run without a result may not know all of its setting yet: it joins a group of its recipe that it does not
    contradict, so the others come first.
    """
    groups = defaultdict(list)
    for record in sorted(records, key=lambda r: (r.result is None, r.folder)):
        text, used = texts[record.config_hash], setting(record)
        if record.result is None:
            fitting = sorted((other for key, other in groups if key == text and _fits(used, other)), key=str)
            used = fitting[0] if fitting else used
        groups[text, used].append(record)
    return groups


def _first(pair: tuple) -> str:
    """To sort items by their keys, in which some parts may be None."""
    return str(pair[0])


def _fits(used: tuple, other: tuple) -> bool:
    return all(a is None or a == b for a, b in zip(used, other, strict=True))


def _differing(recipes) -> list[str]:
    recipes = list(recipes)
    missing = object()
    return [k for k in sorted(set().union(*recipes)) if any(r.get(k, missing) != recipes[0].get(k, missing)
                                                            for r in recipes)]


def _named(key: str, keys: list[str], leaves: dict) -> str:
    """``weight_decay=0.0005``: the last part of the key where that is enough."""
    short = key.rsplit(".", 1)[-1]
    name = key if [k.rsplit(".", 1)[-1] for k in keys].count(short) > 1 else short
    return f"{name}={plain(leaves[key])}" if key in leaves else f"no {name}"


__getattr__ = renamed(__name__, is_placed="has_table")
