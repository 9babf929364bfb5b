"""Configs: read, merged with options, checked."""
from importlib import import_module

_HOMES = dict(check_config="check", load_config="load")
__all__ = list(_HOMES)


def __getattr__(name):  # checking a config takes mmengine, and reading options does not
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
