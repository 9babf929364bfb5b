"""Gradients with respect to the images."""
import torch
from torch import Tensor

from .modes import on_copies


def input_gradient(net, images: Tensor, labels, criterion) -> Tensor:
    """Saliency sqrt(mean over channels of (d loss / d image)^2), (N, H, W).

    Uses ``torch.autograd.grad``: gradients being accumulated in the parameters stay right.
    """
    if torch.compiler.is_compiling():  # the form that torch.compile can trace; outside it costs more on the host
        with torch.no_grad():  # the parameters are constants here
            gradient = torch.func.grad(lambda x: criterion(net(x), labels))(images.detach())
    else:
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(criterion(net(images), labels), images)
    return _magnitude(gradient)


def _magnitude(gradient: Tensor) -> Tensor:
    return gradient.float().square().mean(1).sqrt()


def clean_pass(net, images: Tensor, labels, criterion) -> tuple[Tensor, Tensor]:
    """Logits (N, C) of ``images`` in the net's own mode, and the saliency (N, H, W) of the same pass.

    A loss of the logits can be added to the training loss: their graph stays. The saliency is that of
    :func:`input_gradient`, and no gradient flows through it. While torch.compile traces it takes a pass of its own.
    """
    if torch.compiler.is_compiling():
        saliency = input_gradient(on_copies(net), images, labels, criterion)
        return net(images), saliency
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        logits = net(images)
        (gradient,) = torch.autograd.grad(criterion(logits, labels), images, retain_graph=True)
    return logits, _magnitude(gradient)
