"""The shipped configs: all load and build, and the cells of the tables have the recipes of the tables."""
import math
from functools import cache

import pytest
import torch

from openmix import apis
from openmix.engine.config.check import check_config
from openmix.engine.config.load import load_config
from openmix.engine.optim.schedules import lr_table
from openmix.registry import MIXUPS, MODELS

METHODS = ("vanilla", "mixup", "cutmix", "manifoldmix", "smoothmix", "saliencymix", "fmix", "puzzlemix", "gridmixup",
           "gridmix", "resizemix", "automix")
BACKBONES = ("r18", "rx50", "wrn28_8")
CELLS = [(backbone, method) for backbone in BACKBONES for method in METHODS]
# what a published cell was made with beside its method: the only thing its config may change
PUBLISHED = dict(smoothmix=dict(swapped_labels=True), fmix=dict(banded_spectrum=True), automix=dict(lam_concat=False),
                 saliencymix=dict(one_box=True, saliency="float_bytes"), resizemix=dict(clipped=True),
                 gridmixup=dict(negative_slices=True),
                 attentivemix={"literal": True, "teacher.mean": (0.4914, 0.4822, 0.4465),
                               "teacher.std": (0.2023, 0.1994, 0.2010)})
ALPHA = dict(mixup=1.0, cutmix=0.2, manifoldmix=2.0, saliencymix=0.2, fmix=0.2, puzzlemix=1.0, gridmixup=0.2,
             resizemix=1.0, automix=2.0)
CUTTING = ("cutmix", "saliencymix", "fmix", "resizemix")  # weight decay 5e-4 with ResNeXt-50
BUILT = dict(  # settings of the built methods
    manifoldmix=dict(layers=("input", "layer1", "layer2")),
    puzzlemix=dict(blocks=(2, 4, 8, 16), t_eps=0.8, t_size=4, clean_weight=0.0,
                   energy=dict(n_labels=3, beta=1.2, gamma=0.5, eta=0.2, neigh_size=4)),
    gridmixup=dict(holes=(2, 6), area=(0.5, 1.0), aspect=(0.5, 2.0), negative_slices=False),
    resizemix=dict(scope=(0.1, 0.8), clipped=False, interpolation="nearest"),
    saliencymix=dict(saliency="fine_grained", one_box=False),
    fmix=dict(decay=3.0, max_soft=0.0),
    automix=dict(mask_loss=0.1, margin=0.1, lam_margin=0.08, momentum=0.999, momentum_end=0.999999, upsample="nearest"))
DATA = dict(imagenet="imagefolderdata", small="subset")  # the set of a folder with another name
# counted by building the networks of the tables; CIFAR-10 has 90 rows fewer in its last layer
PARAMETERS = dict(cifar100=dict(r18=11_220_132, rx50=23_177_124, wrn28_8=23_409_092, deit_s=21_704_164),
                  cifar10=dict(r18=11_173_962, rx50=22_992_714),
                  imagenet=dict(r50=25_557_032))  # as torchvision counts


@cache
def config(name):
    cfg = load_config(apis.config_root() / f"{name}.py")
    cfg.work_dir = "/never/made"
    return cfg


def cell(backbone, method, data="cifar100"):
    return config(f"{data}/{backbone}_{method}")


def test_the_configs_of_the_tables_exist():
    shipped = set(apis.list_configs())
    wanted = {f"cifar100/{b}_{m}.py" for b, m in CELLS} | {f"cifar10/{b}_{m}.py" for b, m in CELLS if b != "wrn28_8"}
    wanted |= {f"cifar100/{b}_{m}_openmixup.py" for b in BACKBONES for m in PUBLISHED}
    wanted |= {f"cifar100/r20_{m}.py" for m in METHODS} | {"shapes/r20_mixup.py", "shapes/r20_vanilla.py"}
    assert wanted <= shipped


@pytest.mark.parametrize("name", [name.removesuffix(".py") for name in apis.list_configs()
                                  if not name.startswith("mixup_paper/")])  # tests/test_configs_mixup_paper.py
def test_every_config_passes_its_own_check(name):
    check_config(config(name))
    data, _, rest = name.partition("/")
    for variant in ("_openmixup", "_decouple", "_p"):
        rest = rest.removesuffix(variant)
    mixup, method = config(name).model.mixup, rest.split("_")[-1]
    if data == "distill":  # <data set>_kd_<method and alpha>
        data, _, rest = rest.partition("_")
        method = "distill" if rest.startswith("kd") else "vanilla"
    if data == "feature_mix":  # <data set>_<where it is mixed>
        data, _, rest = rest.partition("_")
        method = "vanilla" if rest.startswith("erm") else "featuremix"
    if data == "mixup_paper":  # <experiment>_<data or network>; the grid names the method
        return
    assert method in [mixup.type.lower(), *(one["type"].lower() for one in mixup.get("methods", ()))]
    assert config(name).train_dataloader.dataset.type.lower() == DATA.get(data, data)


