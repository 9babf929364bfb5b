"""The library in a few calls: what there is, and training or testing a config."""
import inspect
from fnmatch import fnmatchcase

from .errors import did_you_mean
from .paths import config_root, shipped  # noqa: F401, config_root is public here


def match(names, pattern: str) -> list[str]:
    """Those of ``names`` that fit a shell pattern, capital or not: ``cut*`` finds ``CutMix``."""
    return [name for name in names if fnmatchcase(name.lower(), pattern.lower())]


def list_mixups(pattern: str = "*", needs: str | None = None) -> list[str]:
    """Names of the mixing methods; ``needs``: "batch", "gradient", "hidden", "learned", "outputs" or "attention"."""
    from .registry import MIXUPS

    kinds = {name: MIXUPS.get(name).needs for name in MIXUPS.known()}
    if needs is not None and needs not in kinds.values():
        raise ValueError(f"no mixing method needs {needs!r}; {did_you_mean(needs, kinds.values())}")
    return [name for name in match(kinds, pattern) if needs in (None, kinds[name])]


def get_mixup(name: str, /, **kwargs):
    """A mixing method by name, e.g. ``get_mixup("CutMix", alpha=0.2, num_classes=100)``."""
    from .registry import MIXUPS

    return MIXUPS.build(dict(type=name, **kwargs))


def list_models(pattern: str = "*") -> list[str]:
    """Names of the backbones of this library; torchvision's and timm's go by TorchvisionModel and TimmModel."""
    from .registry import BACKBONES

    return match(BACKBONES.known(), pattern)


def get_model(name: str, /, num_classes: int | None = None, pretrained=False, **kwargs):
    """A classification network (images -> logits), e.g. ``get_model("ResNet", 100, depth=18, stem="cifar")``.

    One of another library: ``get_model("TimmModel", 100, name="resnet18")``.

    Args:
        num_classes: number of classes of the head.
        pretrained: path of a checkpoint of a run, of a published file or of others' weights; or True for the weights
            that torchvision or timm knows (downloaded by them, the head stays new).

    Raises:
        ValueError: unknown names or options; weights of another network; ``True`` for a network nobody has weights of.
        FileNotFoundError: no file of weights.
    """
    from .models import build_net
    from .registry import BACKBONES

    if BACKBONES.get(name) is None and (elsewhere := _elsewhere(name)):
        raise ValueError(f"no backbone {name!r} here; {elsewhere}")
    backbone = dict(type=name, **kwargs)
    if pretrained is True:
        backbone |= _library_weights(BACKBONES.check(backbone, filled=()))
    net = build_net(backbone, num_classes=num_classes)
    if pretrained not in (False, None, True):
        from .inference.weights import load_weights

        load_weights(net, pretrained)
    return net


def _elsewhere(name: str) -> str | None:
    """How a network of torchvision or timm is asked for by its name there; None where they have none."""
    from .backbones.timm_models import has_model

    calls = [f"get_model({kind!r}, num_classes, name={name!r})" for kind in ("TorchvisionModel", "TimmModel")
             if has_model(kind, name)]
    return f"that of another library: {' or '.join(calls)}" if calls else None


def _library_weights(backbone) -> dict:
    """The option by which a backbone of torchvision's or timm's gets its pretrained weights."""
    known = inspect.signature(backbone).parameters
    for key, value in (("pretrained", True), ("weights", "DEFAULT")):
        if key in known:
            return {key: value}
    raise ValueError(f"there are no published weights of {backbone.__name__} that could be fetched; give their file, "
                     "pretrained=PATH, or take a network of torchvision or timm (TorchvisionModel, TimmModel)")


def list_configs(pattern: str = "*") -> list[str]:
    """Names of the shipped configs, ``cifar100/r18_mixup.py``, as :func:`train` takes them."""
    return match(shipped(), pattern)


def list_grids(pattern: str = "*") -> list[str]:
    """Shipped grids as ``shapes.py``; ``openmix sweep run shapes`` trains one."""
    return match(shipped("grids"), pattern)


def infer(model, images, **options):
    """Classify images: labels (N,), class names and probabilities (N, classes).

    ``infer("work_dirs/cifar100/r18_mixup/seed0", ["cat.png"])``; see :func:`openmix.inference.predict.infer`.
    """
    from .inference.predict import infer

    return infer(model, images, **options)


def __getattr__(name):  # importing these takes mmengine and seconds
    if name in ("train", "test", "tested", "evaluate", "dry_run", "scale_lr", "finished"):
        from . import registry  # noqa: F401  before others: it imports mmengine, again if processes collide in that
        from .engine import evaluate, run

        return getattr(evaluate if name in ("test", "tested", "evaluate") else run, name)
    if name == "default_work_dir":  # its home before version 0.2
        from .paths import default_work_dir

        return default_work_dir
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
