"""The library in a few calls: what there is, and training or testing a config."""
import copy
import json
import tempfile
from fnmatch import filter as match
from importlib import resources
from pathlib import Path


def list_mixups(pattern: str = "*", needs: str | None = None) -> list[str]:
    """Names of the mixing methods; ``needs``: "batch", "gradient", "hidden" or "learned"."""
    from .registry import MIXUPS

    return [n for n in match(MIXUPS.known(), pattern) if needs is None or MIXUPS.get(n).needs == needs]


def get_mixup(name: str, **kwargs):
    """A mixing method by name, e.g. ``get_mixup("CutMix", alpha=0.2, num_classes=100)``."""
    from .registry import MIXUPS

    return MIXUPS.build(dict(type=name, **kwargs))


def list_models(pattern: str = "*") -> list[str]:
    """Names of the backbones of this library; torchvision's and timm's go by TorchvisionModel and TimmModel."""
    from .registry import BACKBONES

    return match(BACKBONES.known(), pattern)


def get_model(name: str, num_classes: int, **kwargs):
    """A classification network (images -> logits), e.g. ``get_model("ResNet", 100, depth=18, stem="cifar")``."""
    from .models import build_net

    return build_net(dict(type=name, **kwargs), num_classes=num_classes)


def config_root() -> Path:
    """The folder of shipped configs: beside the package in a checkout, inside it in an installed wheel."""
    beside = Path(__file__).resolve().parent.parent / "configs"
    return beside if (beside / "_base_").is_dir() else Path(str(resources.files("openmix"))) / "configs"


def list_configs(pattern: str = "*") -> list[str]:
    """Shipped configs as ``cifar100/r18_mixup.py``; pass one to :func:`train` under :func:`config_root`."""
    root = config_root()
    found = [p.relative_to(root).as_posix() for p in sorted(root.rglob("*.py"))]
    return match([f for f in found if not f.startswith("_base_") and "/_base_/" not in f], pattern)


def default_work_dir(config_path, seed: int) -> str:
    """``work_dirs/<config path>/seed<k>``: two configs or two seeds never share a folder."""
    path = Path(config_path).resolve().with_suffix("")
    parts = path.parts
    inside = parts[len(parts) - parts[::-1].index("configs"):] if "configs" in parts else parts[-1:]
    return str(Path("work_dirs", *inside, f"seed{seed}"))


def scale_lr(cfg) -> None:
    """Linear scaling: lr * total_batch / base_batch_size; does nothing where they agree."""
    base = cfg.auto_scale_lr.base_batch_size
    factor = cfg.train_dataloader.total_batch / base
    cfg.optim_wrapper.optimizer.lr *= factor
    cfg.auto_scale_lr.enable = True


def finished(cfg) -> bool:
    """Whether ``cfg.work_dir`` holds the finished run of this very config.

    Raises:
        ValueError: it holds something a new run would overwrite.
    """
    from .engine import result, workdir

    folder, config_hash = Path(cfg.work_dir), workdir.config_hash(cfg.to_dict())
    report = folder / "result.json"
    if report.is_file():
        found = result.read(report)
        same = found["config_hash"] == config_hash
        if cfg.get("resume"):
            if found["status"] == "done" and same:
                return True
        else:
            raise ValueError(f"{folder} holds a finished run (status {found['status']}); give another --work-dir or "
                             "--seed, or --resume to leave it at that")
    elif not cfg.get("resume") and any(folder.glob("*.pth")):
        raise ValueError(f"{folder} holds an unfinished run; --resume continues it, or give another --work-dir")
    return False


def train(cfg) -> dict:
    """Train a config (a path, or a Config with ``work_dir`` set) and return its result record.

    A run that has finished already is not repeated: with ``resume`` its record is returned at once.
    """
    from mmengine.config import Config

    from .engine.config import check_config, load_config
    from .engine.runner import Runner

    if not isinstance(cfg, Config):
        path, cfg = cfg, load_config(cfg)
        seed = cfg.get("randomness", {}).get("seed", 0)
        cfg.setdefault("work_dir", default_work_dir(path, seed))
    check_config(cfg)
    report = Path(cfg.work_dir) / "result.json"
    if not finished(cfg):
        Runner.from_cfg(cfg).train()
    return json.loads(report.read_text()) if report.is_file() else {}


def test(cfg, weights) -> dict:
    """Accuracy of a checkpoint on the test set: {network: {"top1": %, "top5": %, "count": n}}."""
    from .engine.runner import Runner

    cfg = copy.deepcopy(cfg)
    cfg.load_from, cfg.resume = str(weights), False
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "val_dataloader", "val_cfg",
                "val_evaluator"):
        cfg.pop(key, None)
    return Runner.from_cfg(cfg).test()


def dry_run(cfg) -> dict:
    """Two iterations of training and evaluation, a stop and a resume between them, and a test; in a temporary dir."""
    from .engine.loops import Stopped
    from .engine.runner import Runner

    cfg = copy.deepcopy(cfg)
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir, cfg.resume = folder, False
        cfg.train_cfg.update(max_epochs=1, val_interval=1, limit=2, stop_after=1)
        for key in ("val_cfg", "test_cfg"):
            if cfg.get(key) is not None:
                cfg[key].limit = 2
        try:
            Runner.from_cfg(cfg).train()
        except Stopped:
            pass
        cfg.resume = True
        cfg.train_cfg.pop("stop_after")
        Runner.from_cfg(cfg).train()
        return test(cfg, Path(folder) / "epoch_1.pth")
