"""Modules under their old names."""
import sys
from importlib import import_module

import pytest

import openmix  # noqa: F401
from openmix.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_the_module_under_its_new_name_and_warns(old, monkeypatch):
    monkeypatch.delitem(sys.modules, old, raising=False)
    new = import_module(MOVED[old])
    spec = new.__spec__
    with pytest.warns(DeprecationWarning, match=f"{old} is now {MOVED[old]}"):
        assert import_module(old) is new
    assert new.__spec__ is spec, "the module keeps its own identity"


def test_a_name_that_never_was_is_not_there():
    with pytest.raises(ModuleNotFoundError):
        import_module("openmix.engine.nothing")


@pytest.mark.parametrize("module, old, new", [
    ("sweep.progress", "Standing", "JobStatus"), ("sweep.progress", "Lines", "PlainProgress"),
    ("sweep.jobs", "settle", "record_exit"), ("results.labels", "section", "part_name"),
    ("results.costs", "place", "hardware_of"), ("plan", "row", "draws_at")])
def test_an_old_name_in_a_module_is_the_new_one_and_warns(module, old, new):
    home = import_module(f"openmix.{module}")
    with pytest.warns(DeprecationWarning, match=rf"{module}.{old} is now openmix.{module}.{new}"):
        assert getattr(home, old) is getattr(home, new)


def test_an_old_name_may_be_one_of_another_module():
    from openmix.cli import train
    from openmix.engine.config.options import parse_options

    with pytest.warns(DeprecationWarning, match="is now openmix.engine.config.options.parse_options"):
        assert train.parse_options is parse_options
    for module, name in (("engine.run", "test"), ("engine.run", "evaluate"), ("engine.checkpoint", "newest_valid"),
                         ("engine.config.load", "configure"), ("backbones.external", "TimmModel"),
                         ("cli.train", "show_result"), ("results.cells", "recipe")):
        with pytest.warns(DeprecationWarning, match=f"{module}.{name} is now openmix"):
            assert callable(getattr(import_module(f"openmix.{module}"), name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        train.nothing  # noqa: B018
