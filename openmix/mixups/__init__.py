"""Mixing methods, usable in any training loop: ``images, target = CutMix(alpha=1.0)(images, labels)``.

Exporting a class here (in ``__all__``) makes it known to configs, contract tests and ``openmix.list_mixups()``.
"""
from .automix import AutoMix
from .base import MixMethod  # noqa: F401
from .choice import RandomChoice
from .cutmix import CutMix
from .fmix import FMix
from .gridmix import GridMix, GridMixup
from .manifoldmix import ManifoldMix
from .mask import MaskMethod  # noqa: F401
from .mixpro import MixPro
from .mixup import MixUp
from .puzzlemix import PuzzleMix
from .resizemix import ResizeMix
from .saliencymix import SaliencyMix
from .smmix import SMMix
from .smoothmix import SmoothMix
from .tlalign import TLAlign
from .tokenmix import TokenMix
from .transmix import TransMix
from .vanilla import Vanilla

__all__ = [
    "AutoMix",
    "CutMix",
    "FMix",
    "GridMix",
    "GridMixup",
    "ManifoldMix",
    "MixPro",
    "MixUp",
    "PuzzleMix",
    "RandomChoice",
    "ResizeMix",
    "SMMix",
    "SaliencyMix",
    "SmoothMix",
    "TLAlign",
    "TokenMix",
    "TransMix",
    "Vanilla",
]
