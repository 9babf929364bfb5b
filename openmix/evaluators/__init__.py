"""Measurements of a network on labelled images; the protocol is :class:`openmix.evaluators.base.Evaluator`."""
from .accuracy import Accuracy, TopK
from .adversarial import FGSM, IFGSM, PGD
from .base import Evaluator as Evaluator
from .calibration import Calibration
from .corruptions import Corruptions
from .in_between import InBetween
from .occlusion import Occlusion
from .per_class import PerClass

__all__ = ["Accuracy", "Calibration", "Corruptions", "FGSM", "IFGSM", "InBetween", "Occlusion", "PGD", "PerClass",
           "TopK"]
