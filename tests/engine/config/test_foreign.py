"""Files that a stranger sends run no code: checkpoints, published files, JSON configs, work dirs."""
import argparse
import contextlib
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import Registry as MmengineRegistry

import openmix
from openmix.backbones import TimmModel, TorchvisionModel
from openmix.cli import train as cli
from openmix.engine.config import command_line, foreign
from openmix.engine.config.check import check_config
from openmix.engine.config.load import load_config
from openmix.inference.publish import publish
from openmix.inference.weights import load_network
from openmix.registry import BACKBONES, HOOKS, MIXUPS, MODELS, OPTIMIZERS, VISBACKENDS
from tests.engine.tiny import config

REFUSED = (ValueError, TypeError)
SMALL = dict(type="CifarResNet", depth=8)
ENTRANCES = dict(
    infer=lambda path: openmix.infer(path, torch.zeros(1, 3, 32, 32)),
    get_model=lambda path: openmix.get_model("CifarResNet", 10, depth=8, pretrained=path),
    publish=lambda path: publish(path, path.parent / "out"),
    load_network=load_network)


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A folder on the path of imports: ``evil_module`` and ``evil_package.registry`` leave ``marker`` if they run."""
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w').close()\n\n\nclass Net:\n    pass\n"
    (tmp_path / "evil_module.py").write_text(code)
    (tmp_path / "evil_package").mkdir()
    (tmp_path / "evil_package" / "__init__.py").write_text("")
    (tmp_path / "evil_package" / "registry.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("evil_module", "evil_package", "evil_package.registry"):
        sys.modules.pop(name, None)


def touch(evil) -> str:
    return f"touch {evil / 'marker'}"


PARTS = {  # of a network's config: (what of the model is replaced, by what)
    "a function of os": lambda evil: dict(backbone=dict(type="os.system", command=touch(evil))),
    "a builtin": lambda evil: dict(backbone=dict(type="builtins.exec", source=f"open({str(evil / 'marker')!r}, 'w')")),
    "the head": lambda evil: dict(head=dict(type="os.system", command=touch(evil))),
    "a subprocess": lambda evil: dict(head=dict(type="subprocess.getoutput", cmd=touch(evil))),
    "the mixing method": lambda evil: dict(mixup=dict(type="os.system", command=touch(evil))),
    "a nested method": lambda evil: dict(mixup=dict(type="RandomChoice", methods=[
        dict(type="CutMix"), dict(type="os.system", command=touch(evil))])),
    "a method as an option": lambda evil: dict(mixup=dict(type="MixUp", alpha=dict(type="os.system",
                                                                                   command=touch(evil)))),
    "the loss": lambda evil: dict(loss=dict(type="os.system", command=touch(evil))),
    "a class of a module": lambda evil: dict(backbone=dict(type="evil_module.Net")),
    "a module": lambda evil: dict(backbone=dict(type="evil_module")),
    "another package's registry": lambda evil: dict(backbone=dict(type="evil_package.Net")),
    "a scope": lambda evil: dict(backbone=dict(SMALL, _scope_="evil_package")),
    "a scope in the method": lambda evil: dict(mixup=dict(type="MixUp", _scope_="evil_package")),
    "a list as type": lambda evil: dict(backbone=dict(type=["os.system", touch(evil)])),
    "a class as type": lambda evil: dict(backbone=dict(type=torch.nn.Parameter)),
    "text as backbone": lambda evil: dict(backbone="os.system"),
    "a tensor as head": lambda evil: dict(head=torch.zeros(3)),
    "a hub's network": lambda evil: dict(backbone=dict(type="TimmModel", name="hf-hub:somebody/evil")),
    "a folder's network": lambda evil: dict(backbone=dict(type="TimmModel", name=f"local-dir:{evil}")),
    "no model of torchvision": lambda evil: dict(backbone=dict(type="TorchvisionModel", name="get_weight")),
}


@pytest.mark.parametrize("kind", ["run", "published"])
@pytest.mark.parametrize("part", PARTS)
def test_a_checkpoint_builds_registered_networks_and_runs_nothing(evil, kind, part):
    model = dict(type="Classifier", backbone=SMALL, num_classes=10) | PARTS[part](evil)
    if kind == "published" and not {"backbone", "head"} & PARTS[part](evil).keys():
        pytest.skip("a published file holds no mixing method")
    weights = openmix.get_model("CifarResNet", 10, depth=8).state_dict()
    if kind == "run":
        content = dict(state_dict={f"net.{k}": v for k, v in weights.items()}, meta=dict(config=dict(model=model)))
    else:
        content = dict(state_dict=weights, meta=dict(network="net", model={k: v for k, v in model.items()
                                                                          if k != "type"}))
    path = evil / "evil.pth"
    torch.save(content, path)
    for name, enter in ENTRANCES.items():
        with pytest.raises(REFUSED):
            enter(path)
        assert not (evil / "marker").exists(), name


def test_the_same_files_with_an_honest_network_are_read(tmp_path):
    """The negative control of the test above."""
    weights = openmix.get_model("CifarResNet", 10, depth=8).state_dict()
    torch.save(dict(state_dict={f"net.{k}": v for k, v in weights.items()}, meta=dict(
        config=dict(model=dict(type="Classifier", backbone=SMALL, num_classes=10)))), tmp_path / "run.pth")
    assert load_network(tmp_path / "run.pth")[1]["network"] == "net"
    assert publish(tmp_path / "run.pth", tmp_path / "out").is_file()


def test_mmengines_own_look_up_would_have_run_them(evil):
    """The negative control of the marker: names are imported there."""
    assert MmengineRegistry("plain", scope="plain_scope").get("evil_module") is not None
    assert (evil / "marker").exists()


def test_options_of_a_checkpoint_that_load_or_download_are_left_out(evil):
    network = foreign.network_parts(dict(num_classes=3, backbone=dict(
        type="TimmModel", name="resnet18", pretrained=True, checkpoint_path="evil.pth", pretrained_cfg=dict(file="x"),
        pretrained_cfg_overlay=dict(url="http://x"), cache_dir="x", init_cfg=dict(checkpoint="x"), drop_rate=0.1),
        head=dict(type="LinearHead", init_cfg=[dict(type="Pretrained")]),
        mixup=dict(type="RandomChoice", methods=[dict(type="CutMix", pretrained="x")])), "here")
    assert network == dict(num_classes=3, backbone=dict(type="TimmModel", name="resnet18", drop_rate=0.1),
                           head=dict(type="LinearHead"),
                           mixup=dict(type="RandomChoice", methods=[dict(type="CutMix")]))
    backbone = dict(type="TorchvisionModel", name="resnet18")
    assert foreign.network_parts(dict(backbone=dict(backbone, weights="DEFAULT")), "")["backbone"] == backbone


@pytest.mark.parametrize("registry", [BACKBONES, MIXUPS, MODELS, HOOKS, OPTIMIZERS, VISBACKENDS], ids=lambda r: r.name)
@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "evil_module", "evil_module.Net", "evil_package.Net",
                                  "mmengine.evil_module", "openmix.os.system", "mmengine.os.system", "", ".", "..a"],
                         ids=repr)
def test_no_registry_and_none_of_its_parents_imports_a_name(evil, registry, name):
    assert registry.get(name) is None
    with pytest.raises(ValueError, match="unknown type"):
        registry.check(dict(type=name))
    assert not (evil / "marker").exists()


def test_names_of_mmengine_are_known_with_and_without_its_scope():
    import mmengine.hooks

    assert HOOKS.get("mmengine.LoggerHook") is mmengine.hooks.LoggerHook is not HOOKS.get("LoggerHook")
    assert HOOKS.get("openmix.LoggerHook") is HOOKS.get("LoggerHook")
    assert OPTIMIZERS.get("SGD") is torch.optim.SGD and HOOKS.get("EarlyStoppingHook").__module__.startswith("mmengine")


@pytest.mark.parametrize("hook", [dict(type="mmengine.EMAHook", ema_type="evil_module.Net"),
                                  dict(type="mmengine.EMAHook", ema_type="evil_module"),
                                  dict(type="PrepareTTAHook", tta_cfg=dict(type="os.system")),
                                  dict(type="PrepareTTAHook", tta_cfg=dict(a=[dict(type="evil_module.Net")])),
                                  dict(type="PrepareTTAHook", tta_cfg=dict(type="Net", _scope_="evil_package"))])
def test_what_classes_of_mmengine_build_themselves_is_not_imported_either(evil, hook):
    with pytest.raises(ValueError, match="never imported|unknown scope"):
        HOOKS.build(hook)
    assert not (evil / "marker").exists()
    assert HOOKS.build(dict(type="mmengine.EMAHook", ema_type="ExponentialMovingAverage"))


def plain(**changes) -> dict:
    return {k: v for k, v in config("unused", **changes).to_dict().items() if k != "work_dir"}


JSON = {
    "custom_imports": lambda evil: plain(custom_imports=dict(imports=["evil_module"])),
    "custom_imports as text": lambda evil: dict(plain(), custom_imports="evil_module"),
    "a program as base": lambda evil: dict(_base_="evil_module.py"),
    "a program as one of the bases": lambda evil: dict(_base_=["good.json", "./evil_module.py"]),
    "a program as base of a base": lambda evil: dict(_base_="base.json"),
    "a program behind a shipped config": lambda evil: dict(
        _base_=f"{openmix.paths.config_root()}/{os.path.relpath(evil, openmix.paths.config_root())}/evil_module.py"),
    "YAML, which builds objects": lambda evil: dict(_base_="evil.yaml"),
    "a package's config": lambda evil: dict(_base_="evil_package::registry.py"),
    "a base named by a variable": lambda evil: {"{{$NOT_SET:_base_}}": "evil_module.py"},
    "imports named by a variable": lambda evil: dict(plain(), **{
        "{{$NOT_SET:custom_imports}}": dict(imports=["evil_module"])}),
    "the default scope": lambda evil: plain(default_scope="evil_package"),
    "a hook": lambda evil: plain(custom_hooks=[dict(type="evil_module.Net")]),
    "a hook of mmengine": lambda evil: plain(custom_hooks=[dict(type="mmengine.EMAHook", ema_type="evil_module.Net")]),
    "a default hook": lambda evil: plain(default_hooks=dict(logger=dict(type="evil_module.Net"))),
    "a backend": lambda evil: plain(visualizer=dict(vis_backends=[dict(type="evil_module.Net")])),
    "a visualizer": lambda evil: plain(visualizer=dict(type="evil_module.Net")),
    "a log processor": lambda evil: plain(log_processor=dict(type="evil_module.Net")),
    "an optimizer": lambda evil: plain(optim_wrapper=dict(optimizer=dict(type="evil_module.Net", lr=1.0))),
    "a wrapper": lambda evil: plain(optim_wrapper=dict(type="evil_module.Net")),
    "a schedule": lambda evil: plain(param_scheduler=[dict(type="evil_module.Net")]),
    "a data set": lambda evil: plain(train_dataloader=dict(dataset=dict(type="evil_module.Net"))),
    "a metric": lambda evil: plain(val_evaluator=dict(type="evil_module.Net")),
    "a loop": lambda evil: plain(train_cfg=dict(type="evil_module.Net")),
    "the model": lambda evil: plain(model=dict(type="evil_module.Net")),
    "the backbone": lambda evil: plain(model=dict(backbone=dict(type="evil_module.Net"))),
    "weights that a library loads": lambda evil: plain(model=dict(backbone=dict(
        type="TimmModel", name="resnet18", checkpoint_path=str(evil / "evil.pth"), _delete_=True))),
    "a key that ends its quotes": lambda evil: plain(optim_wrapper=dict(paramwise_cfg=dict(custom_keys={
        "a': __import__('evil_module'), 'b": dict(lr_mult=1)}))),
    "endless nesting": lambda evil: dict(plain(), model=json.loads("[" * 900 + "]" * 900)),
}


@pytest.mark.parametrize("case", JSON)
def test_a_json_config_runs_nothing(evil, case):
    (evil / "evil.json").write_text(json.dumps(JSON[case](evil)))
    (evil / "base.json").write_text('{"_base_": "evil_module.py"}')
    (evil / "good.json").write_text(json.dumps(plain()))
    (evil / "evil.yaml").write_text(f"model: !!python/object/apply:os.system ['{touch(evil)}']\n")
    arguments = cli.common_arguments(argparse.ArgumentParser()).parse_args([str(evil / "evil.json")])
    with pytest.raises((*REFUSED, OSError)):
        command_line.configure(arguments)  # what print_config and train do with it
    assert not (evil / "marker").exists()


def test_an_honest_json_config_with_honest_bases_is_read(tmp_path):
    """The negative control of the test above: a shipped config and a .json one as bases."""
    root = openmix.paths.config_root()
    (tmp_path / "base.json").write_text(json.dumps(dict(_base_=f"{root}/shapes/r20_mixup.py")))
    (tmp_path / "mine.json").write_text(json.dumps(dict(_base_=["base.json"], train_cfg=dict(max_epochs=2))))
    cfg = load_config(tmp_path / "mine.json")
    assert cfg.model.mixup.type == "MixUp" and cfg.train_cfg.max_epochs == 2
    cfg.work_dir = "unused"
    check_config(cfg)


def test_a_config_in_python_is_a_program_and_imports_what_it_says(evil):
    (evil / "mine.py").write_text('custom_imports = dict(imports=["evil_module"])\n')
    load_config(evil / "mine.py")
    assert (evil / "marker").exists()


def test_a_key_with_quotes_would_be_code_in_the_config_of_the_work_dir(evil):
    """The negative control: why such keys are refused."""
    Config(dict(a={"a': __import__('evil_module'), 'b": 1})).dump(str(evil / "written.py"))
    with contextlib.suppress(TypeError):  # (a module is no value of a config)
        Config.fromfile(str(evil / "written.py"), lazy_import=False)
    assert (evil / "marker").exists()


RESOLVED = {
    "a call": "import os\nos.system('{touch}')\n",
    "an expression": "__import__('os').system('{touch}')\n",
    "a value": "a = __import__('os').system('{touch}')\n",
    "a nested value": "a = dict(b=[1, dict(c=__import__('os').system('{touch}'))])\n",
    "a key": "a = {{__import__('os').system('{touch}'): 1}}\n",
    "a default": "a = lambda b=__import__('os').system('{touch}'): b\n",
    "f-string": "a = f'{{__import__(\"os\").system(\"{touch}\")}}'\n",
    "imports": "custom_imports = dict(imports=['evil_module'])\n",
    "a base": "_base_ = 'evil_module.py'\n",
    # each is literals until mmengine has replaced what stands in braces
    "text that turns into code": 'a = {{1: {{2: """{{{{$NOT_SET:v"""}}}}\nb = {{3: """}}}}; '
                                 '__import__("os").system("{touch}")\n#"""}}\n',
}


