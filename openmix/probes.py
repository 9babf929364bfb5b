"""Looking into a network and acting inside it. Works with any ``nn.Module``; layers go by name."""
import torch
from torch import Tensor, nn

from .errors import did_you_mean


def find_layer(net: nn.Module, name: str) -> nn.Module:
    """The submodule ``name``, or ``backbone.name`` where the net wraps a backbone.

    Raises:
        ValueError: no such layer; the message names the nearest ones.
    """
    layers = dict(net.named_modules())
    for candidate in (name, f"backbone.{name}"):
        if candidate and candidate in layers:
            return layers[candidate]
    known = [k.removeprefix("backbone.") for k in layers if k and k.count(".") <= 2]
    raise ValueError(f"{type(net).__name__} has no layer {name!r}; {did_you_mean(name, known)}")


@torch.no_grad()
def layer_shape(net: nn.Module, name: str, image_shape=(3, 32, 32)) -> torch.Size:
    """Shape (C, H, W) of what leaves layer ``name`` for one image; buffers of the net stay as they are."""
    seen = []
    handle = find_layer(net, name).register_forward_hook(lambda module, args, out: seen.append(out.shape[1:]))
    was_training = net.training
    try:
        parameter = next(net.parameters())
        net.eval()(torch.zeros(1, *image_shape, device=parameter.device, dtype=parameter.dtype))
    finally:
        handle.remove()
        net.train(was_training)
    return seen[0]


def input_gradient(net, images: Tensor, labels, criterion) -> Tensor:
    """Saliency sqrt(mean over channels of (d loss / d image)^2), (N, H, W).

    Uses ``torch.autograd.grad``: gradients being accumulated in the parameters stay right.
    """
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(criterion(net(images), labels), images)
    return gradient.float().square().mean(1).sqrt()
