"""The models of a config."""
from .. import registry  # noqa: F401  first of all: it imports mmengine, and again if processes collide in that
from .classifier import Classifier
from .net import build_net

__all__ = ["Classifier", "build_net"]
