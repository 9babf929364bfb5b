"""A network that is used and never trained: the teacher of a mixing method."""
import torch
from torch import Tensor, nn

from . import probes


class Frozen(nn.Module):
    """Images (N, C, H, W) -> logits, by a network in eval mode that nothing changes.

    The network is no submodule: ``train()``, ``parameters()`` and ``state_dict()`` of whatever holds this do not reach
    it, so it is neither optimized nor saved. ``to()`` moves it. Gradients pass through it to the images alone.

    Args:
        net: images -> logits. It is set to eval mode, and its parameters to ``requires_grad=False``.
        layer: where :meth:`features` looks; by default the last layer with more than one position.
    """

    cache = None  # of outputs, see Teacher

    def __init__(self, net: nn.Module | None, layer: str | None = None):
        super().__init__()
        self.layer = layer
        self._hidden = ()  # (net,): a tuple is not searched for submodules
        if net is not None:
            self.hide(net)

    def hide(self, net: nn.Module) -> None:
        """Make ``net`` the network."""
        self._hidden = (net.eval().requires_grad_(False),)

    def load(self) -> None:
        """Build the network and read its weights, where that waits for the first use; methods do so in ``attach``."""

    @property
    def net(self) -> nn.Module:
        if not self._hidden:
            self.load()
        return self._hidden[0]

    def _apply(self, fn, recurse=True):
        for net in self._hidden:
            net._apply(fn)
        return super()._apply(fn, recurse)

    def view(self, images: Tensor) -> Tensor:
        """``images`` as the network wants them."""
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes)."""
        return self.net(self.view(images))

    @torch.no_grad()
    def outputs(self, images: Tensor) -> Tensor:
        """The same without a gradient; a subclass may read them from a file, so that hooks of layers do not run."""
        return self(images)

    def features(self, images: Tensor, batch_statistics: bool = False) -> Tensor:
        """The last feature map (N, C, h, w), tokens as a square map, without a gradient; ``layer`` names another.

        ``batch_statistics``: batch norm takes those of the batch, and its running ones stay as they are.

        Raises:
            ValueError: the network has no such layer, or none with feature maps.
        """
        net, images = self.net, self.view(images)
        self.plant(images.shape[1:])
        with torch.no_grad():
            if not batch_statistics:
                return probes.as_map(probes.watch(net, self.layer, lambda: net(images)), images.shape[2:])
            forward = probes.on_copies(net)
            net.train()
            try:
                return probes.as_map(probes.watch(net, self.layer, lambda: forward(images)), images.shape[2:])
            finally:
                net.eval()

    def plant(self, shape) -> None:
        """Find the layer of :meth:`features`, for images of ``shape`` (C, H, W) as the network gets them."""
        if self.layer is None:
            self.layer = probes.last_map(self.net, shape)[0]
        probes.plant(self.net, self.layer)

    def attach(self, shape) -> None:
        """Load the network and find its layer before the first batch, of images of ``shape`` (C, H, W)."""
        self.load()
        device = next((tensor.device for tensor in self.net.parameters()), None)
        self.plant(self.view(torch.zeros(1, *shape, device=device)).shape[1:])


def frozen(teacher: nn.Module) -> Frozen:
    """``teacher`` itself if it is a :class:`Frozen`, else one of it. Raises TypeError unless it is a module."""
    if not isinstance(teacher, nn.Module):
        raise TypeError("teacher must be a network, or in a config dict(type='Teacher', backbone=dict(...), "
                        f"checkpoint=FILE), got {teacher!r}")
    return teacher if isinstance(teacher, Frozen) else Frozen(teacher)
