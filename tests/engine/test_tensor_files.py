"""Weights of other codes: safetensors files, and networks whose names are not ours."""
import sys

import pytest
import torch
from torchvision import models as torchvision_models

import openmix
from openmix.engine import checkpoint
from openmix.engine.fitting import renamed
from tests.engine.tiny import config

safetensors = pytest.importorskip("safetensors.torch")


def plain_weights(net, classifier="linear") -> dict:
    """A network's weights as other codes name them, e.g. akamaster/pytorch_resnet_cifar10."""
    names = {k: k.replace("backbone.", "").replace("head.fc", classifier) for k in net.state_dict()}
    return {names[k]: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = openmix.get_model("CifarResNet", 10, depth=8, shortcut="A").eval()
    for name, value in net.state_dict().items():  # also the statistics are not those of a fresh network
        if name.endswith(("running_mean", "running_var")):
            value.uniform_(0.5, 1.5)
    return net


@pytest.fixture
def file(net, tmp_path):
    safetensors.save_file(plain_weights(net), tmp_path / "net.safetensors", metadata=dict(source="a test"))
    return tmp_path / "net.safetensors"


def same(a, b) -> bool:
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def test_a_safetensors_file_of_a_plain_network_loads(net, file):
    assert same(net, openmix.get_model("CifarResNet", 10, depth=8, shortcut="A", pretrained=file))


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: dict(state_dict={f"module.{k}": v for k, v in w.items()})])
@pytest.mark.parametrize("classifier", ["linear", "fc", "classifier.6"])
def test_a_pth_file_of_a_plain_network_loads_whatever_its_classifier_is_called(net, tmp_path, wrap, classifier):
    torch.save(wrap(plain_weights(net, classifier)), tmp_path / "net.th")
    actual = openmix.get_model("CifarResNet", 10, depth=8, shortcut="A", pretrained=tmp_path / "net.th")
    assert same(net, actual)


def test_a_file_of_torchvision_loads_into_its_network_and_into_ours(tmp_path):
    torch.manual_seed(0)
    theirs, images = torchvision_models.resnet18(num_classes=5).eval(), torch.randn(2, 3, 32, 32)
    torch.save(theirs.state_dict(), tmp_path / "r18.pth")
    for name, options in (("TorchvisionModel", dict(name="resnet18")), ("ResNet", dict(depth=18, stem="imagenet"))):
        ours = openmix.get_model(name, 5, pretrained=tmp_path / "r18.pth", **options).eval()
        torch.testing.assert_close(ours(images), theirs(images))


@pytest.mark.parametrize("options, message", [
    (dict(depth=8), "missing: backbone.layer2.0.downsample"),  # option B
    (dict(depth=14, shortcut="A"), "missing: backbone.layer1.1"),
])
def test_weights_of_another_network_are_refused(file, options, message):
    with pytest.raises(ValueError, match=message):
        openmix.get_model("CifarResNet", **{"num_classes": 10, **options}, pretrained=file)


def test_names_that_fit_already_and_names_that_never_do_are_left_alone(net):
    own = net.state_dict()
    for weights in (own, {"head.fc.weight": own["head.fc.weight"]}, {"a.weight": torch.zeros(1)}, {}):
        assert renamed(weights, own) == weights
    two = {**plain_weights(net), "aux.weight": torch.zeros(1)}
    assert {"linear.weight", "aux.weight"} <= renamed(two, own).keys()  # which is the classifier is not known


def test_openmix_test_takes_such_a_file(net, file, tmp_path):
    cfg = config(tmp_path / "run")
    cfg.model.backbone = dict(type="CifarResNet", depth=8, shortcut="A")
    cfg.data_preprocessor = dict(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    actual = openmix.test(cfg, file)
    images = openmix.datasets.Shapes(**{k: v for k, v in cfg.test_dataloader.dataset.items() if k != "type"})
    expected = openmix.infer(net, images.images, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    right = (expected.labels == images.labels).float().mean().item()
    assert actual["net"]["top1"] == pytest.approx(100 * right, abs=1e-4)


@pytest.mark.parametrize("cut", [0, 4, 100, -7])
def test_a_damaged_file_is_reported_as_damaged(file, cut):
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ValueError, match="net.safetensors is damaged"):
        checkpoint.load(file)


def test_another_kind_of_file_of_that_name_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"\x80\x04 no such file at all" * 9)
    with pytest.raises(ValueError, match="damaged or no safetensors file"):
        checkpoint.load(tmp_path / "x.safetensors")


def test_without_the_package_the_error_says_how_to_get_it(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r'pip install safetensors'):
        checkpoint.load(file)
