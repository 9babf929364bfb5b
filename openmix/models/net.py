"""A network: backbone and head, without mixing."""
from torch import Tensor, nn

from ..checks import is_whole
from ..registry import BACKBONES, HEADS


class Net(nn.Module):
    """Images (N, C, H, W) -> logits (N, classes)."""

    def __init__(self, backbone: nn.Module, head: nn.Module):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))


def count_classes(head, num_classes=None) -> int | None:
    """The number of classes of a head, from its config or the model's. Raises ValueError where the two differ."""
    own = head.get("num_classes") if isinstance(head, dict) else None
    if None not in (own, num_classes) and own != num_classes:
        raise ValueError(f"head.num_classes is {own!r}, but the model's num_classes is {num_classes!r}; leave it out "
                         "of the head, or make them agree")
    return num_classes if own is None else own


def check_classes(num_classes: int, **parts: nn.Module) -> None:
    """Raise ValueError where a part of a model, or a module inside it, is for another number of classes."""
    for name, part in parts.items():
        for path, module in part.named_modules():
            own = getattr(module, "num_classes", None)
            if is_whole(own) and own != num_classes:
                where = f"{name}.{path}" if path else name
                raise ValueError(f"{where}.num_classes is {own}, but the model has {num_classes} classes; leave it "
                                 "out, or make them agree")


def build_net(backbone, head=None, num_classes=None) -> Net:
    """A :class:`Net` from configs or modules.

    Args:
        backbone: e.g. ``dict(type="ResNet", depth=18)``; its ``out_channels`` sizes the head.
        head: ``dict(type="LinearHead")`` by default; ``in_channels`` and ``num_classes`` need not be in it.
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
        if "in_channels" not in head and not hasattr(backbone, "out_channels"):
            raise ValueError(f"{type(backbone).__name__} has no attribute out_channels (number of feature channels), "
                             "so the head needs in_channels=...")
        in_channels = getattr(backbone, "out_channels", None)
        head = {k: v for k, v in head.items() if k != "num_classes"}
        head = HEADS.build(head, in_channels=in_channels, num_classes=num_classes)
    return Net(backbone, head)
