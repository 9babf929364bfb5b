"""The cards of the documentation site state what the classes do, and nothing that these leave open."""
import runpy
from pathlib import Path

import pytest

from openmix.mixups import CutMix, MixMethod
from openmix.registry import MIXUPS

pytest.importorskip("sphinx")
CARDS = runpy.run_path(str(Path(__file__).resolve().parents[1] / "docs" / "_ext" / "method_cards.py"))


class Bare(MixMethod):
    """No card."""


class Whole(MixMethod):
    """A card."""

    paper, year, venue = 'Some One, "A | B", arXiv 1234.56789', 2020, "ICML"
    passes, defaults = "one forward pass", dict(CIFAR=dict(alpha=0.3))


def test_empty_fields_are_left_out_and_stated_ones_are_shown():
    assert set(CARDS["facts"]("Bare", Bare)) == {"Needs", "Label weights", "Extra passes", "Options"}
    facts = CARDS["facts"]("Whole", Whole)
    assert facts["Paper"] == "Some One, [A | B](https://arxiv.org/abs/1234.56789), ICML 2020"
    assert "alpha=0.3" in facts["Settings"] and facts["Extra passes"] == "one forward pass"
    assert "[A \\| B]" in CARDS["card"]("Whole", Whole, None), "a bar would end the cell of the table"


def test_options_are_all_that_the_constructor_takes():
    options = CARDS["options"](CutMix)
    assert "`alpha=1.0`" in options and "`minmax=None`" in options and "`pairing='roll'`" in options


def test_configs_are_those_of_the_method_alone():
    configs = CARDS["configs_of"]("MixUp")
    assert "cifar100/r18_mixup" in configs and not [c for c in configs if "manifold" in c or "gridmixup" in c]


@pytest.mark.parametrize("name", MIXUPS.known())
def test_every_method_has_a_card_with_its_class_and_a_tile_in_the_gallery(name):
    assert f"openmix.mixups.{name}\n" in CARDS["card"](name, MIXUPS.get(name), f"{name}.png")
    assert f"[![{name}]({name}.png)]({name}.myst)" in CARDS["gallery"]({name: f"{name}.png"})
