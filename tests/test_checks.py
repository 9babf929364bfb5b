"""Numbers that users give: NumPy's and torch's count as Python's, and True is no number."""
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from openmix.checks import check_count, check_number, is_number, is_whole, plain


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_every_kind_of_check_count_counts(value):
    actual = check_count("n", value)
    assert actual == 3 and type(actual) is int and is_number(value)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), torch.tensor(0.5),
                                   torch.tensor(0.5, dtype=torch.bfloat16), Fraction(1, 2)])
def test_every_kind_of_number_is_one_and_no_count(value):
    assert check_number("x", value) == 0.5 and not is_whole(value)


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), np.array(True), "3", None, [3], np.array([3]),
                                   torch.tensor([3]), 3.0, 1j])
def test_what_is_no_count_is_refused_by_name(value):
    with pytest.raises(ValueError, match="total must be a whole number of at least 1, got"):
        check_count("total", value)


@pytest.mark.parametrize("value", [True, np.False_, "3", None, math.nan, np.float64("nan"), -1, np.int64(-1)])
def test_what_is_no_number_is_refused_by_name(value):
    with pytest.raises(ValueError, match="lr must be a number of at least 0, got"):
        check_number("lr", value)


def test_a_count_below_the_least_is_refused_and_what_has_axes_stays_as_it_is():
    assert check_count("n", 0, 0) == 0
    with pytest.raises(ValueError, match="at least 2"):
        check_count("n", np.int32(1), 2)
    array = np.array([3])
    assert plain(array) is array and type(plain(np.str_("a"))) is str


@pytest.mark.parametrize("kind", [np.int64, np.int16, torch.tensor])
def test_all_that_takes_check_counts_takes_numpys_and_tensors(kind):
    from openmix.apis import get_model
    from openmix.datasets import Shapes
    from openmix.datasets.augment import check_padding
    from openmix.engine.optim.schedules import lr_table
    from openmix.evaluators import Accuracy
    from openmix.plan import check_batch

    net = get_model("CifarResNet", num_classes=kind(7), depth=8)
    assert net.head.fc.out_features == 7 and net(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert len(Shapes("val", num_images=kind(40), val_size=kind(20))) == 20
    check_padding(kind(4), "zeros", (32, 32)), check_batch(40, kind(10))
    assert Accuracy(kind(2)).topk == Accuracy([kind(2)]).topk == (2,)
    steps = [dict(type="MultiStepLR", milestones=[1], gamma=np.float64(0.5), begin=kind(0))]
    assert lr_table(steps, np.float32(0.5), 3, 1) == [0.5, 0.25, 0.25]


def test_grids_and_optimizers_take_numpys_numbers_and_write_pythons():
    from openmix.engine.optim.optimizers import build_optimizer
    from openmix.sweep.configs import literal
    from openmix.sweep.grid import parse

    keys = dict(base="configs/x.py", mixups=[dict(type="MixUp", alpha=np.float64(0.5))], seeds=np.int64(2),
                epochs=[np.int32(3)], vary={"optim_wrapper.optimizer.lr": [np.float32(0.5)]})
    row, = parse(keys, "name").rows
    assert row.seeds == (0, 1) and row.epochs == 3 and literal(row.method) == 'dict(type="MixUp", alpha=0.5)'
    assert literal(row.changes) == "dict(optim_wrapper=dict(optimizer=dict(lr=0.5)))"
    wrapper = dict(optimizer=dict(type="SGD", lr=np.float64(0.1), weight_decay=np.float32(0.5)),
                   clip_grad=dict(max_norm=np.int64(1)), accumulative_counts=np.int64(2))
    assert build_optimizer(torch.nn.Linear(2, 2), wrapper).param_groups[0]["lr"] == 0.1
