"""Tables: rows of numbers and categories in a CSV file, as float vectors."""
import bz2
import csv
import gzip
import lzma
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..checks import check_count, switch
from ..errors import did_you_mean
from ..sampling import keyed_generator
from .arrays import ArrayData, as_labels
from .options import listed, local_path, printable
from .splits import SPLITS

FOLDS = 0xF01D  # the stream of its own that rows are dealt from
MISSING = ("", "?", "NA", "NaN", "nan")
OPEN = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


class TableData(ArrayData):
    """A CSV file with one row of names, plain or compressed (``.xz``, ``.gz``, ``.bz2``); a row is one example.

    Numbers are floats, columns of text are one-hot (their categories in alphabetical order). Missing numbers become
    the column's mean, and columns get mean 0 and standard deviation 1, both by the training rows alone. A constant
    column becomes 0. Classes are the values of the label column, in the order of numbers or names.

    The parts are stratified: the rows of each class are shuffled and dealt to ``folds`` folds in turn. One fold is the
    test set, and the others are the training set. Repetitions 0, 1 ... test each fold once, then shuffle anew: ten
    repetitions of two folds are the 5 x 2-fold protocol. In a config ``repetition="{seed}"`` is the seed of the run.

    Args:
        file: path of the CSV file. label: name of the label column; the last by default.
        one_hot: columns of numbers that are categories. drop: columns to leave out.
        split: ``"train"`` or ``"test"``. folds, repetition: see above; two folds halve the table.
        standardise: ``False`` leaves the numbers as they are (missing ones become the mean).

    Raises:
        FileNotFoundError: no such file. ValueError: no table, unknown columns, values that are no numbers, or folds
            that the rows do not fill.
    """

    name = "table"

    def __init__(self, file, split: str = "train", *, label: str | None = None, one_hot: Sequence[str] = (),
                 drop: Sequence[str] = (), folds: int = 2, repetition: int = 0, standardise: bool = True):
        if split not in ("train", "test"):
            raise ValueError(f"split must be 'train' or 'test' for a table, got {split!r}"
                             f"{'; hold rows out with more folds' if split in SPLITS else ''}")
        folds, repetition = check_count("folds", folds, 2), check_count("repetition", repetition, 0)
        path = local_path(file)
        names, rows = read_csv(path)
        label = names[-1] if label is None else label
        for where, wanted in (("label", [label]), ("one_hot", one_hot), ("drop", drop)):
            check_columns(f"{path}: {where}", wanted, names)
        values = dict(zip(names, zip(*rows, strict=True), strict=True))
        classes = sorted(set(values[label]), key=number_or_name)
        if missing := [name for name in classes if name in MISSING]:
            raise ValueError(f"{path}: rows without a label: column {label!r} holds {missing[0]!r}")
        labels = as_labels([classes.index(value) for value in values[label]], len(rows), len(classes), str(path))
        inside = deal(labels, folds, repetition // folds) != repetition % folds
        if inside.all() or not inside.any():
            raise ValueError(f"{path}: {len(rows)} rows leave one of {folds} folds empty; use fewer folds")
        columns = [column for name in names if name != label and name not in drop
                   for column in as_columns(name, values[name], name in one_hot, path)]
        if not columns:
            raise ValueError(f"{path} has no column beside the label {label!r}")
        table = fill(torch.stack(columns, 1), inside)
        if switch("standardise", standardise):
            table = standard(table, inside)
        chosen = (inside if split == "train" else ~inside).nonzero()[:, 0]
        super().__init__(table.float(), labels, classes, name=printable(path.name.split(".")[0]), split=split,
                         where=str(path))
        self.images, self.labels, self.indices = self.images[chosen], self.labels[chosen], chosen
        self.selection = dict(folds=folds, repetition=repetition)


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the rows as text.

    Raises:
        FileNotFoundError, ValueError: no file, an unreadable one, or rows of another length; names the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no table {path}; expected a CSV file with one row of column names")
    try:
        with OPEN.get(path.suffix, open)(path, "rt", encoding="utf-8", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if line]
    except (OSError, lzma.LZMAError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"cannot read {path} as a table: {error}") from error
    if len(lines) < 3 or len(lines[0]) < 2:
        raise ValueError(f"{path} must hold a row of names and at least two rows of two columns")
    names, rows = lines[0], lines[1:]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two columns are called {next(n for n in names if names.count(n) > 1)!r}")
    for k, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"{path}, row {k}: {len(names)} columns expected, got {len(row)}")
    return names, rows


def check_columns(where: str, wanted, names: list[str]) -> None:
    """Raise ValueError unless ``wanted`` is a list of column names."""
    if isinstance(wanted, str) or not all(isinstance(name, str) for name in wanted):
        raise ValueError(f"{where} must be a list of column names, got {wanted!r}")
    for name in wanted:
        if name not in names:
            raise ValueError(f"{where}: no column {name!r}; {did_you_mean(name, names)}")


def number_or_name(text: str) -> tuple:
    """Sorts numbers by size, before names by letter."""
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def as_columns(name: str, texts: Sequence[str], one_hot: bool, path: Path) -> list[Tensor]:
    """A column as one tensor (rows,) float64, NaN where missing; or one for each category."""
    present = {text for text in texts if text not in MISSING}
    if not one_hot and all(number_or_name(text)[0] == 0 for text in present):
        column = torch.tensor([math.nan if text in MISSING else float(text) for text in texts], dtype=torch.float64)
        if column.isinf().any():
            row = int(column.isinf().nonzero()[0]) + 2
            raise ValueError(f"{path}: column {name!r} has an infinite value in row {row}")
        return [column]
    numbers = [text for text in present if number_or_name(text)[0] == 0]
    if numbers and not one_hot and len(numbers) < len(present):
        strange = sorted(present - set(numbers))
        raise ValueError(f"{path}: column {name!r} mixes numbers with {listed(strange)}; put it into one_hot if it "
                         f"holds categories, or write missing values as one of {', '.join(map(repr, MISSING))}")
    return [torch.tensor([float(text == category) for text in texts], dtype=torch.float64)
            for category in sorted(present, key=number_or_name)]


def deal(labels: Tensor, folds: int, seed: int) -> Tensor:
    """The fold of each row, (N,) int64: rows shuffled within their class, and dealt class by class."""
    order = torch.randperm(len(labels), generator=keyed_generator(seed, FOLDS))
    order = order[labels[order].argsort(stable=True)]
    fold = torch.empty_like(labels)
    fold[order] = torch.arange(len(labels)) % folds
    return fold


def fill(table: Tensor, inside: Tensor) -> Tensor:
    """``table`` (N, D) with NaN replaced by the mean over the rows ``inside``; 0 where those have no value."""
    return table.where(~table.isnan(), table[inside].nanmean(0).nan_to_num(0.0))


def standard(table: Tensor, inside: Tensor) -> Tensor:
    """``table`` (N, D) with mean 0 and standard deviation 1 over the rows ``inside``; constant columns become 0."""
    mean, std = table[inside].mean(0), table[inside].std(0, correction=0)
    constant = std <= 1e-12 * mean.abs().clamp(min=1)
    return ((table - mean) / std.where(~constant, 1.0)).where(~constant, 0.0)
