"""The training step and its modes."""
import warnings

from .eager import Diverged, EagerStep
from .modes import make_step

__all__ = ["Diverged", "EagerStep", "make_step"]


def __getattr__(name):
    if name == "Step":  # its name before version 0.2
        warnings.warn("Step is called EagerStep now", DeprecationWarning, stacklevel=2)
        return EagerStep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
