"""Numbers that users give: NumPy's and torch's count as Python's, and True is no number."""
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from openmix.checks import check_count, check_number, is_number, is_whole, plain


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)])
def test_every_kind_of_whole_number_counts(value):
    found = check_count("n", value)
    assert found == 3 and type(found) is int and is_number(value)


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
