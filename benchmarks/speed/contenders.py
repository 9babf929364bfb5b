"""Training epochs to compare: openmix's own, through its Runner, and two loops the way people write them.

Each maker returns ``epoch()``, which trains the next ``steps`` batches of 100 on the same data with the same network,
method and optimizer. Peers know the methods of ``MIXES``.
"""
import functools
import itertools
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from mmengine.config import Config
from textbook import area_kept, cut_box, cutmix, mixup
from torch.utils.data import DataLoader
from torchvision import transforms

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from registered import VIT, method_config, optimizer, random_weights, with_teachers, without_downloads  # noqa: E402

from openmix.datasets import CIFAR100  # noqa: E402
from openmix.datasets.arrays import Arrays  # noqa: E402
from openmix.engine.config.load import load_config  # noqa: E402
from openmix.engine.precision import amp_dtype, autocast  # noqa: E402
from openmix.engine.runner import Runner  # noqa: E402
from openmix.models import build_net  # noqa: E402
from openmix.paths import config_root  # noqa: E402
from openmix.registry import DATASETS  # noqa: E402

BATCH, CLASSES, IMAGES, STEPS = 100, 100, 50_000, 500
BACKBONES = dict(r18="ResNet-18", rx50="ResNeXt-50 32x4d", wrn28_8="WRN-28-8", r20="ResNet-20",
                 vit="a transformer of 4 blocks, width 96")
SGD = dict(lr=0.1, momentum=0.9, weight_decay=1e-4)


