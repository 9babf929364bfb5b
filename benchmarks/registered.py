"""What benchmarks over all registered methods share: a config of each, and a small network that it can train."""
import atexit
import copy
import shutil
import tempfile
from collections.abc import Callable

import torch
from mmengine.config import Config

from openmix.engine.config.load import load_config
from openmix.models import build_net
from openmix.paths import config_root
from openmix.registry import BACKBONES, MIXUPS, required_keys

VIT = dict(type="TimmModel", name="vit_tiny_patch16_224", img_size=32, patch_size=4, embed_dim=96, depth=4, num_heads=3)
TEACHER = dict(type="Teacher", backbone=dict(type="CifarResNet", depth=20), num_classes=100)
HOLDER = dict(methods=[dict(type="MixUp"), dict(type="CutMix")], method=dict(type="MixUp"), teacher=TEACHER)


def without_downloads(value):
    """A config with every ``weights`` in it left out, so that networks in it start from random numbers."""
    if isinstance(value, Config):
        return Config(without_downloads(value.to_dict()))
    if isinstance(value, dict):
        return {key: without_downloads(inner) for key, inner in value.items() if key not in ("weights", "pretrained")}
    return type(value)(map(without_downloads, value)) if isinstance(value, (list, tuple)) else value


def with_teachers(value, checkpoint: Callable[[dict], str]):
    """A config in which every teacher without weights has those of the file that ``checkpoint(teacher)`` names."""
    if isinstance(value, Config):
        return Config(with_teachers(value.to_dict(), checkpoint))
    if isinstance(value, dict):
        value = {key: with_teachers(inner, checkpoint) for key, inner in value.items()}
        return value if value.get("type") != "Teacher" or "checkpoint" in value else dict(
            value, checkpoint=checkpoint(value))
    return type(value)(with_teachers(v, checkpoint) for v in value) if isinstance(value, (list, tuple)) else value


def random_weights(teacher: dict) -> str:
    """A file of random weights for a teacher, where its speed alone matters; it goes when this process ends."""
    folder = tempfile.mkdtemp(prefix="openmix_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    parts = copy.deepcopy({key: teacher[key] for key in ("backbone", "head", "num_classes") if key in teacher})
    net = build_net(**parts) if len(parts) > 1 else BACKBONES.build(parts["backbone"])
    torch.save(net.state_dict(), f"{folder}/teacher.pth")
    return f"{folder}/teacher.pth"


def method_config(name: str) -> dict:
    """Of a method with default settings; required arguments are those of its ResNet-18 config, or other methods."""
    required = required_keys(MIXUPS.get(name))
    path = config_root() / "cifar100" / f"r18_{name.lower()}.py"
    shipped = without_downloads(load_config(path)).model.mixup.to_dict() if required and path.is_file() else HOLDER
    return dict(type=name, **{key: shipped[key] for key in required})


def backbone(name: str, depth: int = 20) -> dict:
    """A ResNet of 32 x 32 images, or a small transformer for methods that need attention."""
    return VIT if MIXUPS.get(name).needs == "attention" else dict(type="CifarResNet", depth=depth)


def optimizer(name: str) -> dict:
    """One with which that network learns in a few steps."""
    if MIXUPS.get(name).needs == "attention":
        return dict(type="AdamW", lr=1e-3, weight_decay=0.05)
    return dict(type="SGD", lr=0.05, momentum=0.9, weight_decay=1e-4)
