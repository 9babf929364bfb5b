"""The models of a config."""
from .classifier import Classifier
from .net import build_net

__all__ = ["Classifier", "build_net"]
