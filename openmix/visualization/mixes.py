"""What a mixing method makes of a batch: its sources, masks, mixture and label weights, and a picture of them."""
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..losses import SoftCrossEntropy
from ..plan import draws_at
from ..probes import evaluating
from ..sampling import keyed_generator
from ..target import as_sources

PARTNERS = 3  # at most so many are shown of a method that mixes many images
GUTTER = 2  # pixels between two tiles
WHITE = 1.0


class Mix(NamedTuple):
    """Mixed samples.

    Attributes:
        sources: which images of the batch, (N, M) int64; the first is the image itself.
        weights: of their labels, (N, M).
        masks: the share of each source in each pixel, (N, M, H, W), or None where mixing is inside the network.
        mixed: what the network sees, (N, C, H, W), or None where that is not mixed.
    """

    sources: Tensor
    weights: Tensor
    masks: Tensor | None
    mixed: Tensor | None


# -- mixing ----------------------------------------------------------------------------------------------------------


def look(method, images: Tensor, labels: Tensor, draws: dict, net=None) -> Mix:
    """What ``method`` makes of a batch under ``draws``; methods that need ``net`` show what ``details`` knows."""
    with torch.enable_grad():
        sources, weights, masks = as_sources(method.details(images, draws, net=net, labels=labels))
    masks = None if masks is None else masks.detach().float()
    if method.needs == "batch":
        mixed = method(images, labels, draws)[0]
    elif masks is not None:
        mixed = sum(masks[:, k:k + 1] * images[sources[:, k]] for k in range(sources.shape[1]))
    else:
        mixed = None
    return Mix(sources, weights.detach(), masks, mixed)


def look_inside(method, images: Tensor, labels: Tensor, draws: dict, net) -> Mix:
    """As :func:`look`, with the mixture that ``net`` really sees in a training step.

    The step is run: statistics of ``net`` and state of the method change.
    """
    mix, seen = look(method, images, labels, draws, net), []
    if method.needs == "batch":
        return mix
    with net.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach().clone()), prepend=True):
        method.loss(net, images, labels, SoftCrossEntropy(), draws)
    mixed = seen[-1][-len(images):]  # views of one pass are in the order clean, mixed
    return mix._replace(mixed=None if mix.masks is None and torch.equal(mixed, images) else mixed)


def draws_near(method, images: Tensor, labels: Tensor, lam: float, net=None, index: int = 0, tries: int = 40,
               seed: int = 0) -> dict:
    """Draws under which the weight of image ``index`` itself is nearest to ``lam``, of so many that are tried."""
    drawn = method.draw(len(images), images.shape[2:], keyed_generator(seed, index), (tries,), images.device)
    best, least = None, float("inf")
    for step in range(tries):
        draws = draws_at(drawn, step)
        with torch.enable_grad():
            weights = as_sources(method.details(images, draws, net=net, labels=labels))[1]
        distance = abs(float(weights[index, 0]) - lam)
        if distance < least - 1e-6:
            best, least = draws, distance
        if least < 0.03:
            break
    return draws_at(drawn, 0) if best is None else best


# -- pictures --------------------------------------------------------------------------------------------------------


def brightness(images: Tensor, mean=None, std=None) -> Tensor:
    """Images as they were before they were normalised, in [0, 1].

    Args:
        mean, std: of the normalisation, one number a channel; None where there was none.

    Values of another range than [0, 1] (spectrograms) are all stretched alike.
    """
    images = images.float()
    if std is not None:
        mean, std = (torch.as_tensor(values, device=images.device).view(-1, 1, 1) for values in (mean, std))
        images = images * std + mean
    low, high = images.min(), images.max()
    if low < -0.02 or high > 1.02:
        images = (images - low) / (high - low).clamp(min=1e-6)
    return images.clamp(0, 1)


def coloured(images: Tensor) -> Tensor:
    """Images (N, C, H, W) of any channel count as (N, 3, H, W): three are kept, of others the mean is grey."""
    return images if images.shape[1] == 3 else images.mean(1, keepdim=True).expand(-1, 3, -1, -1)


def grid(rows: list[Tensor], gutter: int = GUTTER) -> Tensor:
    """Rows of tiles (N, 3, H, W) as one picture, with white gutters."""
    def pad(tiles):
        return torch.nn.functional.pad(tiles, (0, gutter, 0, gutter), value=WHITE)

    return torch.cat([torch.cat(list(pad(row)), -1) for row in rows], -2)[:, :-gutter or None, :-gutter or None]


@torch.no_grad()
def mix_grid(method, images: Tensor, labels: Tensor, draws: dict, net=None, count: int = 8, mean=None,
             std=None) -> Tensor:
    """One picture (3, H', W') in [0, 1] of ``count`` samples: rows of images, partners, masks and mixtures.

    ``mean`` and ``std`` undo the normalisation of the images, see :func:`brightness`.
    """
    mix = look(method, images, labels, draws, net)
    both = images if mix.mixed is None else torch.cat([images, mix.mixed.to(images.dtype)])
    shown = coloured(brightness(both, mean, std))
    originals, mixed = shown[:len(images)], shown[len(images):]
    rows = [originals[mix.sources[:, k]] for k in range(min(mix.sources.shape[1], 1 + PARTNERS))]
    if mix.masks is not None:
        rows.append(mix.masks[:, :1].expand(-1, 3, -1, -1))
    if len(mixed):
        rows.append(mixed)
    return grid([row[:count] for row in rows]).clamp(0, 1).cpu()


def save_mix_picture(path, classifier, loader, epoch: int, count: int = 8) -> None:
    """Draw the first training batch of ``epoch`` as the run will mix it, and save it as PNG; of images alone."""
    from torchvision.io import write_png

    if len(loader.shape) != 3:
        return
    row = next(iter(loader.rows(epoch)))
    images, labels = loader.batch(row)
    with evaluating(classifier):
        picture = mix_grid(classifier.mixup, images, labels, loader.draws(row), net=classifier.net, count=count,
                           mean=loader.mean, std=loader.std)
    scale = max(1, 64 // images.shape[-1])
    picture = picture.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png((picture * 255).round().byte(), str(path))
