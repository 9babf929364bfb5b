"""Registries: what modules export is known; unknown names and keys are refused before anything is built."""
import os
import subprocess
import sys
import types

import pytest
from mmengine.config import ConfigDict

import openmix.mixups
from openmix.mixups import CutMix, MixUp
from openmix.registry import MIXUPS, Registry, accepted_keys


class Base:
    def __init__(self, alpha=1.0, *, prob=1.0):
        self.alpha, self.prob = alpha, prob


class Middle(Base):
    def __init__(self, decay=3.0, **kwargs):
        super().__init__(**kwargs)
        self.decay = decay


class Leaf(Middle):
    pass


class Anything:
    def __init__(self, first, *args, **kwargs):
        self.first = first


class Holder:
    def __init__(self, parts=(), part=None):
        self.parts, self.part = parts, part


@pytest.fixture
def registry():
    registry = Registry("toy", recursive=True)
    for cls in (Base, Middle, Leaf, Anything, Holder):
        registry.register_module(module=cls)
    return registry


def test_every_exported_method_is_registered():
    assert set(openmix.mixups.__all__) <= set(MIXUPS.known())
    assert all(MIXUPS.get(name) is getattr(openmix.mixups, name) for name in openmix.mixups.__all__)


def test_a_module_is_imported_when_a_name_is_first_looked_up(monkeypatch):
    module = types.ModuleType("toy_module")
    module.__all__, module.Leaf, module.number = ["Leaf", "number"], Leaf, 3
    monkeypatch.setitem(__import__("sys").modules, "toy_module", module)
    registry = Registry("toy", ["toy_module"])
    assert registry._module_dict == {}
    assert registry.known() == ["Leaf"] and registry.get("Leaf") is Leaf


def test_users_register_their_own(registry):
    @registry.register_module()
    class Mine(Base):
        pass

    assert registry.build(dict(type="Mine", alpha=2)).alpha == 2


def test_keys_are_followed_through_kwargs_to_the_bases():
    assert accepted_keys(Leaf) == {"decay", "alpha", "prob"}
    assert accepted_keys(Anything) == {"first"}, "a **kwargs that ends at object is no licence"
    assert accepted_keys(Holder) == {"parts", "part"}
    assert accepted_keys(lambda a, *, b=1: a) == {"a", "b"} and accepted_keys(lambda **kwargs: 0) is None
    assert {"alpha", "prob", "per_sample", "pairing", "num_classes", "minmax"} <= accepted_keys(CutMix)


def test_builds_what_the_config_says(registry):
    built = registry.build(ConfigDict(type="Leaf", alpha=0.5, decay=2))
    assert (type(built), built.alpha, built.decay, built.prob) == (Leaf, 0.5, 2, 1.0)
    assert registry.build(dict(type=Base, prob=0.3)).prob == 0.3
    assert registry.build(built) is built
    assert registry.build(dict(type="Base"), alpha=7).alpha == 7


def test_builds_nested_configs(registry):
    parts = [dict(type="Base"), [dict(type="Middle")], 5]
    built = registry.build(dict(type="Holder", part=dict(type="Leaf"), parts=parts))
    assert isinstance(built.part, Leaf) and isinstance(built.parts[0], Base) and isinstance(built.parts[1][0], Middle)
    assert built.parts[2] == 5


@pytest.mark.parametrize("cfg, message", [
    (dict(type="Leav"), "toy: unknown type 'Leav'; did you mean 'Leaf'"),
    (dict(type="LEAF"), "did you mean 'Leaf'"),
    (dict(type="elsewhere.Leaf"), "unknown type 'elsewhere.Leaf'"),
    (dict(type="Leaf", alhpa=1), "Leaf has no key 'alhpa'; did you mean 'alpha'"),
    (dict(type="Leaf", dekay=1), "did you mean 'decay'"),
    (dict(type="Holder", part=dict(type="Bass")), r"toy.part: unknown type 'Bass'; did you mean 'Base'"),
    (dict(type="Holder", parts=[dict(type="Base"), dict(type="Leaf", probb=1)]), r"toy.parts\[1\]: .*mean 'prob'"),
    (dict(type="Holder", parts=[[dict(type="Nothing")]]), r"toy.parts\[0\]\[0\]: unknown type 'Nothing'"),
    (dict(type="Anything", first=1, whatever=2), "Anything has no key 'whatever'"),
    (dict(type="Anything", first=dict(type="Middle", decai=1)), r"toy.first: Middle has no key 'decai'.*'decay'"),
    (dict(type="Holder", part=dict(type="Holder", part=dict(type="Leaf", x=1))), r"toy.part.part: Leaf has no key 'x'"),
])
def test_unknown_names_and_keys_name_the_nearest(registry, cfg, message):
    for act in (registry.check, registry.build):
        with pytest.raises(ValueError, match=message):
            act(ConfigDict(cfg) if isinstance(cfg["type"], str) else cfg)


def test_nothing_is_built_before_all_is_checked(registry):
    built = []

    @registry.register_module()
    class Counted(Base):
        def __init__(self):
            built.append(self)

    with pytest.raises(ValueError, match="Wrong"):
        registry.build(dict(type="Holder", parts=[dict(type="Counted"), dict(type="Wrong")]))
    assert not built


@pytest.mark.parametrize("cfg", ["MixUp", {}, dict(alpha=1.0), ""])
def test_what_is_no_config_is_refused_with_the_known_types(cfg):
    with pytest.raises(TypeError, match="mixup must be a dict with a 'type'.*CutMix, .*MixUp"):
        MIXUPS.build(cfg)


def test_errors_say_where_in_the_users_words():
    with pytest.raises(ValueError, match=r"model.mixup: MixUp has no key 'alhpa'; did you mean 'alpha'"):
        MIXUPS.check(dict(type="MixUp", alhpa=1), "model.mixup")
    assert MIXUPS.check(dict(type="MixUp", alpha=1)) is MixUp
    with pytest.raises(ValueError, match=r"mixup.methods\[1\]: CutMix has no key 'minmx'; did you mean 'minmax'"):
        MIXUPS.build(dict(type="RandomChoice", methods=[dict(type="MixUp"), dict(type="CutMix", minmx=(0, 1))]))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the cache has another place")
@pytest.mark.parametrize("statement", [
    "import mmengine", "import openmix.models", "import openmix; openmix.train",
    "import openmix.cli; assert openmix.cli.main(['train', 'no_config']) == 2"])
def test_processes_that_start_together_on_a_fresh_machine_wait_for_the_cache_of_yapf(statement, tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import yapf"], env=environment, check=True)
    cache = list(tmp_path.rglob("*.pickle"))
    assert cache, "yapf keeps no cache any more: this test and the second import of mmengine can go"
    for file in cache:
        file.write_bytes(b"")  # as another process has it for a moment while it writes
    program = f"""
import pathlib, time
def other_process_ends(seconds):
    for file in pathlib.Path({str(tmp_path)!r}).rglob("*.pickle"):
        file.unlink()
time.sleep = other_process_ends
{statement}
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    if statement == "import mmengine":  # alone it fails
        assert done.returncode == 1 and "EOFError" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
