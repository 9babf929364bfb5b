"""The library in a few calls."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

import openmix
from openmix import apis, paths
from openmix.registry import MIXUPS, required_keys
from tests.engine.tiny import config


def test_mixing_methods_are_listed_by_pattern_and_need():
    assert openmix.list_mixups() == MIXUPS.known() and "CutMix" in openmix.list_mixups()
    assert openmix.list_mixups("cut*") == openmix.list_mixups("CUT*") == ["CutMix"]
    assert openmix.list_mixups("*grid*") == ["GridMix", "GridMixup"] and openmix.list_mixups("nothing*") == []
    assert "ManifoldMix" in openmix.list_mixups(needs="hidden") and "CutMix" not in openmix.list_mixups(needs="hidden")
    needs = {MIXUPS.get(name).needs for name in MIXUPS.known()}
    assert needs <= {"batch", "gradient", "hidden", "attention", "outputs", "learned"}
    assert sorted(sum((openmix.list_mixups(needs=n) for n in needs), [])) == openmix.list_mixups()
    assert openmix.list_mixups("puzzle*", needs="gradient") == ["PuzzleMix"]
    assert openmix.list_mixups("puzzle*", needs="learned") == []


def test_an_unknown_need_names_the_nearest():
    with pytest.raises(ValueError, match="'hiden'; did you mean 'hidden'"):
        openmix.list_mixups(needs="hiden")


@pytest.mark.parametrize("name", [n for n in MIXUPS.known() if not required_keys(MIXUPS.get(n))])
def test_every_listed_method_is_made_by_name(name):
    assert type(openmix.get_mixup(name)).__name__ == name


def test_a_method_by_name_takes_its_options():
    method = openmix.get_mixup("CutMix", alpha=0.2, num_classes=7)
    images, target = method(torch.zeros(4, 3, 8, 8), torch.arange(4))
    assert method.alpha == 0.2 and target.shape == (4, 7)
    with pytest.raises(ValueError, match="did you mean 'CutMix'"):
        openmix.get_mixup("CutMxi")
    with pytest.raises(ValueError, match="did you mean 'alpha'"):
        openmix.get_mixup("CutMix", alhpa=0.2)
    with pytest.raises(ValueError, match="RandomChoice needs the key 'methods'"):
        openmix.get_mixup("RandomChoice")


def test_networks_are_listed_and_made_by_name():
    assert {"ResNet", "ResNeXt", "WideResNet", "LeNet", "TimmModel", "TorchvisionModel"} <= set(openmix.list_models())
    assert openmix.list_models("wide*") == ["WideResNet"]
    with torch.device("meta"):
        net = openmix.get_model("ResNet", 100, depth=18, stem="cifar")
        assert sum(p.numel() for p in net.parameters()) == 11_220_132
        assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 100)
        assert openmix.get_model("TorchvisionModel", 5, name="resnet18")(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    with pytest.raises(ValueError, match="did you mean 'ResNet'"):
        openmix.get_model("ResNett", 10)


def test_configs_are_listed_without_their_bases():
    actual = openmix.list_configs()
    assert "cifar100/r18_mixup.py" in actual and not [f for f in actual if "_base_" in f]
    assert openmix.list_configs("cifar100/R18_mixup.*") == ["cifar100/r18_mixup.py"]
    assert all((apis.config_root() / f).is_file() for f in actual)


@pytest.mark.parametrize("path, expected", [
    ("configs/cifar100/r18_mixup.py", "work_dirs/cifar100/r18_mixup/seed2"),
    ("/else/configs/a/b/c.json", "work_dirs/a/b/c/seed2"),
    ("/configs/old/configs/new/x.py", "work_dirs/new/x/seed2"),
    ("/p/exp1/train.py", "work_dirs/p/exp1/train/seed2"),  # two of one name never share a folder
    ("/p/exp2/train.py", "work_dirs/p/exp2/train/seed2"),
    ("mine.py", "work_dirs/mine/seed2"),
    ("exp1/../exp2/mine.py", "work_dirs/exp2/mine/seed2"),
])
def test_work_dirs_mirror_the_path_of_the_config(path, expected):
    assert paths.default_work_dir(path, 2) == str(Path(expected))


def test_a_config_is_trained_and_tested_in_two_calls(tmp_path):
    cfg = config(tmp_path / "run", epochs=1, custom_hooks=[])
    record = openmix.train(cfg)
    assert record["status"] == "done" and record["networks"]["net"]["last"]["epoch"] == 1
    before = cfg.to_dict()
    actual = openmix.test(cfg, tmp_path / "run" / "epoch_1.pth")
    assert actual["net"]["top1"] == record["networks"]["net"]["top1"][0] and actual["net"]["count"] == 23
    assert cfg.to_dict() == before


def test_a_config_is_trained_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = config("unused", epochs=1, custom_hooks=[])
    cfg.pop("work_dir")
    cfg.dump(str(tmp_path / "mine.py"))
    assert openmix.train(tmp_path / "mine.py")["seed"] == 3
    assert (tmp_path / "work_dirs" / "mine" / "seed3" / "result.json").is_file()


def test_a_wrong_config_raises_before_anything_is_made(tmp_path):
    cfg = config(tmp_path / "run")
    cfg.model.mixup = dict(type="CutMxi")
    with pytest.raises(ValueError, match="model.mixup: unknown type 'CutMxi'; did you mean 'CutMix'"):
        openmix.train(cfg)
    cfg = Config(dict(model=dict(type="Classifier")))
    with pytest.raises(ValueError, match="no 'work_dir'"):
        openmix.train(cfg)
    assert not (tmp_path / "run").exists()
