"""Mixed samples as a picture: originals above, partners and masks between, mixes below."""
from pathlib import Path

import torch
from torch import Tensor

from ..probes import evaluating
from ..target import as_sources

PARTNERS = 3  # at most so many are shown of a method that mixes many images


def unit(images: Tensor) -> Tensor:
    """Images shifted and scaled to [0, 1] each, for looking at."""
    low, high = images.flatten(1).min(1).values, images.flatten(1).max(1).values
    span = (high - low).clamp(min=1e-6)
    return (images - low.view(-1, 1, 1, 1)) / span.view(-1, 1, 1, 1)


def coloured(images: Tensor) -> Tensor:
    """Images (N, C, H, W) of any channel count as (N, 3, H, W): three are kept, of others the mean is grey."""
    return images if images.shape[1] == 3 else images.mean(1, keepdim=True).expand(-1, 3, -1, -1)


@torch.no_grad()
def mix_grid(method, images: Tensor, labels: Tensor, draws: dict, net=None, count: int = 8) -> Tensor:
    """One picture (3, rows * H, count * W) in [0, 1]: image, partners, mask of the image and the mix.

    Methods that need the network show what ``details`` knows of them.
    """
    with torch.enable_grad():
        details = method.details(images, draws, net=net, labels=labels)
    sources, _, masks = as_sources(details)
    originals = unit(coloured(images.float()))
    shown = [originals[sources[:, k]] for k in range(sources.shape[1])]
    rows = shown[:1 + PARTNERS]
    if masks is not None:
        masks = masks.detach().float()
        rows.append(masks[:, :1].expand(-1, 3, -1, -1))
        if method.needs == "batch":
            rows.append(unit(coloured(method(images, labels, draws)[0].float())))
        else:
            rows.append(sum(masks[:, k:k + 1] * image for k, image in enumerate(shown)))
    return torch.cat([torch.cat(list(r[:count]), -1) for r in rows], -2).clamp(0, 1).cpu()


def save_mix_picture(path, classifier, loader, epoch: int, count: int = 8) -> None:
    """Draw the first training batch of ``epoch`` as the run will mix it, and save it as PNG; of images alone."""
    from torchvision.io import write_png

    if len(loader.shape) != 3:
        return
    row = next(iter(loader.rows(epoch)))
    images, labels = loader.batch(row)
    with evaluating(classifier):
        picture = mix_grid(classifier.mixup, images, labels, row.mix, net=classifier.net, count=count)
    scale = max(1, 64 // images.shape[-1])
    picture = picture.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png((picture * 255).round().byte(), str(path))
