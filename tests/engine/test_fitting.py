"""Weights of other libraries, of another number of classes, and files that fit hardly or not at all."""
import warnings

import pytest
import timm
import torch
from torchvision import models

import openmix
from openmix.engine import checkpoint, fitting
from openmix.engine.resume import load_weights
from openmix.engine.runner import Runner
from tests.engine.tiny import config

SIZE = dict(vit_b_32=dict(image_size=32))


def torchvision_network(name):
    options = dict(init_weights=False) if name in ("googlenet", "inception_v3") else SIZE.get(name, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return models.get_model(name, num_classes=7, weights=None, **options).eval()


def noisy(net):
    """Weights and statistics that differ everywhere, so that one that is left out would be noticed."""
    torch.manual_seed(1)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.01 * torch.rand_like(tensor))
    return net


@pytest.mark.parametrize("name, side", [("resnet18", 32), ("mobilenet_v3_small", 32), ("densenet121", 32),
                                        ("googlenet", 32), ("shufflenet_v2_x0_5", 32), ("efficientnet_b0", 32)])
def test_torchvisions_own_state_dict_gives_torchvisions_logits(name, side, tmp_path):
    theirs = noisy(torchvision_network(name))
    torch.save(theirs.state_dict(), tmp_path / "tv.pth")
    net = openmix.get_model("TorchvisionModel", 7, name=name, pretrained=tmp_path / "tv.pth", **SIZE.get(name, {}))
    images = torch.rand(2, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(images), theirs(images))


@pytest.mark.parametrize("name", ["maxvit_t", "vit_b_32", "swin_t", "convnext_tiny", "vgg11", "inception_v3"])
def test_every_kind_of_torchvisions_classifier_is_translated(name):
    """Names and shapes alone, without memory for the weights."""
    with torch.device("meta"):
        net = openmix.get_model("TorchvisionModel", 7, name=name, **SIZE.get(name, {}))
        theirs = torchvision_network(name)
        actual = fitting.named_as_ours(theirs.state_dict(), net)
    assert fitting.misfits(net.state_dict(), actual) is None


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "deit_tiny_patch16_224", "convnext_atto"])
def test_timms_own_state_dict_gives_timms_logits(name, tmp_path):
    theirs = noisy(timm.create_model(name, num_classes=7)).eval()
    torch.save(dict(state_dict=theirs.state_dict()), tmp_path / "timm.pth")
    net = openmix.get_model("TimmModel", 7, name=name, pretrained=tmp_path / "timm.pth")
    images = torch.rand(2, 3, *(224, 224) if "deit" in name else (32, 32))
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(images), theirs(images))


@pytest.mark.parametrize("name, library", [("squeezenet1_1", "TorchvisionModel"),
                                           ("deit_tiny_distilled_patch16_224", "TimmModel")])
def test_a_classifier_that_is_no_linear_layer_is_refused_by_name(name, library, tmp_path):
    theirs = models.squeezenet1_1(num_classes=7) if "squeeze" in name else timm.create_model(name, num_classes=7)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    with pytest.raises(ValueError, match="missing: head.fc.weight"):
        openmix.get_model(library, 7, name=name, pretrained=tmp_path / "theirs.pth")


@pytest.mark.parametrize("wrap", [
    lambda w: w, lambda w: dict(state_dict=w), lambda w: dict(model=w, epoch=3),
    lambda w: dict(state_dict=dict(model=w)),
    lambda w: {f"module.{k}": v for k, v in w.items()}, lambda w: {f"model.{k}": v for k, v in w.items()},
    lambda w: dict(state_dict={f"module.model.{k}": v for k, v in w.items()}),
    lambda w: dict(model_state_dict={f"_orig_mod.module.{k}": v for k, v in w.items()})])
@pytest.mark.parametrize("library", ["TorchvisionModel", "TimmModel"])
def test_wrappers_around_names_and_around_the_dict_are_taken_off(library, wrap, tmp_path):
    theirs = models.resnet18(num_classes=7) if library == "TorchvisionModel" else timm.create_model(
        "resnet18", num_classes=7)
    torch.save(wrap(theirs.state_dict()), tmp_path / "theirs.pth")
    net = openmix.get_model(library, 7, name="resnet18", pretrained=tmp_path / "theirs.pth")
    assert torch.equal(net.head.fc.weight, theirs.fc.weight)
    assert torch.equal(net.backbone.model.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)


def test_weights_of_another_torchvision_network_are_refused(tmp_path):
    torch.save(models.resnet34(num_classes=7).state_dict(), tmp_path / "tv.pth")
    with pytest.raises(ValueError, match="left over: backbone.model.layer1.2"):
        openmix.get_model("TorchvisionModel", 7, name="resnet18", pretrained=tmp_path / "tv.pth")


def test_another_number_of_classes_gives_a_new_head_and_a_warning_with_its_names(tmp_path):
    theirs = models.resnet18(num_classes=9)
    torch.save(theirs.state_dict(), tmp_path / "tv.pth")
    with pytest.warns(UserWarning, match="head of 9 classes, this model one of 7: the head stays new, head.fc.weight, "
                                         "head.fc.bias were left out"):
        net = openmix.get_model("TorchvisionModel", 7, name="resnet18", pretrained=tmp_path / "tv.pth")
    assert net.head.fc.weight.shape == (7, 512) and torch.equal(net.backbone.model.conv1.weight, theirs.conv1.weight)


