"""Before training: whether the network takes the images and the loss its logits, without changing anything."""
import torch
from torch import nn

from ..losses.base import Criterion

KEPT = ("enabled", "deterministic", "allow_tf32")


def try_network(model: nn.Module, shape, device: torch.device, autocast) -> None:
    """Run the network once on two black images, without a trace in weights, buffers, modes and random numbers.

    Args:
        model: a Classifier, with ``net`` and ``criterion``. shape: (C, H, W) of an image, (D,) of a vector.
        autocast: factory of a context for the forward pass.

    Raises:
        ValueError: the network fails, gives other than (2, num_classes) logits, or NaN (a feature map of no pixel);
            or the loss does not take them. Names network and size.
    """
    net = model.net
    backbone = getattr(net, "backbone", net)
    name = getattr(backbone, "name", None) or type(backbone).__name__
    training = [module for module in net.modules() if module.training]
    cudnn = {key: getattr(torch.backends.cudnn, key) for key in KEPT}
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad(), \
                torch.backends.cudnn.flags(benchmark=False, **cudnn), autocast():
            net.eval()
            logits = net(torch.zeros(2, *shape, device=device))
            check_logits(logits, model.num_classes)
            if isinstance(model.criterion, Criterion):
                model.criterion(logits, torch.zeros(2, dtype=torch.int64, device=device))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a network may fail in any way
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"the network {name} and its loss do not take {show_shape(shape)}: {reason}") from error
    finally:
        for module in training:
            module.training = True


def show_shape(shape) -> str:
    """The shape of an image or a vector in words."""
    if len(shape) == 1:
        return f"vectors of {shape[0]} numbers"
    return f"images of {' x '.join(map(str, shape))} (channels, height, width)"


def check_logits(logits, num_classes: int | None) -> None:
    """Raise ValueError unless ``logits`` are a row of ``num_classes`` numbers for each of two images."""
    if not isinstance(logits, torch.Tensor):
        raise ValueError(f"it gives {type(logits).__name__} and not logits (N, num_classes)")
    if logits.ndim != 2 or len(logits) != 2 or num_classes not in (None, logits.shape[1]):
        raise ValueError(f"of 2 images it makes {tuple(logits.shape)} and not logits (2, {num_classes})")
    if logits.isnan().any():
        raise ValueError("its logits are NaN; are the images too small for so many stages?")
