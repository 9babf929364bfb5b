"""Mixing methods, usable in any training loop: ``images, target = CutMix(alpha=1.0)(images, labels)``.

Exporting a class here (in ``__all__``) makes it known to configs, contract tests and ``openmix.list_mixups()``.
"""
from .attentivemix import AttentiveMix
from .automix import AutoMix
from .base import MixMethod  # noqa: F401
from .choice import RandomChoice
from .cutmix import CutMix
from .distill import Distill
from .featuremix import FeatureMix
from .fmix import FMix
from .gridmix import GridMix, GridMixup
from .manifoldmix import ManifoldMix
from .mask import MaskMethod  # noqa: F401
from .mixup import MixUp
from .puzzlemix import PuzzleMix
from .resizemix import ResizeMix
from .saliencymix import SaliencyMix
from .smoothmix import SmoothMix
from .vanilla import Vanilla

__all__ = [
    "AttentiveMix",
    "AutoMix",
    "CutMix",
    "Distill",
    "FMix",
    "FeatureMix",
    "GridMix",
    "GridMixup",
    "ManifoldMix",
    "MixUp",
    "PuzzleMix",
    "RandomChoice",
    "ResizeMix",
    "SaliencyMix",
    "SmoothMix",
    "Vanilla",
]
