"""A run of seconds: ResNet-8 on a few embedded shapes, float32, one thread."""
import atexit
import copy
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch
from mmengine.config import Config

from openmix.engine.runner import Runner
from openmix.models import build_net
from openmix.registry import MIXUPS, required_keys
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
BACKBONE = dict(type="CifarResNet", depth=8)
METHODS = [name for name in MIXUPS.known()]


def spec(name: str) -> dict:
    """A config of a registered method with default settings, or fewer where they take long."""
    if name == "RandomChoice":
        return dict(type=name, methods=[dict(type="AutoMix"), dict(type="CutMix", per_sample=True, prob=0.7)])
    few = dict(AlignMix=dict(iterations=5), CoMixup=dict(sweeps=3, part=5),
               TokenMix=dict(teacher=None, grid=4, extra=1))
    if name not in few and "teacher" in required_keys(MIXUPS.get(name)):
        return dict(type=name, teacher=teacher())
    return dict(type=name, **few.get(name, {}))


def backbone(mixup: dict) -> dict:
    """A network of seconds that a method can train: ResNet-8, or a transformer where it needs attention."""
    if MIXUPS.get(mixup["type"]).needs != "attention":
        return dict(BACKBONE)
    return dict(type="TimmModel", name="vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=16, depth=2,
                num_heads=2)


@cache
def teacher() -> dict:
    """The config of a teacher of ten classes, with its weights in a file that goes when the tests end."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    backbone = dict(type="CifarResNet", depth=8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        torch.save(build_net(backbone, num_classes=10).state_dict(), f"{folder}/teacher.pth")
    return dict(type="Teacher", backbone=backbone, num_classes=10, checkpoint=f"{folder}/teacher.pth")


def config(work_dir, mixup="MixUp", epochs=2, total_batch=10, images=40, **changes) -> Config:
    data = dict(type="Shapes", num_images=images)
    mixup = spec(mixup) if isinstance(mixup, str) else mixup
    test = dict(dataset=dict(type="Shapes", num_images=23, split="test"), batch_size=10)
    cfg = Config(dict(
        model=dict(type="Classifier", num_classes=10, backbone=backbone(mixup), mixup=mixup),
        train_dataloader=dict(total_batch=total_batch, dataset=data, augment=dict(padding=4, mode="reflect", flip=0.5)),
        val_dataloader=test, test_dataloader=copy.deepcopy(test), val_evaluator=dict(type="Accuracy"),
        test_evaluator=dict(type="Accuracy"), val_cfg=dict(), test_cfg=dict(),
        train_cfg=dict(max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.05, momentum=0.9, weight_decay=1e-4)),
        param_scheduler=[dict(type="CosineAnnealingLR")], env_cfg=dict(amp="off", channels_last=False),
        default_hooks=dict(logger=dict(interval=3), checkpoint=dict(min_seconds=0, max_keep=-1), preview=None),
        custom_hooks=[dict(type="EMAHook", momentum=0.1)], randomness=dict(seed=3), work_dir=str(work_dir)))
    cfg.merge_from_dict(changes)
    return cfg


def train(cfg):
    torch.set_num_threads(1)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def losses(work_dir) -> dict:
    """{iteration: logged loss} of all parts of a run."""
    actual = {}
    for path in sorted(Path(work_dir).glob("*/vis_data/scalars.json")):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            if "loss" in entry:
                actual[entry["step"]] = entry["loss"]
    return actual


def command(*arguments, processes=1, check=True):
    """Run tools/train.py in ``processes`` processes on the CPU."""
    line = [ROOT / "tools/train.py", *arguments]
    if processes > 1:
        done = forked.run_ranks(processes, *line, "--launcher", "pytorch")
    else:
        done = forked.run(*line)
    if check and done.returncode != 0:
        raise AssertionError(f"{line} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done


def dump(cfg, path) -> Path:
    """``cfg`` as a config file."""
    cfg.dump(str(path))
    return Path(path)


def assert_equal_state(a: dict, b: dict) -> None:
    """Nested plain data, bit by bit."""
    assert a.keys() == b.keys()
    for key, value in a.items():
        if isinstance(value, dict):
            assert_equal_state(value, b[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, b[key]), key
        elif isinstance(value, (list, tuple)):
            assert_equal_state(dict(enumerate(value)), dict(enumerate(b[key])))
        else:
            assert value == b[key], key
