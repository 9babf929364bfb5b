"""Published networks as files of safetensors and ONNX."""
import hashlib
import json
import sys

import pytest
import torch

import openmix
from openmix.cli import main
from openmix.datasets import Shapes
from openmix.inference.publish import publish
from tests.engine.tiny import config, train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The work dir of a finished AutoMix run."""
    folder = tmp_path_factory.mktemp("run") / "work"
    train(config(folder, "AutoMix"))
    return folder


@pytest.fixture(scope="module")
def images():
    return Shapes(num_images=10, split="test").images


def test_safetensors_hold_the_weights_of_the_published_network_and_their_description(run, tmp_path):
    reader = pytest.importorskip("safetensors")
    path = publish(run, tmp_path, format="safetensors")
    reference = torch.load(publish(run, tmp_path), weights_only=True)
    with reader.safe_open(path, "pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        meta = json.loads(file.metadata()["openmix"])
    assert weights.keys() == reference["state_dict"].keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in reference["state_dict"].items())
    assert meta == json.loads(json.dumps(reference["meta"]))
    net = openmix.get_model("CifarResNet", 10, depth=8, pretrained=path)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in net.state_dict().items())


def test_an_onnx_network_answers_like_the_run_for_any_number_of_images(run, images, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = publish(run, tmp_path, format="onnx")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for n in (1, 2, 5):
        logits, = session.run(["logits"], dict(images=(images[:n] / 255).numpy()))
        expected = openmix.infer(run, images[:n]).probabilities
        torch.testing.assert_close(torch.from_numpy(logits).softmax(1), expected, rtol=1e-4, atol=1e-5)
    meta = json.loads(session.get_modelmeta().custom_metadata_map["openmix"])
    assert meta["network"] == "mix_k" and meta["data"]["classes"] == Shapes(num_images=10, split="test").classes


@pytest.mark.parametrize("kind, package", [("safetensors", "safetensors"), ("onnx", "onnxscript")])
def test_the_same_weights_give_the_same_file_whose_name_ends_with_its_hash(run, tmp_path, kind, package):
    pytest.importorskip(package)
    path = publish(run, tmp_path / "a", format=kind)
    assert path.read_bytes() == publish(run, tmp_path / "b", format=kind).read_bytes()
    assert path.name == f"config_mix_k-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.{kind}"


@pytest.mark.parametrize("kind, package", [("safetensors", "safetensors.torch"), ("onnx", "onnx")])
def test_without_the_package_one_line_names_it(run, tmp_path, monkeypatch, capsys, kind, package):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["publish", str(run), "--out-dir", str(tmp_path), "--format", kind]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and f"pip install {kind}" in lines[0] and not list(tmp_path.iterdir())


def test_an_unknown_format_is_refused_with_the_nearest_one(run, tmp_path):
    with pytest.raises(ValueError, match="no format 'onx'.*onnx"):
        publish(run, tmp_path, format="onx")


def test_onnx_without_statistics_of_the_images_is_refused_with_what_is_missing(run, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    from openmix.inference.formats import onnx_file

    with pytest.raises(ValueError, match="does not tell mean and size"):
        onnx_file(torch.nn.Identity(), dict(data=dict(std=[1.0])))
