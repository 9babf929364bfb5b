"""openmix: mixup benchmarks that are right, fast and easy to extend. Importing it imports nothing heavy."""
from importlib import import_module

from . import moved
from .version import __version__

moved.install()

_HOMES = {
    "mixups": ("MixMethod", "CutMix", "MixUp", "RandomChoice", "Vanilla"),
    "target": ("Target",),
    "apis": ("list_mixups", "get_mixup", "list_models", "get_model", "list_configs", "list_grids", "train", "test",
             "infer"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name):
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    if name in _HOMES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
