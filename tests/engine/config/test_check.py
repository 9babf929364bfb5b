"""Wrong names, keys and values: the run stops at once, says where and what was meant, and leaves nothing behind."""
import copy
import functools
import re
import time

import pytest
from mmengine.config import Config

from openmix.datasets import Shapes
from openmix.engine.config.check import check_config
from openmix.engine.config.load import load_config
from tests.console import main, write
from tests.engine.tiny import config

TIMM = dict(type="TimmModel", name="vit_tiny_patch16_224", img_size=32, patch_size=4)
TORCHVISION = dict(type="TorchvisionModel", name="mobilenet_v3_small", dropout=0.1)


def full():
    """A right config with something in every place."""
    cfg = config("unused").to_dict()
    del cfg["work_dir"]
    methods = [dict(type="AutoMix", alpha=2.0), dict(type="CutMix", prob=0.5),
               dict(type="RandomChoice", methods=[dict(type="FMix")])]
    cfg["model"].update(head=dict(type="LinearHead"), loss=dict(type="SoftCrossEntropy"),
                        mixup=dict(type="RandomChoice", methods=methods, p=[0.2, 0.3, 0.5]))
    cfg["optim_wrapper"].update(clip_grad=dict(max_norm=1.0), paramwise_cfg=dict(
        norm_decay_mult=0.0, custom_keys=dict(head=dict(lr_mult=1.0))))
    cfg["param_scheduler"] = [dict(type="LinearLR", end=1), dict(type="CosineAnnealingLR", begin=1)]
    cfg.update(visualizer=dict(vis_backends=[dict(type="LocalVisBackend")]), log_processor=dict(window_size=1),
               auto_scale_lr=dict(base_batch_size=10), custom_imports=dict(imports=[]),
               data_preprocessor=dict(mean=[0.5, 0.5, 0.5], std=[0.2, 0.2, 0.2]))
    return cfg


def steps(place):
    """``a.b[0].c`` as keys and indices."""
    return [int(word) if word.isdigit() else word for word in re.findall(r"[^.\[\]']+", place)]


def changed(place, value, cfg=None):
    cfg = copy.deepcopy(cfg or full())
    *path, last = steps(place)
    inside = cfg
    for step in path:
        inside = inside[step]
    inside[last] = value
    return cfg


