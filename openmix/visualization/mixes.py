"""Mixed samples as a picture: originals above, partners and masks between, mixes below."""
from pathlib import Path

import torch
from torch import Tensor

from ..probes import evaluating


def unit(images: Tensor) -> Tensor:
    """Images shifted and scaled to [0, 1] each, for looking at."""
    low, high = images.flatten(1).min(1).values, images.flatten(1).max(1).values
    span = (high - low).clamp(min=1e-6)
    return (images - low.view(-1, 1, 1, 1)) / span.view(-1, 1, 1, 1)


@torch.no_grad()
def mix_grid(method, images: Tensor, labels: Tensor, draws: dict, net=None, count: int = 8) -> Tensor:
    """One picture (3, rows * H, count * W) in [0, 1]: image, partner, mask and, from door one, the mix.

    Methods that need the network show what ``details`` knows of them.
    """
    with torch.enable_grad():
        found = method.details(images, draws, net=net, labels=labels)
    rows = [unit(images.float()), unit(images.float())[found["partner"]]]
    mask = found.get("mask")
    if mask is not None:
        mask = mask.detach().float().expand(-1, 3, -1, -1)
        rows.append(mask)
        if method.needs == "batch":
            rows.append(unit(method(images, labels, draws)[0].float()))
        else:
            rows.append(torch.lerp(rows[1], rows[0], mask))
    return torch.cat([torch.cat(list(r[:count]), -1) for r in rows], -2).clamp(0, 1).cpu()


def save_mix_picture(path, classifier, loader, epoch: int, count: int = 8) -> None:
    """Draw the first training batch of ``epoch`` as the run will mix it, and save it as PNG."""
    from torchvision.io import write_png

    images, labels, draws, _ = next(iter(loader.batches(epoch, 0)))
    with evaluating(classifier):
        picture = mix_grid(classifier.mixup, images, labels, draws, net=classifier.net, count=count)
    scale = max(1, 64 // images.shape[-1])
    picture = picture.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png((picture * 255).round().byte(), str(path))