def test_the_model_of_every_config_builds_with_the_parameters_of_the_tables():
    """Every network, and every kind of network with every method, without memory for weights."""
    built, seen = {}, set()
    for name in apis.list_configs():
        data, backbone = name.split("/")[0], name.split("/")[1].rsplit("_", 1)[0]
        model = config(name.removesuffix(".py")).model
        kinds = tuple(key for key in leaves(model.mixup.to_dict()).items() if key[0].endswith("type"))
        new = {str((model.backbone, model.num_classes)), str((model.backbone.type, kinds))} - seen
        if not new:  # other options of a method: building that is part of its check
            continue
        seen |= new
        with torch.device("meta"):
            model = MODELS.build(model)
        actual = sum(p.numel() for p in model.net.parameters())
        assert actual == PARAMETERS.get(data, {}).get(backbone, actual), name
        built[name] = model.mixup
    kinds = {type(part).__name__ for mixup in built.values() for part in mixup.modules()}
    assert len(built) >= 70 and kinds >= set(MIXUPS.known())


@pytest.mark.parametrize("backbone, method", CELLS)
def test_a_cell_is_trained_as_in_the_tables(backbone, method):
    cfg = cell(backbone, method)
    wide, automix = backbone == "wrn28_8", method == "automix"
    decay = 1e-3 if wide else 5e-4 if backbone == "rx50" and method in CUTTING else 1e-4
    base, low = 0.03 if wide else 0.1, (1e-3 if wide else 0.05) if automix else 0.0
    block = dict(paramwise_cfg=dict(custom_keys={"mixup.block": dict(momentum=0.0)})) if wide and automix else {}
    assert cfg.optim_wrapper.to_dict() == dict(
        optimizer=dict(type="SGD", lr=base, momentum=0.9, weight_decay=decay), **block), "decay on all, no clipping"
    assert cfg.train_cfg.to_dict() == dict(max_epochs=400 if wide else 200, val_interval=1)
    epochs, steps = cfg.train_cfg.max_epochs, 3
    curve = lr_table(cfg.param_scheduler, base, epochs, steps)
    for epoch in range(epochs):  # constant within an epoch: no warm-up, and the cosine never quite ends
        expected = low + (base - low) * (1 + math.cos(math.pi * epoch / epochs)) / 2
        assert curve[epoch * steps:(epoch + 1) * steps] == pytest.approx([expected] * steps, abs=1e-9)
    assert not cfg.get("custom_hooks") and "loss" not in cfg.model, "no EMA, soft cross-entropy without smoothing"
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.total_batch == 100


@pytest.mark.parametrize("data, mode", [("cifar100", "reflect"), ("cifar10", "zeros")])
@pytest.mark.parametrize("backbone", ["r18", "rx50"])
def test_data_is_augmented_as_in_the_tables(data, mode, backbone):
    cfg = cell(backbone, "mixup", data)
    assert cfg.train_dataloader.augment.to_dict() == dict(padding=4, mode=mode, flip=0.5)
    assert cfg.data_preprocessor.to_dict() == dict(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
    assert cfg.train_dataloader.dataset.split == "train" and cfg.val_dataloader.dataset.split == "test"
    assert cfg.val_evaluator.topk == (1, 5) and cfg.randomness.seed == 0


@pytest.mark.parametrize("backbone, method", CELLS)
def test_a_method_has_the_settings_of_the_tables(backbone, method):
    cfg, wide = cell(backbone, method), backbone == "wrn28_8"
    built = MIXUPS.build(cfg.model.mixup)
    if method in ALPHA:
        assert built.alpha == ALPHA[method]
    assert built.prob == 1 and not built.per_sample, "one lam for every batch"
    for key, value in BUILT.get(method, {}).items():
        assert getattr(built, key) == value, key
    if method == "puzzlemix":  # borders of images in [0, 1] are compared, as in the paper's code
        assert torch.allclose(built.std.flatten(), torch.tensor([0.2023, 0.1994, 0.2010]))
    if method == "saliencymix":  # the paper's detector looks at the 8-bit pixels
        assert torch.allclose(built.mean.flatten(), torch.tensor(cfg.data_preprocessor["mean"]))
        assert torch.allclose(built.std.flatten(), torch.tensor(cfg.data_preprocessor["std"]))
    if method == "automix":  # the stage whose maps are a quarter (Wide-ResNet: half) of the image's side
        assert built.layer == ("layer2" if wide else "layer3")
        assert cfg.val_cfg.network == cfg.test_cfg.network == "mix_k"


@pytest.mark.parametrize("method, alpha", [("vanilla", None), ("mixup", 0.2), ("cutmix", 1.0)])
def test_imagenet_is_trained_as_openmixup_does_in_pytorch_style(method, alpha):
    """100 epochs, SGD, 0.1 for a batch of 256, cosine to 0; bicubic crops of 224, evaluation 256 / 224."""
    cfg = config(f"imagenet/r50_{method}")
    assert cfg.model.mixup.get("alpha") == alpha and cfg.train_cfg.max_epochs == 100
    assert cfg.optim_wrapper.to_dict() == dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4))
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.total_batch == 256
    assert lr_table(cfg.param_scheduler, 0.1, 100, 1)[50] == pytest.approx(0.05)
    assert cfg.train_dataloader.augment.to_dict() == dict(scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), flip=0.5)
    views = [cfg[name].dataset.to_dict() for name in ("train_dataloader", "val_dataloader", "test_dataloader")]
    assert [(v["split"], v["size"], v.get("resize")) for v in views] == [
        ("train", 224, None), ("val", 224, 256), ("val", 224, 256)]
    assert all(v["resident"] is False and v["interpolation"] == "bicubic" for v in views)


