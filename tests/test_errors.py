"""Messages name the nearest known spelling."""
import pytest

from openmix.errors import did_you_mean

KNOWN = ["CutMix", "MixUp", "FMix", "GridMixup", "alpha"]


@pytest.mark.parametrize("typed, meant", [
    ("CutMx", "CutMix"), ("mixup", "MixUp"), ("MIXUP", "MixUp"), ("fmix", "FMix"), ("gridmixup", "GridMixup"),
    ("alhpa", "alpha"), ("cut_mix", "CutMix"),
])
def test_the_nearest_name_is_suggested_whatever_its_case(typed, meant):
    assert did_you_mean(typed, KNOWN).startswith(f"did you mean {meant!r}? known: ")


def test_all_known_names_follow_in_order():
    assert did_you_mean("zzzzz", KNOWN) == "known: CutMix, FMix, GridMixup, MixUp, alpha"


def test_no_known_name_and_odd_types_do_no_harm():
    assert did_you_mean("x", []) == "known: none"
    assert did_you_mean(3, [1, 2, None]) == "known: 1, 2, None"