@functools.cache
def data(root: str | None) -> Arrays:
    """CIFAR-100 under ``root``, or noise of its shape: all contenders share one copy."""
    if root is not None:
        return CIFAR100(root)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (IMAGES, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return Arrays(images, torch.arange(IMAGES) % CLASSES, range(CLASSES), name="noise like CIFAR-100")


@DATASETS.register_module()
def AlreadyRead(data_root=None):
    """``data`` by a config."""
    return data(data_root)


def recipe(backbone: str, method: str) -> Config:
    """The shipped config; of a method without one, the plain config with this method and its default settings."""
    folder = config_root() / "cifar100"
    path = folder / f"{backbone}_{method.lower()}.py"
    if path.is_file():
        return with_teachers(without_downloads(load_config(path)), random_weights)
    cfg = load_config(folder / f"{'r20' if backbone == 'vit' else backbone}_vanilla.py")
    cfg.model.mixup = with_teachers(method_config(method), random_weights)
    if backbone == "vit":
        cfg.model.backbone, cfg.optim_wrapper.optimizer = VIT, optimizer("Vanilla")
    return cfg


def network(backbone: str):
    return build_net(dict(recipe(backbone, "Vanilla").model.backbone), None, CLASSES)


# -- openmix ---------------------------------------------------------------------------------------------------------


def openmix(backbone: str, method: str, root: str | None, steps: int, form: str = "auto"):
    """What ``tools/train.py`` runs, without evaluation, checkpoints and pictures.

    ``epoch.warnings`` lists the run's warnings: a form of the step that was asked for and cannot be had.
    """
    cfg = recipe(backbone, method)
    for key in ("val_dataloader", "val_cfg", "val_evaluator", "test_dataloader", "test_cfg", "test_evaluator"):
        cfg.pop(key)
    folder = tempfile.TemporaryDirectory(prefix="openmix_")
    cfg.work_dir, cfg.log_level = folder.name, "ERROR"
    cfg.train_dataloader.dataset = dict(type="AlreadyRead", data_root=root)
    cfg.train_cfg.update(max_epochs=10_000 // steps + 100, limit=steps)
    cfg.default_hooks.update(checkpoint=None, preview=None, progress=None)
    cfg.env_cfg.step = form
    runner, warnings = Runner.from_cfg(cfg), []
    runner.logger.warning = warnings.append
    loop = runner.build_train_loop()
    runner.call_hook("before_run")
    loop.start()

    def epoch(folder=folder):  # the folder lives as long as the contender
        loop.run_epoch()

    epoch.warnings = warnings
    return epoch


# -- by hand ---------------------------------------------------------------------------------------------------------


class Stored(torchvision.datasets.CIFAR100):
    """torchvision's data set on the images already read, whatever their md5."""

    def __init__(self, data, transform):
        self.data, self.targets = data.images.permute(0, 2, 3, 1).contiguous().numpy(), data.labels.tolist()
        self.transform, self.target_transform = transform, None


def torchvision_loader(data, workers: int, pin_memory: bool = False) -> DataLoader:
    """The CIFAR recipe by torchvision: PIL images, reflect-padded crop, flip, normalise; float32 batches."""
    stored = Stored(data, transforms.Compose([
        transforms.RandomCrop(32, padding=4, padding_mode="reflect"), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]))
    return DataLoader(stored, BATCH, shuffle=True, num_workers=workers, pin_memory=pin_memory,
                      persistent_workers=workers > 0)


def no_mixing(images, labels):
    return images, (labels, labels, 1.0)


def mixup_without_waiting(images, labels):
    lam = float(torch.distributions.Beta(1.0, 1.0).sample())  # on the host
    index = torch.randperm(len(images), device=images.device)
    return images.lerp(images[index], 1 - lam), (labels, labels[index], lam)


def cutmix_without_waiting(images, labels):
    lam = float(torch.distributions.Beta(1.0, 1.0).sample())
    index = torch.randperm(len(images), device=images.device)
    box = top, bottom, left, right = cut_box(*images.shape[2:], lam)
    patch = images[..., top:bottom, left:right].index_select(0, index)  # a copy: the batch may be written to
    images[..., top:bottom, left:right] = patch
    return images, (labels, labels[index], area_kept(images, box))


MIXES = dict(Vanilla=(no_mixing, no_mixing), MixUp=(mixup, mixup_without_waiting),
             CutMix=(cutmix, cutmix_without_waiting))


def mixed_loss(logits, a, b, lam):
    return lam * F.cross_entropy(logits, a) + (1 - lam) * F.cross_entropy(logits, b)


def textbook(backbone: str, method: str, root: str | None, steps: int, device, workers: int):
    """torchvision, DataLoader and PIL; float32 (a GPU multiplies TF32 in convolutions); the loss is read each step."""
    loader = torchvision_loader(data(root), workers, pin_memory=device.type == "cuda")
    net, mix = network(backbone).to(device), MIXES[method][0]
    optimizer = torch.optim.SGD(net.parameters(), **SGD)

    def epoch():
        net.train()
        total = 0.0
        for images, labels in itertools.islice(loader, steps):
            mixed, target = mix(images.to(device), labels.to(device))
            loss = mixed_loss(net(mixed), *target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total / steps
    return epoch


def careful(backbone: str, method: str, root: str | None, steps: int, device):
    """Everything that pays in an eager loop: images on the device, whole batches augmented there, openmix's precision,
    channels_last on GPUs, fused SGD; the host reads nothing."""
    dataset, layout = data(root), torch.channels_last if device.type == "cuda" else torch.contiguous_format
    reflected = (31 - (31 - torch.arange(-4, 36).abs()).abs())
    padded = dataset.images[:, :, reflected][..., reflected].to(device)
    windows, labels = padded.unfold(2, 32, 1).unfold(3, 32, 1), dataset.labels.to(device)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in (dataset.mean, dataset.std))
    net, mix = network(backbone).to(device, memory_format=layout), MIXES[method][1]
    optimizer = torch.optim.SGD(net.parameters(), **SGD, fused=True)
    context = autocast(device, amp_dtype("auto", device))

    def epoch():
        net.train()
        total, order = torch.zeros((), device=device), torch.randperm(len(labels), device=device)
        shifts = torch.randint(9, (2, len(labels)), device=device)
        flips = torch.rand(len(labels), 1, 1, 1, device=device) < 0.5
        for first in range(0, steps * BATCH, BATCH):
            index, part = order[first:first + BATCH], slice(first, first + BATCH)
            images = windows[index, :, shifts[0, part], shifts[1, part]]
            images = torch.where(flips[part], images.flip(3), images)
            images = images.float().sub_(mean).div_(std).contiguous(memory_format=layout)
            mixed, target = mix(images, labels[index])
            with context():
                loss = mixed_loss(net(mixed), *target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return total / steps
    return epoch