TRANSFORMERS = ("transmix", "smmix", "tlalign", "mixpro", "tokenmix")


@pytest.mark.parametrize("method", ("vanilla", "mixup", "cutmix", "randomchoice", *TRANSFORMERS))
def test_deit_is_optimized_as_in_the_table_of_transformers(method):
    cfg = cell("deit_s", method)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ("AdamW", 1e-3, 0.05)
    assert cfg.optim_wrapper.clip_grad.max_norm == 5.0 and cfg.train_cfg.max_epochs == 200
    assert cfg.model.loss.to_dict() == dict(type="LabelSmoothing", eps=0.1)
    assert cfg.model.backbone.drop_path_rate == 0.1 and cfg.auto_scale_lr.base_batch_size == 100
    curve = lr_table(cfg.param_scheduler, 1e-3, 200, 10)
    assert curve[0] == pytest.approx(1e-8) and curve[199] == pytest.approx(1e-3) and curve[-1] < 2e-6
    assert curve[1100] == pytest.approx((1e-3 + 1e-6) / 2, rel=1e-3)


@pytest.mark.parametrize("method", TRANSFORMERS)
def test_deit_is_trained_on_imagenet_by_the_recipes_of_the_authors(method):
    cfg = config(f"imagenet/deit_s_{method}")
    optimizer, slow = cfg.optim_wrapper.optimizer, method in ("transmix", "mixpro")
    assert (optimizer.lr, optimizer.weight_decay) == (1e-3, 0.03 if method == "transmix" else 0.05)
    assert cfg.train_dataloader.total_batch == cfg.auto_scale_lr.base_batch_size == 1024
    assert cfg.train_cfg.max_epochs == 300 and cfg.param_scheduler[0].end == (20 if slow else 5)
    curve = lr_table(cfg.param_scheduler, 1e-3, 300, 1)
    assert curve[0] == pytest.approx(1e-6) and max(curve) == pytest.approx(1e-3) and curve[-1] < 1.1e-5
    assert cfg.model.loss.type == ("BinaryCrossEntropy" if method == "tokenmix" else "LabelSmoothing")
    shares = dict(transmix=[0.8, 0.2], mixpro=[0.5, 0.25, 0.25]).get(method)
    assert cfg.model.mixup.get("p") == shares


def leaves(value, prefix=""):
    if isinstance(value, dict):
        return {k: v for name, item in value.items() for k, v in leaves(item, f"{prefix}.{name}").items()}
    if isinstance(value, (list, tuple)) and any(isinstance(item, dict) for item in value):
        return leaves(dict(enumerate(value)), prefix)
    return {prefix: value}


@pytest.mark.parametrize("name", [n.removesuffix(".py") for n in apis.list_configs("*_openmixup.py")])
def test_a_published_cell_differs_by_its_option_alone(name):
    right = name.removesuffix("_openmixup")
    was, now = (leaves(config(n).to_dict()) for n in (right, name))
    changed = {k.removeprefix(".model.mixup."): v for k, v in now.items() if was.get(k, v) != v or k not in was}
    assert was.keys() <= now.keys() and changed == PUBLISHED[right.split("_")[-1]]


def test_residual_branches_start_at_zero_in_the_networks_of_the_tables():
    model = MODELS.build({**cell("r18", "vanilla").model})
    blocks = [block for i in (1, 2, 3, 4) for block in getattr(model.net.backbone, f"layer{i}")]
    assert len(blocks) == 8 and all((block.bn2.weight == 0).all() for block in blocks)
    assert (model.net.backbone.bn1.weight == 1).all() and (model.net.head.fc.bias == 0).all()
    assert model.net.head.fc.weight.std().item() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("epochs", [400, 800, 1200])
def test_longer_training_is_one_option(epochs):
    from openmix.engine.config.options import parse_options

    cfg = load_config(apis.config_root() / "cifar100/r18_mixup.py", parse_options([f"train_cfg.max_epochs={epochs}"]))
    curve = lr_table(cfg.param_scheduler, 0.1, cfg.train_cfg.max_epochs, 1)
    assert len(curve) == epochs and curve[epochs // 2] == pytest.approx(0.05)
