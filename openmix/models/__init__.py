"""The models of a config."""
from .. import registry  # noqa: F401  before others: it imports mmengine, again if processes collide in that
from .classifier import Classifier
from .net import build_net

__all__ = ["Classifier", "build_net"]
