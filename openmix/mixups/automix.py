"""AutoMix: Liu et al., "AutoMix: Unveiling the Power of Mixup for Stronger Classifiers", ECCV 2022.

arXiv 2103.13027.
"""
from ..checks import switch
from .learned import LearnedMix
from .mixblock import MixBlock


class AutoMix(LearnedMix):
    """Masks by an attention block, which learns together with the classifier.

    A step and its four losses are those of :class:`~openmix.mixups.learned.LearnedMix`. The mask loss is
    ``mask_loss * max(|mean mask - lam| - margin, 0)``.

    Args:
        alpha, layer, ...: as of :class:`~openmix.mixups.learned.LearnedMix`.
        lam_concat: ``lam`` is an input of the block. It is not in the cells of the CIFAR-100 and Tiny-ImageNet tables,
            whose masks do not depend on ``lam``.

    Raises:
        ValueError: a parameter out of its range; at :meth:`attach`, a layer the network does not have.
    """

    paper = 'Liu et al., "AutoMix: Unveiling the Power of Mixup for Stronger Classifiers", arXiv 2103.13027'
    year = 2022
    venue = "ECCV"
    passes = ("a forward and backward pass of the clean batch; by the teacher a forward pass of it, and a forward and "
              "backward pass of another mixture")
    defaults = dict(CIFAR=dict(alpha=2.0), ImageNet=dict(alpha=2.0))

    def __init__(self, alpha: float = 2.0, layer: str = "layer3", *, lam_concat: bool = True, **kwargs):
        super().__init__(alpha, layer, **kwargs)
        self.lam_concat = switch("lam_concat", lam_concat)

    def make_block(self, channels):
        return MixBlock(channels, self.lam_concat, self.upsample)
