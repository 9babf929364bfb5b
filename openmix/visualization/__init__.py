"""Pictures of mixes, and the report of a set of runs."""
from importlib import import_module

_HOMES = dict(mix_grid="mixes", save_mix_picture="mixes", write_report="report")
__all__ = list(_HOMES)


def __getattr__(name):  # a report needs no torch, and a picture no plotting library
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