KEYS = [  # place, wrong key, the key that was meant, a right value of it
    ("", "log_levl", "log_level", "INFO"),
    ("", "optim_wraper", "optim_wrapper", full()["optim_wrapper"]),
    ("model", "num_clases", "num_classes", 10),
    ("model.backbone", "deph", "depth", 8),
    ("model.head", "pol", "pool", "avg"),
    ("model.loss", "reducton", "reduction", "mean"),
    ("model.mixup", "metods", "methods", [dict(type="MixUp")] * 3),
    ("model.mixup.methods[0]", "mask_los", "mask_loss", 0.1),
    ("model.mixup.methods[1]", "probb", "prob", 0.5),  # behind **kwargs
    ("model.mixup.methods[2].methods[0]", "decai", "decay", 3.0),
    ("train_dataloader", "total_bach", "total_batch", 10),
    ("train_dataloader.dataset", "num_image", "num_images", 40),
    ("train_dataloader.augment", "paddding", "padding", 4),
    ("val_dataloader", "batchsize", "batch_size", 10),
    ("val_dataloader.dataset", "splitt", "split", "test"),
    ("test_dataloader.dataset", "sead", "seed", 0),
    ("optim_wrapper", "acumulative_counts", "accumulative_counts", 1),
    ("optim_wrapper.optimizer", "momentun", "momentum", 0.9),
    ("optim_wrapper.paramwise_cfg", "bias_decay_mul", "bias_decay_mult", 0),
    ("optim_wrapper.paramwise_cfg.custom_keys['head']", "lr_mlt", "lr_mult", 1.0),
    ("optim_wrapper.clip_grad", "norm_tipe", "norm_type", 2),
    ("param_scheduler[1]", "eta_mni", "eta_min", 0.0),
    ("train_cfg", "max_epoch", "max_epochs", 2),
    ("val_cfg", "netwrk", "network", "net"),
    ("test_cfg", "limt", "limit", 1),
    ("val_evaluator", "top_k", "topk", [1, 5]),
    ("test_evaluator", "topK", "topk", [1, 5]),
    ("default_hooks", "loger", "logger", dict(interval=3)),
    ("default_hooks", "previev", "preview", None),
    ("default_hooks.checkpoint", "max_kep", "max_keep", 1),
    ("custom_hooks[0]", "momentm", "momentum", 0.1),
    ("visualizer", "vis_backend", "vis_backends", [dict(type="LocalVisBackend")]),
    ("visualizer.vis_backends[0]", "img_save_dri", "img_save_dir", "images"),
    ("log_processor", "window_sze", "window_size", 1),
    ("env_cfg", "ampp", "amp", "off"),
    ("randomness", "sed", "seed", 1),
    ("auto_scale_lr", "base_batchsize", "base_batch_size", 10),
    ("data_preprocessor", "meen", "mean", [0.5, 0.5, 0.5]),
]
TYPES = [  # place, wrong name, right name
    ("model", "Clasifier", "Classifier"),
    ("model.backbone", "CifarResnett", "CifarResNet"),
    ("model.head", "LinearHed", "LinearHead"),
    ("model.loss", "SoftCrossEntropi", "SoftCrossEntropy"),
    ("model.mixup", "RandomChoise", "RandomChoice"),
    ("model.mixup.methods[1]", "CutMxi", "CutMix"),
    ("model.mixup.methods[2].methods[0]", "FMixx", "FMix"),
    ("train_dataloader.dataset", "Shape", "Shapes"),
    ("val_dataloader.dataset", "Shapse", "Shapes"),
    ("optim_wrapper.optimizer", "SGDD", "SGD"),
    ("param_scheduler[1]", "CosineAnealingLR", "CosineAnnealingLR"),
    ("train_cfg", "EpochLop", "EpochLoop"),
    ("val_cfg", "EvalLop", "EvalLoop"),
    ("val_evaluator", "Acuracy", "Accuracy"),
    ("default_hooks.checkpoint", "ChekpointHook", "CheckpointHook"),
    ("custom_hooks[0]", "EMAHok", "EMAHook"),
    ("visualizer", "Visualiser", "Visualizer"),
    ("visualizer.vis_backends[0]", "LocalVisBackends", "LocalVisBackend"),
    ("log_processor", "LogProcesor", "LogProcessor"),
]


@pytest.fixture
def refused(tmp_path, capsys, monkeypatch):
    """``refused(cfg, *arguments)``: tools/train.py ends with 2, at once, without data or work dir; its message."""
    @functools.wraps(Shapes.__init__)  # its keys are still checked
    def touched(*args, **kwargs):
        raise AssertionError("data was touched")

    monkeypatch.setattr(Shapes, "__init__", touched)

    def act(cfg, *arguments):
        path = write(cfg, tmp_path / "config.json")
        start = time.perf_counter()
        code = main("train", path, "--work-dir", tmp_path / "run", *arguments)
        seconds = time.perf_counter() - start
        message = capsys.readouterr().err
        assert code == 2, message
        assert message.startswith("error: ") and "Traceback" not in message
        assert [p.name for p in tmp_path.iterdir()] == ["config.json"], "something was written"
        assert seconds < 2
        return message
    return act


@pytest.mark.parametrize("place, wrong, right, value", KEYS, ids=[f"{k[0]}.{k[1]}" for k in KEYS])
def test_an_unknown_key_is_refused_with_its_place_and_the_nearest(refused, place, wrong, right, value):
    message = refused(changed(f"{place}.{wrong}", value))
    assert (place or "config") in message and repr(wrong) in message and f"did you mean {right!r}" in message
    check_config(Config({**changed(f"{place}.{right}", value), "work_dir": "run"}))  # what was meant is right


@pytest.mark.parametrize("place, wrong, right", TYPES, ids=[f"{t[0]}={t[1]}" for t in TYPES])
def test_an_unknown_type_is_refused_with_its_place_and_the_nearest(refused, place, wrong, right):
    message = refused(changed(f"{place}.type", wrong))
    assert place in message and f"unknown type {wrong!r}" in message and f"did you mean {right!r}" in message
    check_config(Config({**changed(f"{place}.type", right), "work_dir": "run"}))


