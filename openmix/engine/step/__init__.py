"""The training step and its modes."""
from .eager import Diverged, Step
from .modes import make_step

__all__ = ["Diverged", "Step", "make_step"]
