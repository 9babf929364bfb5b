"""What a message says to those who come from another library."""
import pytest
import torch
from mmengine.config import Config
from torch import nn

import openmix
from openmix.engine.config.check import check_top_level
from openmix.errors import did_you_mean
from openmix.mixups import AutoMix, ManifoldMix
from openmix.models import build_net


def test_of_very_many_names_only_the_nearest_are_listed():
    known = [f"network_{i}" for i in range(1000)]
    text = did_you_mean("network_12x", known)
    assert "did you mean 'network_12'" in text and "1000 names are known" in text and len(text) < 200
    assert len(did_you_mean("?", known)) < 200


@pytest.mark.parametrize("key, place", [
    ("lr", "optim_wrapper.optimizer.lr"), ("batch_size", "train_dataloader.total_batch"),
    ("epochs", "train_cfg.max_epochs"), ("alpha", "model.mixup.alpha")])
def test_a_key_at_the_top_of_a_config_is_shown_its_place(key, place):
    cfg = Config(dict(
        model=dict(mixup=dict(alpha=1)), train_dataloader=dict(total_batch=2), val_dataloader=dict(batch_size=2),
        optim_wrapper=dict(optimizer=dict(lr=1)), train_cfg=dict(max_epochs=2), **{key: 1}))
    with pytest.raises(ValueError, match=f"unknown key '{key}'; did you mean {place}"):
        check_top_level(cfg)


def test_a_network_of_torchvision_is_shown_by_the_call_that_makes_it():
    with pytest.raises(ValueError, match=r"get_model\('TorchvisionModel', num_classes, name='resnet18'\)"):
        openmix.get_model("resnet18")
    with pytest.raises(ValueError, match="did you mean 'ResNet'"):
        openmix.get_model("Resnets", 10)


def test_a_missing_layer_names_the_options_of_the_methods():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    for method in (AutoMix(), ManifoldMix()):
        with pytest.raises(ValueError, match=r"option layer='...' or layers=\[...\]"):
            method.attach(net)


class Renamed(nn.Module):
    mix_layers = dict(layer1="first", layer2="second", layer3="second")
    out_channels = 4

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, images):
        return self.second(self.first(images))


def test_a_backbone_names_its_layers_to_mix():
    images, labels = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])
    for method in (ManifoldMix(layers="layer1"), AutoMix(image_size=8)):
        net = build_net(Renamed(), num_classes=4)
        method.attach(net)
        assert method.loss(net, images, labels, lambda logits, target: logits.sum())["loss"].requires_grad


@pytest.mark.parametrize("kind, name", [
    ("TorchvisionModel", "resnet18"), ("TorchvisionModel", "vit_b_16"), ("TorchvisionModel", "convnext_tiny"),
    ("TorchvisionModel", "densenet121"), ("TimmModel", "resnet18"), ("TimmModel", "vit_tiny_patch16_224"),
    ("TimmModel", "convnext_atto"), ("TimmModel", "efficientnet_b0")])
def test_networks_of_other_libraries_know_layer1_to_layer4(kind, name):
    if kind == "TimmModel":
        pytest.importorskip("timm")
    from openmix.probes import find_layer

    with torch.device("meta"):
        net = openmix.get_model(kind, 10, name=name)
    layers = [find_layer(net, f"layer{k}") for k in (1, 2, 3, 4)]
    order = list(net.modules())
    assert [order.index(layer) for layer in layers] == sorted({order.index(layer) for layer in layers})


def test_data_parallel_is_refused_with_the_way_out(monkeypatch):
    net = nn.DataParallel(nn.Sequential(nn.Linear(2, 2)))
    net.device_ids = [0, 1]
    with pytest.raises(ValueError, match="use DistributedDataParallel"):
        AutoMix().attach(net)