OWN = {"backbone.conv.weight": torch.zeros(8, 3), "head.fc.weight": torch.zeros(7, 8), "head.fc.bias": torch.zeros(7)}


@pytest.mark.parametrize("changes, new", [
    ({"head.fc.weight": torch.zeros(9, 8), "head.fc.bias": torch.zeros(9)}, ["head.fc.weight", "head.fc.bias"]),
    ({}, []),
    ({"head.fc.weight": torch.zeros(9, 8)}, []),  # half a head
    ({"head.fc.weight": torch.zeros(9, 6), "head.fc.bias": torch.zeros(9)}, []),  # of other features
    ({"head.fc.weight": torch.zeros(9, 8), "head.fc.bias": torch.zeros(5)}, []),
    ({"head.fc.weight": torch.tensor(1.0), "head.fc.bias": torch.tensor(1.0)}, []),
    ({"backbone.conv.weight": torch.zeros(9, 3)}, []),  # no head at all
    ({"backbone.conv.weight": torch.zeros(6, 3), "head.fc.weight": torch.zeros(9, 8),
      "head.fc.bias": torch.zeros(9)}, []),
])
def test_only_a_head_of_another_number_of_classes_may_differ(changes, new):
    assert fitting.of_other_classes(OWN, {**OWN, **changes}) == new
    assert (fitting.misfits(OWN, {**OWN, **changes}) is None) == (not changes)


def loaded(tmp_path, content, strict=False, **changes):
    """(the runner's model, its warnings) after ``content`` was loaded from a file."""
    torch.save(content, tmp_path / "given.pth")
    runner = Runner.from_cfg(config(tmp_path / "run", **changes))
    said = []
    runner.logger.warning = said.append
    for hook in runner.hooks:
        if hasattr(hook, "networks"):
            hook.before_run(runner)
    load_weights(runner, tmp_path / "given.pth", strict=strict)
    return runner, said


@pytest.mark.parametrize("whole", [True, False])
def test_load_from_fine_tunes_to_another_number_of_classes(tmp_path, whole):
    first = Runner.from_cfg(config(tmp_path / "first", **{"model.num_classes": 12})).model
    content = dict(state_dict=first.state_dict(), ema=first.net.state_dict()) if whole else first.net.state_dict()
    runner, said = loaded(tmp_path, content)
    net, weight = runner.model.net, "backbone." + next(iter(dict(first.net.backbone.named_parameters())))
    assert net.head.fc.weight.shape[0] == 10 and torch.equal(net.get_parameter(weight), first.net.get_parameter(weight))
    assert len(said) == 1 and "head of 12 classes, this model one of 10" in said[0] and "head.fc.bias" in said[0]
    average = runner.networks()["ema"].state_dict()
    assert all(torch.equal(v, average[k]) for k, v in net.state_dict().items()), "the average starts as a copy"
    with pytest.raises(ValueError, match="does not fit this model; other shapes: .*head.fc.weight"):
        loaded(tmp_path, content, strict=True)


def test_the_heads_of_a_learned_method_stay_new_too(tmp_path):
    first = Runner.from_cfg(config(tmp_path / "first", "AutoMix", **{"model.num_classes": 12})).model
    runner, said = loaded(tmp_path, dict(state_dict=first.state_dict()), mixup="AutoMix")
    assert len(said) == 1 and "mixup.head_mix" in said[0]
    teacher = runner.model.mixup.teacher.state_dict()
    body = [k for k in teacher if k.startswith("backbone.")]
    assert body and all(torch.equal(teacher[k], first.mixup.teacher.state_dict()[k]) for k in body)


def test_teachers_start_as_copies_where_the_file_has_none(tmp_path):
    first = Runner.from_cfg(config(tmp_path / "first", **{"randomness.seed": 77})).model
    runner, _ = loaded(tmp_path, dict(state_dict=first.state_dict()), mixup="AutoMix")
    teacher = runner.model.mixup.teacher.state_dict()
    assert all(torch.equal(v, teacher[k]) for k, v in first.net.state_dict().items())


def test_one_fitting_weight_is_warned_of_with_the_numbers(tmp_path):
    first = Runner.from_cfg(config(tmp_path / "first")).model
    state = first.state_dict()
    runner, said = loaded(tmp_path, {"net.head.fc.bias": state["net.head.fc.bias"], "x": torch.zeros(1)})
    total = sum(not k.endswith("num_batches_tracked") for k in first.net.state_dict())
    assert len(said) == 1 and f"only 1 of {total} weights of the network come from" in said[0]
    _, said = loaded(tmp_path, dict(state_dict=state))
    assert said == [], "the control: all fit"


def test_load_from_takes_torchvisions_own_state_dict(tmp_path):
    theirs = models.resnet18(num_classes=10)
    backbone = dict(_delete_=True, type="TorchvisionModel", name="resnet18")
    for content in (theirs.state_dict(), {f"net.{k}": v for k, v in theirs.state_dict().items()}):
        runner, said = loaded(tmp_path, content, **{"model.backbone": backbone})
        assert said == [] and torch.equal(runner.model.net.head.fc.weight, theirs.fc.weight)
        assert torch.equal(runner.model.net.backbone.model.conv1.weight, theirs.conv1.weight)


def test_names_that_are_no_text_are_refused(tmp_path):
    torch.save({1: torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="names of weights must be text"):
        checkpoint.weights(tmp_path / "x.pth")
