"""The parts of a run from its config: environment, random numbers, model, hooks, loaders."""
import inspect
import os
import random

import numpy as np
import torch
from mmengine.hooks import Hook
from torch import nn

from ..errors import did_you_mean
from ..registry import DATASETS, HOOKS
from . import agreement, precision
from .distributed import syncbn
from .distributed.launch import unwrap
from .trial import try_network


def set_environment(env: dict, device: torch.device) -> None:
    """Device, memory and threads of this process, as ``env_cfg`` has them."""
    if device.type == "cpu":
        precision.tune_malloc()
    else:
        torch.cuda.set_device(device)
    if env.get("num_threads"):
        torch.set_num_threads(env["num_threads"])
    torch.backends.cudnn.benchmark = env.get("cudnn_benchmark", True)


def set_randomness(seed: int, deterministic: bool) -> None:
    """Seed Python, NumPy and torch; ``deterministic`` allows deterministic kernels only."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic:
        torch.backends.cudnn.benchmark = False
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


def wrap_model(model: nn.Module, cfg, device: torch.device, amp_dtype, world_size: int) -> nn.Module:
    """The model in its memory format on its device, inside DistributedDataParallel for several processes."""
    channels_last = (cfg.get("env_cfg") or {}).get("channels_last", "auto")
    if channels_last == "auto":  # on CPUs it pays in float32 and costs in bf16 (docs/reference/speed.md)
        channels_last = device.type == "cuda" or amp_dtype is None
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    if cfg.get("sync_bn") and world_size > 1:
        model = syncbn.convert(model, device)
    model = model.to(device)
    if world_size == 1:
        return model
    # batch statistics are averaged once an epoch instead; newer versions of torch warn about the older name
    names = inspect.signature(nn.parallel.DistributedDataParallel).parameters
    sync = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    return nn.parallel.DistributedDataParallel(
        model, device_ids=[device.index] if device.type == "cuda" else None, gradient_as_bucket_view=True,
        find_unused_parameters=cfg.get("find_unused_parameters", False), **{sync: False})


def build_hook(hook, priority=None) -> Hook:
    """A hook, an object or a config, with its priority."""
    if isinstance(hook, dict):
        hook = dict(hook)
        priority = hook.pop("priority", priority)
        hook = HOOKS.build(hook)
    if priority is not None:
        hook.priority = priority
    return hook


def check_networks(cfg, known) -> None:
    """Raise ValueError if ``val_cfg.network`` or ``test_cfg.network`` is not among the names of networks, ``known``."""
    for name in ("val_cfg", "test_cfg"):
        network = (cfg.get(name) or {}).get("network")
        if network is not None and network not in known:
            raise ValueError(f"{name}.network: no network {network!r} is evaluated here; "
                             f"{did_you_mean(network, known)}")


def build_loader(runner, cfg, train: bool, where: str = "val_dataloader"):
    """The loader of ``train_dataloader`` or of an evaluation (``where``), resident or streaming.

    Evaluation numbers classes and normalises as training does.

    Raises:
        ValueError: data that does not fit to training, or to the model's classes; a network or mixing method that
            takes no images of this shape.
    """
    from ..datasets import make_loader
    from ..datasets.options import with_seed

    if not isinstance(cfg, dict):
        return cfg
    cfg, options = dict(cfg), dict(runner.cfg.get("data_preprocessor") or {})
    allow, model, warn = cfg.pop("allow", None) or (), unwrap(runner.model), runner.logger.warning
    training = None if train or runner.train_loop is None else runner.train_loop.dataloader
    data = DATASETS.build(with_seed(cfg.pop("dataset"), runner.seed))
    if training is not None:
        data = agreement.fit_to_training(data, training.data, allow, where, warn)
        options = dict(training.statistics(), crop=training.crop)
    options = dict(options, device=runner.device, rank=runner.rank, world=runner.world_size, train=train, **cfg)
    if train:
        options.update(seed=runner.seed, draw=model.mixup.draw, neighbours=model.mixup.neighbours)
    loader = make_loader(data, **options)
    if training is not None and len(loader.size) == len(training.size) == 2 and loader.size != training.size:
        warn(agreement.other_size(loader.size, training.size))
    check_class_count(model.num_classes, data, train)
    if loader.shape != runner.tried_shape:
        try_network(model, loader.shape, runner.device, runner.autocast)
        runner.tried_shape = loader.shape
    if train:
        model.mixup.check_images(torch.empty(1, *loader.shape, device="meta"))
    return loader


def check_class_count(classes: int | None, data, train: bool) -> None:
    """Raise ValueError if a model of so many classes does not fit to ``data``; a small test set may lack some."""
    count = len(data.classes)
    if classes is not None and (count > classes or train and count < classes):
        raise ValueError(f"the model has {classes} classes but {data.name} has {count}; set model.num_classes={count}")
