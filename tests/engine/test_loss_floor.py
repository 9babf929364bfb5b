"""The loss that a run logs has the floor of arXiv 1710.09412; a network that sees all reaches it, whatever the method.

Of two classes with weights lam ~ Beta(a, a) the entropy is psi(2a + 1) - psi(a + 1) nats in the mean, and nothing where
both images are of one class. tests/mixups/test_loss_floor.py goes over the methods outside of a run.
"""
import json

import numpy as np
import pytest
import torch
from torch import nn

from openmix.registry import BACKBONES, MIXUPS
from tests.engine.tiny import config, train
from tests.mixups.contract import make

CLASSES, IMAGES, EPOCHS = 10, 300, 10
METHODS = [name for name in MIXUPS.known() if make(name).needs == "batch" and make(name).weight_from == "lam"
           and "lam" in make(name).draw(2, (32, 32)) and make(name).pairs == 1]


class SeesAll(nn.Module):
    """Logits whose softmax is the share of each class in the pixels: class c is channel c."""

    def __init__(self):
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(()))  # an optimizer needs one; it stays what it is

    def forward(self, images):
        return images.mean((2, 3)).clamp(min=1e-12).log() + 0 * self.zero


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Images that are 1 in the channel of their class; the network is registered as long as they are there."""
    folder, labels = tmp_path_factory.mktemp("channels"), np.arange(IMAGES) % CLASSES
    images = np.repeat(np.eye(CLASSES, dtype=np.float32)[labels], 16 * 16, axis=1).reshape(IMAGES, CLASSES, 16, 16)
    np.savez(folder / "train.npz", images=images, labels=labels)
    BACKBONES.register_module(module=SeesAll)
    yield folder
    BACKBONES.module_dict.pop("SeesAll")


def logged(root, folder, mixup):
    data = dict(_delete_=True, type="ArrayFile", data_root=str(root), channels_last=False)
    nothing = {f"{stage}_{part}": None for stage in ("val", "test") for part in ("dataloader", "cfg", "evaluator")}
    train(config(folder, mixup, EPOCHS, total_batch=15, **nothing, **{
        "model.backbone": dict(_delete_=True, type="SeesAll"), "model.head": dict(type="IdentityHead"),
        "train_dataloader.dataset": data, "train_dataloader.augment": None, "default_hooks.logger.interval": 1,
        "custom_hooks": []}))
    path, = folder.glob("*/vis_data/scalars.json")
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return torch.tensor([entry.get("mixed", entry["loss"]) for entry in entries if "loss" in entry],
                        dtype=torch.float64)  # a method that adds the loss of clean images logs its parts


@pytest.mark.parametrize("name", METHODS)
def test_the_mean_logged_loss_is_the_entropy_of_the_labels(name, tmp_path, root):
    """(1 - 1/C) E H(lam), within four standard errors of one lam a batch; lam is met within a pixel."""
    actual, alpha = logged(root, tmp_path / "run", name), torch.tensor(float(make(name).alpha), dtype=torch.float64)
    different = 1 - (IMAGES / CLASSES - 1) / (IMAGES - 1)  # pairs of other classes
    floor = different * float(torch.digamma(2 * alpha + 1) - torch.digamma(alpha + 1))
    assert len(actual) == EPOCHS * IMAGES // 15
    assert abs(actual.mean() - floor) < 4 * actual.std() / len(actual)**0.5 + 0.003


def test_without_mixing_the_logged_loss_is_zero(tmp_path, root):
    assert logged(root, tmp_path / "run", "Vanilla").abs().max() < 1e-6
