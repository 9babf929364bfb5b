"""The names of runs in tables, with the defaults of the classes of the first versions."""
import pytest

from openmix.results.labels import old_defaults
from openmix.workdir.description import describe, is_description, method_label, network_label


@pytest.mark.parametrize("mixup, label", [
    (None, "Vanilla"), (dict(type="MixUp", alpha=1), "MixUp"), (dict(type="CutMix", alpha=0.2), "CutMix (alpha=0.2)"),
    (dict(type="CutMix", prob=0.5, alpha=1.0), "CutMix (prob=0.5)"),  # prob is an option of a base class
    (dict(type="ManifoldMix", alpha=2.0, layers=["input", "layer1", "layer2"]), "ManifoldMix"),
    (dict(type="PuzzleMix", std=[0.2, 0.2, 0.2]), "PuzzleMix"),  # of the data
    (dict(type="MyMix", strength=3, alpha=1.0), "MyMix (alpha=1, strength=3)"),  # not the library's: all options
    (dict(type="RandomChoice", methods=[dict(type="MixUp", alpha=0.8), dict(type="CutMix")], p=[0.5, 0.5]),
     "RandomChoice (methods=[MixUp (alpha=0.8), CutMix], p=[0.5, 0.5])"),
    (dict(type="MyMix", name="a|b"), "MyMix (name=a/b)")])
def test_a_method_is_named_by_what_differs_from_its_defaults(mixup, label):
    assert method_label(mixup, old_defaults()) == label


@pytest.mark.parametrize("backbone, label", [
    (dict(type="ResNet", depth=18, stem="cifar"), "ResNet-18"), (dict(type="ResNeXt"), "ResNeXt-50"),
    (dict(type="ResNet", depth=50, stem="imagenet"), "ResNet-50 (stem=imagenet)"),
    (dict(type="WideResNet", depth=16, widen_factor=8, conv_bias=False), "WideResNet-16-8 (conv_bias=False)"),
    (dict(type="LeNet", image_size=32), "LeNet"), (dict(type="MLP", in_features=8), "MLP"),
    (dict(type="DenseNet"), "DenseNet-190-40"), (dict(type="DenseNet", depth=100, growth_rate=12), "DenseNet-100-12"),
    (dict(type="WideResNet", raw_shortcut=[2, 3]), "WideResNet-28-8"),
    (dict(type="WideResNet", raw_shortcut=()), "WideResNet-28-8 (raw_shortcut=[])"),
    (dict(type="TimmModel", name="resnet26d"), "resnet26d")])
def test_a_network_is_named_by_its_size(backbone, label):
    assert network_label(backbone, old_defaults()) == label


def test_a_description_is_known_as_one_and_its_wrecks_are_not():
    made = describe(dict(backbone=dict(type="ResNet", depth=34)), "Birds", old_defaults())
    assert (made["method"], made["network"], made["dataset"]) == ("Vanilla", "ResNet-34", "Birds")
    assert is_description(made)
    wrecks = [None, [], {}, dict(made, method=None), dict(made, defaults=[1]), dict(made, defaults=dict(CutMix=3))]
    assert not any(map(is_description, wrecks))
