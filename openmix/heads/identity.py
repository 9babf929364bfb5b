"""No classifier: the backbone is a whole network."""
from torch import Tensor, nn


class IdentityHead(nn.Module):
    """The backbone's output (N, num_classes) as it is: for a network that makes logits itself.

    Args:
        num_classes: number of logits, checked in each pass. in_channels: not used.

    Raises:
        ValueError: in a pass, an output of another shape.
    """

    def __init__(self, num_classes, in_channels=None):
        super().__init__()
        self.num_classes = int(num_classes)

    def forward(self, logits: Tensor) -> Tensor:
        if logits.ndim != 2 or logits.shape[1] != self.num_classes:
            raise ValueError(f"the backbone must give logits (N, {self.num_classes}), got {tuple(logits.shape)}; "
                             "features go through head=dict(type='LinearHead')")
        return logits
