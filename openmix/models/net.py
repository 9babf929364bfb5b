"""A network: backbone and head, without mixing."""
from torch import Tensor, nn

from ..checks import count_classes
from ..registry import BACKBONES, HEADS, required_keys


class Net(nn.Module):
    """Images (N, C, H, W) -> logits (N, classes)."""

    def __init__(self, backbone: nn.Module, head: nn.Module):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))


def build_net(backbone, head=None, num_classes=None) -> Net:
    """A :class:`Net` from configs or modules.

    Args:
        backbone: e.g. ``dict(type="ResNet", depth=18)``; its ``out_channels`` sizes the head.
        head: ``dict(type="LinearHead")`` by default; ``in_channels`` and ``num_classes`` need not be in it. A backbone
            that makes logits itself takes ``dict(type="IdentityHead")``.
        num_classes: may be left out where the head has it.

    Raises:
        ValueError: unknown names or keys; no number of classes, or two that differ; a backbone without
            ``out_channels``.
    """
    backbone, head = BACKBONES.build(backbone), dict(type="LinearHead") if head is None else head
    if isinstance(head, dict):
        num_classes = count_classes(head, num_classes)
        if num_classes is None:
            raise ValueError("num_classes is missing: give it to the model, e.g. dict(type='Classifier', "
                             "num_classes=100, ...)")
        needs_channels = "in_channels" in required_keys(HEADS.check(head))
        if needs_channels and "in_channels" not in head and not hasattr(backbone, "out_channels"):
            raise ValueError(f"{type(backbone).__name__} has no attribute out_channels (number of feature channels), "
                             "so the head needs in_channels=...; a network that makes logits itself takes "
                             "head=dict(type='IdentityHead')")
        in_channels = getattr(backbone, "out_channels", None)
        head = {k: v for k, v in head.items() if k != "num_classes"}
        head = HEADS.build(head, in_channels=in_channels, num_classes=num_classes)
    return Net(backbone, head)