@pytest.mark.parametrize("backbone, wrong, right", [
    ({**TIMM, "drop_paht_rate": 0.1}, "drop_paht_rate", "drop_path_rate"),
    ({**TIMM, "name": "vit_tiny_patch61_224"}, "vit_tiny_patch61_224", "vit_tiny_patch16_224"),
    (dict(type="TimmModel", name="resnet18", drop_rat=0.1), "drop_rat", "drop_rate"),
    ({**TORCHVISION, "dropuot": 0.1}, "dropuot", "dropout"),
    ({**TORCHVISION, "name": "mobilenet_v3_smal"}, "mobilenet_v3_smal", "mobilenet_v3_small"),
])
def test_networks_of_other_libraries_are_checked_before_anything_is_built(refused, backbone, wrong, right):
    check_config(Config({**changed("model.backbone", TIMM), "work_dir": "run"}))  # imports timm, whose time is its own
    check_config(Config({**changed("model.backbone", TORCHVISION), "work_dir": "run"}))
    message = refused(changed("model.backbone", backbone))
    assert repr(wrong) in message and f"did you mean {right!r}" in message


@pytest.mark.parametrize("option, message", [
    ("optim_wraper.optimizer.lr=1", "'optim_wraper'; did you mean 'optim_wrapper'"),
    ("model.mixup.methods.1.probb=0.5", "model.mixup.methods[1]: CutMix has no key 'probb'; did you mean 'prob'"),
    ("model.mixup.type=CutMxi", "model.mixup: unknown type 'CutMxi'; did you mean 'CutMix'"),
    ("model.backbone.deph=20", "'deph'; did you mean 'depth'"),
    ("custom_hooks.0.momentm=1", "custom_hooks[0]: EMAHook has no key 'momentm'"),
    ("custom_hooks.7.momentum=1", "--cfg-options do not fit"),
    ("model.num_classes.x=1", "--cfg-options do not fit"),
    ("train_cfg.max_epochs=many", "train_cfg.max_epochs must be a whole number of at least 1, got 'many'"),
    ("train_cfg=3", "train_cfg is a dict in the config and cannot become 3; set one of its keys, as in train_cfg."),
    ("model.mixup=CutMix", "model.mixup is a dict in the config and cannot become 'CutMix'"),
    ("param_scheduler.type=StepLR", "has no key 'type'; an item goes by its number"),
    ("max_epochs", "KEY=VALUE, got 'max_epochs'"),
    ("=3", "KEY=VALUE, got '=3'"),
    ("model.mixup.p=[0.1,0.9", "its brackets do not close"),
    ("model..alpha=1", "KEY=VALUE"),
    ("model.mixup.p={1,2}", "is no KEY:VALUE"),
])
def test_overrides_on_the_command_line_are_as_strict(refused, option, message):
    assert message in refused(full(), "--cfg-options", option)


VALUES = [  # place, wrong value, what the message says
    *[(f"model.mixup.methods[{i}].alpha", alpha, "model.mixup: alpha must be a positive number")
      for i, alpha in ((0, 0), (1, -1.0), (1, "one"), (1, None), (1, True))],
    ("model.mixup.p", [0.5, 0.5], "probabilities that sum to 1"),
    ("model.mixup.methods[1].prob", 1.5, "prob must lie in [0, 1]"),
    ("model.mixup", [dict(type="MixUp")], "model.mixup must be a dict with a 'type'"),
    ("model.mixup", dict(type="RandomChoice"), "RandomChoice needs the key 'methods'"),
    ("model.backbone", dict(type="TorchvisionModel"), "TorchvisionModel needs the key 'name'"),
    ("train_dataloader.dataset", dict(type="Arrays"), "Arrays needs the key 'images'"),
    ("optim_wrapper.type", "AmpOptimWrapper", "precision is set by env_cfg.amp or --amp"),
    ("model.num_classes", "ten", "model.num_classes must be a whole number"),
    ("model.head", dict(type="LinearHead", num_classes=6), "model.head.num_classes is 6, but the model's num_classes"),
    ("model.mixup.methods[1].num_classes", 100, "num_classes is 100, but the model has 10 classes"),
    ("model.head", dict(type="LinearHead", num_classes=0), "model.head.num_classes must be a whole number"),
    ("model.data_preprocessor", dict(mean=[0, 0, 0]), "belong in the config's data_preprocessor"),
    ("train_dataloader.total_batch", 0, "train_dataloader.total_batch must be a whole number of at least 1, got 0"),
    ("train_dataloader.batch_size", 10, "train_dataloader: unknown key 'batch_size'"),  # mmpretrain's, read by nobody
    ("train_dataloader.pin_memory", True, "train_dataloader: unknown key 'pin_memory'"),
    ("train_dataloader", dict(total_batch=10), "train_dataloader has no 'dataset'"),
    ("train_cfg.max_epochs", 0, "max_epochs must be a whole number of at least 1"),
    ("train_cfg", {}, "train_cfg: EpochLoop needs the key 'max_epochs'"),
    ("train_cfg", None, "the config has no 'train_cfg'"),
    ("val_evaluator", None, "the config has no 'val_evaluator'"),
    ("default_hooks.checkpoint", 5, "default_hooks.checkpoint must be a dict"),
    ("custom_hooks", dict(type="EMAHook"), "custom_hooks must be a list of dicts"),
    ("custom_hooks[0]", "EMAHook", "custom_hooks[0] must be a dict"),
    ("visualizer.vis_backends", dict(type="LocalVisBackend"), "visualizer.vis_backends must be a list"),
    ("env_cfg.amp", "fp8", "env_cfg.amp must be one of 'auto', 'bf16', 'fp16', 'off', got 'fp8'"),
    ("randomness.seed", "zero", "randomness.seed must be a whole number"),
    ("randomness.seed", -1, "randomness.seed must be a whole number of at least 0"),
    ("data_preprocessor.mean", [123.0, 117.0, 104.0], "data_preprocessor.mean is three numbers in units of"),
    ("data_preprocessor.std", [0.2, 0.2], "data_preprocessor.std is three numbers"),
    ("param_scheduler[1].T_max", 0, "param_scheduler[1].T_max must be a whole number"),
    ("optim_wrapper.optimizer.lr", "fast", "optim_wrapper.optimizer.lr must be a number"),
]


