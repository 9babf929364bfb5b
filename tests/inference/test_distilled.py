"""A distilled network goes out alone: published, loaded and used without the file of its teacher."""
from pathlib import Path

import pytest
import torch
from PIL import Image

import openmix
from openmix.inference.publish import publish
from openmix.inference.weights import load_network
from tests.engine.tiny import config, spec, train


def test_the_student_is_published_and_classifies_files_without_its_teacher(tmp_path):
    mixup = spec("Distill")
    own = tmp_path / "teacher.pth"
    own.write_bytes(Path(mixup["teacher"]["checkpoint"]).read_bytes())
    mixup = dict(mixup, teacher=dict(mixup["teacher"], checkpoint=str(own)), hints=[["layer2", "layer2"]])
    train(config(tmp_path / "run", mixup, epochs=1, images=20, env_cfg=dict(amp="off", channels_last=False)))
    own.unlink()
    file = publish(tmp_path / "run", tmp_path / "published")
    content = torch.load(file, weights_only=True)["state_dict"]
    net, facts = load_network(file)
    assert content.keys() == net.state_dict().keys() and not any("teacher" in key or "hints" in key for key in content)
    assert facts["model"]["backbone"]["type"] == "CifarResNet"
    Image.new("RGB", (40, 36), (200, 30, 90)).save(tmp_path / "image.png")
    prediction = openmix.infer(file, [tmp_path / "image.png"])
    assert prediction.probabilities.shape == (1, 10) and len(prediction.names) == 1
    with pytest.raises(FileNotFoundError, match="teacher.pth"):  # training again needs it
        train(config(tmp_path / "again", mixup, epochs=1, images=20))
