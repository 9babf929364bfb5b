"""Mixing methods, usable in any training loop: ``images, target = CutMix(alpha=1.0)(images, labels)``.

Exporting a class here (in ``__all__``) makes it known to configs, contract tests and ``openmix.list_mixups()``.
"""
from .adautomix import AdAutoMix
from .alignmix import AlignMix
from .attentivemix import AttentiveMix
from .augmix import AugMix
from .automix import AutoMix
from .base import MixMethod  # noqa: F401
from .catchupmix import CatchUpMix
from .choice import RandomChoice
from .comixup import CoMixup
from .cutmix import CutMix
from .distill import Distill
from .featuremix import FeatureMix
from .fmix import FMix
from .gridmix import GridMix, GridMixup
from .guidedmixup import GuidedMixup
from .learned import LearnedMix  # noqa: F401
from .manifoldmix import ManifoldMix
from .mask import MaskMethod  # noqa: F401
from .mixpro import MixPro
from .mixup import MixUp
from .mixupe import MixupE
from .patchup import PatchUp
from .puzzlemix import PuzzleMix
from .recursivemix import RecursiveMix
from .regmixup import RegMixup
from .resizemix import ResizeMix
from .rmix import RMix
from .saliencygrafting import SaliencyGrafting
from .saliencymix import SaliencyMix
from .samix import SAMix
from .smmix import SMMix
from .smoothmix import SmoothMix
from .snapmix import SnapMix
from .sumix import SUMix
from .tlalign import TLAlign
from .tokenmix import TokenMix
from .transmix import TransMix
from .vanilla import Vanilla

__all__ = [
    "AdAutoMix",
    "AlignMix",
    "AttentiveMix",
    "AugMix",
    "AutoMix",
    "CatchUpMix",
    "CoMixup",
    "CutMix",
    "Distill",
    "FMix",
    "FeatureMix",
    "GridMix",
    "GridMixup",
    "GuidedMixup",
    "ManifoldMix",
    "MixPro",
    "MixUp",
    "MixupE",
    "PatchUp",
    "PuzzleMix",
    "RMix",
    "RandomChoice",
    "RecursiveMix",
    "RegMixup",
    "ResizeMix",
    "SAMix",
    "SMMix",
    "SUMix",
    "SaliencyGrafting",
    "SaliencyMix",
    "SmoothMix",
    "SnapMix",
    "TLAlign",
    "TokenMix",
    "TransMix",
    "Vanilla",
]
