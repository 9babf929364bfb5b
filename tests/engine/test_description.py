"""A run describes itself with the defaults of its classes."""
import json

import pytest

from openmix.engine.description import description
from openmix.mixups import CutMix
from openmix.registry import BACKBONES, MIXUPS, default_values
from openmix.results.labels import old_defaults


class MyCut(CutMix):
    def __init__(self, strength=3, shape=CutMix, **options):
        super().__init__(**options)


def test_a_method_of_ones_own_is_named_by_what_differs_from_its_defaults(monkeypatch):
    monkeypatch.setitem(MIXUPS._module_dict, "MyCut", MyCut)
    choice = dict(type="RandomChoice", methods=[dict(type="MyCut", alpha=1.0, strength=4), dict(type="MixUp")])
    made = description(dict(mixup=choice, backbone=dict(type="ResNet", depth=18)), "Birds")
    assert made["method"] == "RandomChoice (methods=[MyCut (strength=4), MixUp])"
    assert (made["network"], made["dataset"]) == ("ResNet-18", "Birds")
    assert made["defaults"].keys() == {"RandomChoice", "MyCut", "MixUp", "ResNet"}
    assert made["defaults"]["MyCut"]["strength"] == 3 and isinstance(made["defaults"]["MyCut"]["shape"], str)
    assert json.loads(json.dumps(made)) == made


def test_a_teacher_is_named_by_its_network():
    teacher = dict(type="Teacher", backbone=dict(type="CifarResNet", depth=20, shortcut="A"), checkpoint="a/b.pth")
    mixup = dict(type="Distill", teacher=teacher, method=dict(type="MixUp", alpha=0.2), temperature=4.0)
    made = description(dict(mixup=mixup, backbone=dict(type="LeNet")), "CIFAR-10")
    assert made["method"] == "Distill (method=MixUp (alpha=0.2), teacher=CifarResNet-20 (shortcut=A))"


def test_a_loss_that_is_a_method_belongs_to_the_label_and_another_does_not():
    model = dict(mixup=dict(type="CutMix", alpha=0.2), backbone=dict(type="ResNet", depth=18))
    decoupled = dict(type="DecoupledCrossEntropy", eta=0.1, mode="less")
    assert description({**model, "loss": decoupled}, "CIFAR-100")["method"] == (
        "CutMix (alpha=0.2) + DecoupledCrossEntropy (mode=less)")
    plain = [description({**model, **more}, "CIFAR-100") for more in ({}, dict(loss=dict(type="SoftmaxBCE")))]
    assert plain[0] == plain[1] and plain[0]["method"] == "CutMix (alpha=0.2)"


@pytest.mark.parametrize("model", [{}, dict(backbone=None, mixup=None), dict(backbone=dict(type="NoSuchNet"))])
def test_a_model_without_known_parts_is_described_as_far_as_it_goes(model):
    assert description(model, "Birds")["method"] == "Vanilla"


def test_runs_without_a_description_are_named_with_the_defaults_that_their_classes_had():
    """Where a default has changed since, the change is listed here: such runs keep the names of their time."""
    changed: dict = {}
    for name, old in old_defaults().items():
        new = json.loads(json.dumps(default_values(MIXUPS.get(name) or BACKBONES.get(name))))
        assert {key for key in old if key not in new or new[key] != old[key]} == changed.get(name, set()), name
