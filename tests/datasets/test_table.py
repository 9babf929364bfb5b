"""Tables of numbers and categories as float vectors, in stratified folds."""
import csv
import lzma
import math

import pytest
import torch

from openmix.datasets import TableData
from openmix.datasets.compare import images_in_common
from openmix.datasets.options import with_seed
from openmix.datasets.table import deal
from openmix.registry import DATASETS

NAMES = ["sex", "size", "fixed", "rings"]


@pytest.fixture
def rows():
    """Sixty rows: three classes of 30, 20 and 10, a missing size, a constant column."""
    classes = ["10"] * 30 + ["9"] * 20 + ["2"] * 10
    return [["MFI"[i % 3], "?" if i == 4 else str(i * 0.5), "7", c] for i, c in enumerate(classes)]


def write(path, rows, names=NAMES, opener=open):
    with opener(path, "wt", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


@pytest.fixture
def table(tmp_path, rows):
    return write(tmp_path / "toy.csv.xz", rows, opener=lzma.open)


def test_parts_are_disjoint_and_cover_the_table_and_keep_the_shares_of_classes(table):
    train, test = (TableData(table, split) for split in ("train", "test"))
    assert images_in_common(train, test) == (0, True)
    assert sorted([*train.indices.tolist(), *test.indices.tolist()]) == list(range(60))
    assert train.classes == ["2", "9", "10"], "classes that are numbers go by size"
    for part in (train, test):
        assert part.labels.bincount().tolist() == [5, 10, 15]
    assert (train.name, train.split, train.is_bytes, train.mean) == ("toy", "train", False, None)


def test_repetitions_test_each_fold_once_and_then_shuffle_anew(table):
    tests = [set(TableData(table, "test", folds=3, repetition=k).indices.tolist()) for k in range(6)]
    assert set.union(*tests[:3]) == set(range(60)) == set.union(*tests[3:]) and sum(map(len, tests[:3])) == 60
    assert tests[0] not in tests[3:]
    assert tests[1] == set(TableData(table, "test", folds=3, repetition=1).indices.tolist())


def test_columns_have_mean_0_and_deviation_1_over_the_training_rows_alone(table, rows):
    train, test = (TableData(table, split, drop=["sex"]) for split in ("train", "test"))
    sizes = [math.nan if row[1] == "?" else float(row[1]) for row in rows]
    inside = [sizes[i] for i in train.indices.tolist()]
    known = [v for v in inside if not math.isnan(v)]
    mean = sum(known) / len(known)
    filled = [mean if math.isnan(v) else v for v in inside]
    std = math.sqrt(sum((v - mean) ** 2 for v in filled) / len(filled))
    for part in (train, test):
        expected = [0.0 if math.isnan(sizes[i]) else (sizes[i] - mean) / std for i in part.indices.tolist()]
        torch.testing.assert_close(part.images[:, 0], torch.tensor(expected))
    assert not train.images[:, 1].any() and not test.images[:, 1].any(), "a constant column is 0, not NaN"


def test_categories_are_one_hot(table, rows):
    data = TableData(table, standardise=False)
    assert data.shape == (5,)
    sex = ["FIM".index(rows[i][0]) for i in data.indices.tolist()]
    assert data.images[:, :3].argmax(1).tolist() == sex and torch.equal(data.images[:, :3].sum(1), torch.ones(30))
    assert TableData(table, one_hot=["fixed"], standardise=False).images[:, 4].unique().tolist() == [1.0]


def test_the_label_may_be_any_column(table):
    data = TableData(table, label="sex", one_hot=["rings"])
    assert data.classes == ["F", "I", "M"] and data.shape == (5,)


def test_folds_are_dealt_evenly_whatever_the_classes():
    labels = torch.tensor([0] * 7 + [1] * 3 + [2])
    fold = deal(labels, 2, seed=0)
    assert fold.bincount().tolist() == [6, 5]
    for c in range(3):
        counts = fold[labels == c].bincount(minlength=2)
        assert (counts[0] - counts[1]).abs() <= 1


def test_a_config_takes_its_repetition_from_the_seed_of_the_run(table):
    cfg = dict(type="TableData", file=str(table), split="test", repetition="{seed}")
    data = DATASETS.build(with_seed(dict(type="Subset", data=cfg, indices=[0, 1]), 3))
    assert data.indices.tolist() == TableData(table, "test", repetition=3).indices[:2].tolist()
    assert cfg["repetition"] == "{seed}", "the config stays as it was"


@pytest.mark.parametrize("options, message", [
    (dict(label="ring"), "no column 'ring'.*rings"),
    (dict(drop="sex"), "list of column names"),
    (dict(split="val"), "'train' or 'test'"),
    (dict(folds=1), "folds"),
    (dict(folds=61, repetition=60), "fold"),
    (dict(drop=["sex", "size", "fixed"]), "no column beside"),
    (dict(repetition=-1), "repetition"),
])
def test_wrong_options_are_refused(table, options, message):
    with pytest.raises(ValueError, match=message):
        TableData(table, **options)


@pytest.mark.parametrize("change, message", [
    (lambda rows: rows[3].pop(), "row 5: 4 columns expected, got 3"),
    (lambda rows: rows[3].__setitem__(1, "big"), "column 'size' mixes numbers with big"),
    (lambda rows: rows[3].__setitem__(3, "?"), "rows without a label"),
    (lambda rows: rows[3].__setitem__(1, "inf"), "infinite value in row 5"),
    (lambda rows: rows.clear(), "at least two rows"),
])
def test_wrong_tables_are_refused(tmp_path, rows, change, message):
    change(rows)
    with pytest.raises(ValueError, match=message):
        TableData(write(tmp_path / "toy.csv", rows))


def test_missing_or_damaged_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no table"):
        TableData(tmp_path / "none.csv")
    (tmp_path / "bad.csv.xz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="cannot read"):
        TableData(tmp_path / "bad.csv.xz")


def test_classes_that_a_line_parts_are_learned_without_error_in_ten_epochs(tmp_path):
    """The network and the recipe of the mixup paper."""
    from openmix import apis
    from openmix.engine.config.load import load_config

    points = torch.randn(400, 2, generator=torch.Generator().manual_seed(0)).double()
    points[:, 0] += torch.where(torch.arange(400) % 2 == 0, 4.0, -4.0)
    file = write(tmp_path / "line.csv", [[*row, i % 2] for i, row in enumerate(points.tolist())], ["a", "b", "class"])
    cfg = load_config(apis.config_root() / "mixup_paper/table_iris.py")
    cfg.merge_from_dict({"model.num_classes": 2, "model.backbone.in_features": 2, "work_dir": str(tmp_path / "run"), **{
        f"{loader}.dataset.file": str(file) for loader in ("train_dataloader", "val_dataloader", "test_dataloader")}})
    assert apis.train(cfg)["networks"]["net"]["last"]["top1"] == 100
