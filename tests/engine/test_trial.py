"""Before training: networks that cannot take the images are refused in one line; the others are left as they were."""
import json
import time

import pytest
import torch
from torch import nn

from openmix.engine.trial import try_network
from openmix.losses import SoftmaxBCE
from openmix.models import Classifier
from tests.console import main, write
from tests.engine.tiny import config

CPU = torch.device("cpu")


class Odd(nn.Module):
    """A backbone that draws, counts its calls and holds a frozen part; ``act`` makes the features."""

    out_channels = 4

    def __init__(self, act=lambda x: x.mean((2, 3)).repeat(1, 2)[:, :4]):
        super().__init__()
        self.act, self.norm, self.drop = act, nn.BatchNorm2d(3), nn.Dropout(0.5)
        self.frozen = nn.BatchNorm2d(3).eval()

    def forward(self, images):
        torch.rand(3)
        return self.act(self.drop(self.frozen(self.norm(images))))


def model(backbone, **options):
    return Classifier(backbone, num_classes=10, **options)


def act(net, size=(8, 8)):
    try_network(net, (3, *size), CPU, torch.no_grad)


@pytest.mark.parametrize("backbone, size, message", [
    (dict(type="LeNet", image_size=28), (32, 32), "the network LeNet .* 3 x 32 x 32 .*takes images"),
    (dict(type="TorchvisionModel", name="alexnet"), (32, 32), "3 x 32 x 32"),
    (dict(type="CifarResNet", depth=8, in_channels=1), (8, 8), "CifarResNet .* 3 x 8 x 8 .*channels"),
    (Odd(lambda x: x[:, :, :0].mean((2, 3)).repeat(1, 2)[:, :4]), (8, 8), "Odd .*logits are NaN"),
    (Odd(lambda x: x.mean((0, 2, 3))[None].repeat(1, 2)[:, :4]), (8, 8), r"\(1, 10\) and not logits \(2, 10\)"),
    (Odd(lambda x: x.mean((2, 3))), (8, 8), r"features \(N, 4\)"),
    (Odd(lambda x: 1 / 0), (8, 8), "division by zero"),
])
def test_a_network_that_cannot_take_the_images_is_named_with_their_size(backbone, size, message):
    with pytest.raises(ValueError, match=message):
        act(model(backbone), size)


def test_a_loss_that_cannot_take_the_logits_is_reported_too():
    with pytest.raises(ValueError, match="at least 2 classes"):
        act(Classifier(Odd(), num_classes=1, loss=SoftmaxBCE()))


def test_a_head_of_another_width_than_the_backbone_is_refused():
    with pytest.raises(ValueError, match="LinearHead takes features"):
        act(model(dict(type="CifarResNet", depth=8), head=dict(type="LinearHead", in_channels=32)))


def test_running_out_of_memory_is_not_blamed_on_the_size():
    def full(x):
        raise torch.OutOfMemoryError("out of memory")
    with pytest.raises(torch.OutOfMemoryError):
        act(model(Odd(full)))


def test_nothing_changes_by_it(rng_untouched):
    net = model(Odd()).train()
    net.net.backbone.frozen.eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes, benchmark = [m.training for m in net.modules()], torch.backends.cudnn.benchmark
    with rng_untouched():
        act(net)
    assert modes == [m.training for m in net.modules()] and False in modes
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert torch.backends.cudnn.benchmark == benchmark and all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("changes, message", [
    ({"model.backbone": dict(type="LeNet", image_size=28)}, "the network LeNet"),
    ({"model.backbone.in_channels": 1}, "the network CifarResNet"),
])
def test_a_run_ends_with_one_line_before_its_first_step(tmp_path, capsys, changes, message):
    cfg = config("unused", epochs=1)
    if "model.backbone" in changes:
        cfg.model.backbone = changes["model.backbone"]
    else:
        cfg.merge_from_dict(changes)
    assert main("train", write(cfg, tmp_path / "c.json"), "--work-dir", tmp_path / "run") == 2
    actual = capsys.readouterr().err
    assert message in actual and "3 x 32 x 32" in actual and "Traceback" not in actual
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "invalid"
    assert not list((tmp_path / "run").glob("*.pth"))


def test_it_is_cheap():
    net = model(dict(type="CifarResNet", depth=20))
    act(net, (32, 32))
    start = time.process_time()
    act(net, (32, 32))
    assert time.process_time() - start < 0.5
