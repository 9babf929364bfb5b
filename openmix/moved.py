"""Modules and names that have moved: their old names work for one more version, with a warning."""
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec

MOVED = {f"openmix.{old}": f"openmix.{new}" for old, new in {
    "engine.cli": "cli.train", "engine.loops": "engine.train_loop", "engine.evaluation": "engine.eval_loop",
    "engine.state": "engine.resume", "engine.forms": "engine.step.modes", "engine.graphs": "engine.step.cudagraph",
    "engine.sums": "engine.step.meters", "engine.launch": "engine.distributed.launch",
    "engine.slurm": "engine.distributed.slurm", "engine.syncbn": "engine.distributed.syncbn",
    "engine.schedules": "engine.optim.schedules", "engine.logs": "engine.logging.lines",
    "engine.visualizer": "engine.logging.visualizer", "engine.metrics": "evaluators",
    "engine.inference": "inference.predict", "engine.weights": "inference.weights",
    "engine.publish": "inference.publish",
    "engine.workdir": "workdir", "engine.provenance": "workdir.identity", "engine.result": "workdir.result",
    "benchmark.records": "results.records", "benchmark.cells": "results.cells", "benchmark.zoo": "results.tables",
    "benchmark.compare": "results.compare", "benchmark.published": "results.published", "benchmark.grid": "sweep.grid",
    "benchmark.sweep": "sweep.configs", "benchmark.jobs": "sweep.jobs", "benchmark": "results",
    "gridcut": "solvers.gridcut", "transport": "solvers.transport",
}.items()}


def renamed(module: str, **names: str) -> Callable:
    """A module's ``__getattr__`` for ``old="new"`` names; ``new`` is a name in it, or a path such as ``"paths.f"``."""
    def __getattr__(name):
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, new = names[name].rpartition(".")
        home = f"openmix.{home}" if home else module
        warnings.warn(f"{module}.{name} is now {home}.{new}; the old name goes with the next version",
                      DeprecationWarning, 2)
        return getattr(import_module(home), new)
    return __getattr__


class _Alias:
    """Hands out the module under its new name."""

    def create_module(self, spec):
        new = MOVED[spec.name]
        warnings.warn(f"{spec.name} is now {new}; the old name goes with the next version", DeprecationWarning, 2)
        module = import_module(new)
        self.spec = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = self.spec  # the import system has put the alias's there


class _Finder:  # importlib's base classes import half the standard library
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, _Alias()) if name in MOVED else None


def install() -> None:
    """Make the old names importable."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
