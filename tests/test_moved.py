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