@pytest.mark.parametrize("place, value, message", VALUES, ids=[f"{v[0]}={v[1]}" for v in VALUES])
def test_a_value_out_of_its_range_is_refused_before_anything_is_made(refused, place, value, message):
    assert message in refused(changed(place, value))


@pytest.mark.parametrize("place, value", [
    ("visualizer.vis_backends[0]", dict(type="WandbVisBackend", init_kwargs=dict(api_key="canary-value"))),
    ("model.backbone.auth_token", "canary-value"),
    ("env_cfg.password", "canary-value"),
])
def test_a_config_with_a_secret_is_refused_without_repeating_it(refused, place, value):
    message = refused(changed(place, value))
    assert "looks like a secret" in message and "canary-value" not in message


@pytest.mark.parametrize("package, backend", [("tensorboard", "TensorboardVisBackend"), ("wandb", "WandbVisBackend")])
def test_a_tracker_that_is_not_installed_names_it(refused, monkeypatch, package, backend):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    assert f'pip install {package}' in refused(changed("visualizer.vis_backends[0]", dict(type=backend)))


def test_the_right_config_passes_within_milliseconds():
    cfg = Config({**full(), "work_dir": "run"})
    check_config(cfg)
    start = time.perf_counter()
    check_config(cfg)
    assert time.perf_counter() - start < 0.5


def test_checking_leaves_config_and_random_state_alone(rng_untouched):
    cfg = Config({**full(), "work_dir": "run"})
    before = copy.deepcopy(cfg.to_dict())
    with rng_untouched():
        check_config(cfg)
    assert cfg.to_dict() == before


@pytest.mark.parametrize("name, text, message", [
    ("a.py", "model = dict(", "cannot be read as a config"),
    ("a.py", "model = undefined", "cannot be read as a config"),
    ("a.py", "_base_ = ['./nowhere.py']", "nowhere.py"),
    ("a.json", "{", "cannot be read as a config"),
    ("a.yaml", "model: !!python/object/apply:os.system ['true']", "configs are .py or .json files"),
    ("a.py", "x = 1", "unknown key 'x'"),
    ("a.py", "", "the config has no 'model'"),
])
def test_files_that_are_no_config_say_so(tmp_path, capsys, name, text, message):
    (tmp_path / name).write_text(text)
    assert main("train", tmp_path / name, "--work-dir", tmp_path / "run") == 2
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_missing_config_names_the_nearest(capsys):
    assert main("train", "configs/cifar100/r18_mxiup.py") == 2
    assert "no config configs/cifar100/r18_mxiup.py" in capsys.readouterr().err


def test_json_and_python_files_are_the_same_config(tmp_path):
    cfg = Config(full())
    cfg.dump(str(tmp_path / "a.py"))
    assert load_config(tmp_path / "a.py").to_dict() == load_config(write(cfg, tmp_path / "a.json")).to_dict()
