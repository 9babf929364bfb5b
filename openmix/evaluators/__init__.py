"""Measurements of a network on labelled images; the protocol is :class:`openmix.evaluators.base.Evaluator`."""
from .accuracy import Accuracy, TopK
from .base import Evaluator as Evaluator
from .calibration import Calibration
from .per_class import PerClass

__all__ = ["Accuracy", "Calibration", "PerClass", "TopK"]
