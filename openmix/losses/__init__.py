"""Criteria: (logits, class indices, probabilities or Target) -> loss."""
from .binary import BinaryCrossEntropy, SoftmaxBCE
from .cross_entropy import LabelSmoothing, SoftCrossEntropy
from .decoupled import DecoupledCrossEntropy
from .focal import FocalLoss

__all__ = ["BinaryCrossEntropy", "DecoupledCrossEntropy", "FocalLoss", "LabelSmoothing", "SoftCrossEntropy",
           "SoftmaxBCE"]
