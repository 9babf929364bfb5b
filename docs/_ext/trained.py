"""Networks that know the drawings, for the pictures of methods that look at one: each trained in seconds of a CPU."""
import copy
from functools import cache

import drawings
import torch
from torch import nn
from torchvision.transforms import v2

SIDE = 64  # pixels of an image, unless another is asked for
NORMALISE = (0.5,), (0.25,)  # mean and standard deviation
CONVOLUTIONS = dict(backbone=dict(type="CifarResNet", depth=8, stem="half"), lr=0.02)
ATTENTION = dict(backbone=dict(type="TimmModel", name="vit_tiny_patch16_224", patch_size=8, embed_dim=96, depth=4,
                               num_heads=3), lr=0.002)


@cache
def trained(backbone: str, side: int = SIDE, steps: int = 200, batch: int = 16) -> nn.Module:
    """Of ``"convolutions"`` or ``"attention"``: a network for normalised images, which tells the eight things apart."""
    from openmix.cli.show import CLASSES
    from openmix.models import build_net

    options = dict(convolutions=CONVOLUTIONS, attention=ATTENTION)[backbone]
    size = dict(img_size=side) if backbone == "attention" else {}
    images, labels = drawings.swapped(side)
    vary = v2.RandomResizedCrop(side, (0.5, 1), (0.8, 1.25), antialias=True)
    images = (images - NORMALISE[0][0]) / NORMALISE[1][0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_net(options["backbone"] | size, num_classes=CLASSES).train()
        optimizer = torch.optim.AdamW(net.parameters(), lr=options["lr"])
        for _ in range(steps):
            chosen = torch.randperm(len(images))[:batch]
            mixed = torch.stack([vary(image) for image in images[chosen]])
            loss = nn.functional.cross_entropy(net(mixed), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


def prepare(name: str, side: int = SIDE) -> tuple:
    """As :func:`openmix.cli.show.prepare`, with one of these networks."""
    from openmix.registry import MIXUPS

    method = MIXUPS.get(name).example()
    if method.needs == "batch":
        return method, None, ((0.0,), (1.0,))
    net = copy.deepcopy(trained("attention" if method.needs == "attention" else "convolutions", side))
    method.attach(net)
    return method, net, NORMALISE