@pytest.mark.parametrize("case", RESOLVED)
def test_the_config_of_a_strangers_run_is_run_again_only_if_it_is_data(evil, case):
    path = evil / "config.py"
    path.write_text(RESOLVED[case].format(touch=touch(evil)))
    assert foreign.runs_code(path)
    if case != "a default":
        with contextlib.suppress(Exception):  # the negative control, whatever becomes of the rest of the file
            Config.fromfile(str(path), lazy_import=False)
        assert (evil / "marker").exists()


def test_the_resolved_config_of_a_run_is_data(tmp_path):
    cfg = config(tmp_path, optim_wrapper=dict(clip_grad=dict(max_norm=1.0, norm_type=-2.5)), custom_imports={})
    cfg.dump(str(tmp_path / "config.py"))
    assert foreign.runs_code(tmp_path / "config.py") is None


@pytest.mark.parametrize("name", ["resnet18/../x", "hf-hub:a/b", "local-dir:/tmp", "https://x/resnet18", ["resnet18"],
                                  "resnet18.a1_in1k/x", None])
def test_names_of_timm_are_those_of_its_own_networks(name):
    with pytest.raises(ValueError, match="timm has no model"):
        TimmModel(name)


@pytest.mark.parametrize("name", ["get_model", "detection.ssd", "fcn_resnet50", "models", "os", ["resnet18"], None])
def test_names_of_torchvision_are_those_of_its_classification_networks(name):
    with pytest.raises(ValueError, match="torchvision has no classification model"):
        TorchvisionModel(name)


@pytest.mark.parametrize("key", ["checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"])
def test_options_of_timm_that_load_files_or_addresses_are_refused(key):
    with pytest.raises(ValueError, match=f"no option '{key}', which loads weights from anywhere"):
        BACKBONES.build(dict(type="TimmModel", name="resnet18", **{key: "x"}))


def test_the_files_of_the_local_backend_stay_in_the_work_dir(tmp_path):
    for name in ("../x.py", "/tmp/x.json", "a/b", "..", ""):
        with pytest.raises(ValueError, match="inside the work dir"):
            VISBACKENDS.build(dict(type="LocalVisBackend", scalar_save_file=name), save_dir=str(tmp_path))
    assert VISBACKENDS.build(dict(type="LocalVisBackend", scalar_save_file="a.json"), save_dir=str(tmp_path))
    assert not Path(tmp_path.parent / "x.py").exists()
