"""Mixing methods, usable in any training loop: ``images, target = CutMix(alpha=1.0)(images, labels)``.

Exporting a class here (in ``__all__``) makes it known to configs, contract tests and ``openmix.list_mixups()``.
"""
from .automix import AutoMix
from .base import MixMethod  # noqa: F401
from .catchupmix import CatchUpMix
from .choice import RandomChoice
from .cutmix import CutMix
from .fmix import FMix
from .gridmix import GridMix, GridMixup
from .manifoldmix import ManifoldMix
from .mask import MaskMethod  # noqa: F401
from .mixup import MixUp
from .puzzlemix import PuzzleMix
from .recursivemix import RecursiveMix
from .regmixup import RegMixup
from .resizemix import ResizeMix
from .saliencygrafting import SaliencyGrafting
from .saliencymix import SaliencyMix
from .smoothmix import SmoothMix
from .snapmix import SnapMix
from .sumix import SUMix
from .vanilla import Vanilla

__all__ = [
    "AutoMix",
    "CatchUpMix",
    "CutMix",
    "FMix",
    "GridMix",
    "GridMixup",
    "ManifoldMix",
    "MixUp",
    "PuzzleMix",
    "RandomChoice",
    "RecursiveMix",
    "RegMixup",
    "ResizeMix",
    "SUMix",
    "SaliencyGrafting",
    "SaliencyMix",
    "SmoothMix",
    "SnapMix",
    "Vanilla",
]
