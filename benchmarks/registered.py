"""What benchmarks over all registered methods share: a config of each, and a small network that it can train."""
from mmengine.config import Config

from openmix.engine.config.load import load_config
from openmix.paths import config_root
from openmix.registry import MIXUPS, required_keys

VIT = dict(type="TimmModel", name="vit_tiny_patch16_224", img_size=32, patch_size=4, embed_dim=96, depth=4, num_heads=3)
TEACHER = dict(type="Teacher", backbone=dict(type="CifarResNet", depth=20), num_classes=100)  # of random weights
HOLDER = dict(methods=[dict(type="MixUp"), dict(type="CutMix")], method=dict(type="MixUp"), teacher=TEACHER)


def without_downloads(value):
    """A config with every ``weights`` in it left out, so that networks in it start from random numbers."""
    if isinstance(value, Config):
        return Config(without_downloads(value.to_dict()))
    if isinstance(value, dict):
        return {key: without_downloads(inner) for key, inner in value.items() if key not in ("weights", "pretrained")}
    return type(value)(map(without_downloads, value)) if isinstance(value, (list, tuple)) else value


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
