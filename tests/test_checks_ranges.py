"""Numbers, pairs and switches that users set: what is taken, what is refused, and the words for it."""
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from openmix.checks import image_shape, number, pair, switch


@pytest.mark.parametrize("value, kept", [
    (2, 2), (0.5, 0.5), (np.int64(1), 1), (np.float32(0.5), 0.5), (Fraction(1, 2), 0.5), (torch.tensor(2), 2),
    (np.array(0.5), 0.5), (torch.tensor(0.5), 0.5)], ids=repr)
def test_numbers_of_every_library_are_kept_as_pythons_own(value, kept):
    actual = number("x", value)
    assert actual == kept and type(actual) is type(kept)


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), math.nan, math.inf, -math.inf, "1", None, [1],
                                   1j, torch.ones(1), 10**400, np.float32("nan")], ids=lambda v: repr(v)[:20])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match="x must "):
        number("x", value)


def test_the_ends_of_a_range_belong_to_it_unless_said_otherwise():
    assert number("x", 0, 0, 1) == 0 and number("x", 1, 0, 1) == 1
    for options, value, words in ((dict(above=True), 0, r"x must lie in \(0, 1\], got 0"),
                                  (dict(below=True), 1, r"x must lie in \[0, 1\), got 1"),
                                  (dict(), -0.1, r"x must lie in \[0, 1\], got -0.1"),
                                  (dict(hint="; try 1"), 2, "got 2; try 1"),
                                  (dict(whole=True), 0.5, r"x must be a whole number in \[0, 1\], got 0.5")):
        with pytest.raises(ValueError, match=words):
            number("x", value, 0, 1, **options)


def test_pairs_are_two_numbers_in_order():
    assert pair("x", [0.1, np.float64(0.5)], 0, 1) == (0.1, 0.5)
    assert pair("x", torch.tensor([1, 2]), whole=True) == (1, 2)
    for value in (0.5, "ab", [0.5], [1, 2, 3], [0.6, 0.5], [0, 1.5], [math.nan, 1], [True, True], None):
        with pytest.raises(ValueError, match=r"x must be two shares in \[0, 1\], the smaller first"):
            pair("x", value, 0, 1)
    with pytest.raises(ValueError, match=r"two numbers in \(0, inf\)"):
        pair("x", [0, 1], above=True)


def test_an_image_shape_is_a_side_or_three_numbers():
    assert image_shape("x", 8) == image_shape("x", np.int64(8)) == (3, 8, 8)
    assert image_shape("x", [1, 8, 9]) == (1, 8, 9)
    for value in (0, 8.5, "8", [8, 8], [3, 8, -1], None):
        with pytest.raises(ValueError, match="x must be the side of an image"):
            image_shape("x", value)


def test_switches_are_bools_and_no_text():
    assert switch("x", True) is True and switch("x", np.bool_(False)) is False
    for value in ("false", "", 0, 1, None):
        with pytest.raises(ValueError, match="x must be True or False"):
            switch("x", value)
