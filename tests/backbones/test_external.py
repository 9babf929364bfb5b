import subprocess
import sys

import pytest
import timm
import torch
from torchvision import models as torchvision_models

from openmix.backbones import TimmModel, TorchvisionModel
from openmix.models import build_net
from openmix.registry import BACKBONES

TORCHVISION = ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x0_5", "vgg11", "densenet121",
               "vit_b_32", "swin_t", "convnext_tiny", "efficientnet_b0", "mnasnet0_5"]


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", TORCHVISION)
def test_backbone_and_head_have_the_parameters_of_torchvisions_network(name):
    with torch.device("meta"):
        net = build_net(dict(type="TorchvisionModel", name=name), num_classes=7)
        assert count(net) == count(torchvision_models.get_model(name, num_classes=7))
        assert net.eval()(torch.zeros(2, 3, 224, 224)).shape == (2, 7)


def test_features_are_what_torchvision_gives_to_its_classifier():
    torch.manual_seed(0)
    backbone = TorchvisionModel("resnet18").eval()
    reference = torchvision_models.resnet18().eval()
    reference.load_state_dict(backbone.model.state_dict(), strict=False)
    images, seen = torch.randn(2, 3, 64, 64), []
    reference.fc.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        reference(images)
        torch.testing.assert_close(backbone(images), seen[0])


def test_networks_with_a_second_classifier_give_one_tensor_in_training():
    with torch.device("meta"):
        out = TorchvisionModel("googlenet", init_weights=False).train()(torch.zeros(2, 3, 64, 64))
    assert out.shape == (2, 1024)


def test_options_reach_torchvision():
    with torch.device("meta"):
        assert TorchvisionModel("vit_b_16", image_size=32)(torch.zeros(1, 3, 32, 32)).shape == (1, 768)


@pytest.mark.parametrize("cfg, message", [
    (dict(name="resnet81"), "no classification model 'resnet81'; did you mean 'resnet18'"),
    (dict(name="resnet18", group=2), "'group'; did you mean 'groups'"),
    (dict(name="mobilenet_v3_small", dropuot=0.1), "'dropuot'; did you mean 'dropout'"),  # torchvision swallows it
    (dict(name="resnet18", num_classes=10), "'num_classes'"),
    (dict(name="resnet18", weights="IMAGENET1K_V9"), "no weights 'IMAGENET1K_V9'; did you mean 'IMAGENET1K_V1'"),
])
def test_torchvision_errors_name_the_nearest_known(cfg, message):
    with pytest.raises(ValueError, match=message):
        TorchvisionModel(**cfg)
    if "weights" not in cfg:  # already the check of a config says so, before anything is built
        with pytest.raises(ValueError, match=message):
            BACKBONES.check(dict(type="TorchvisionModel", **cfg))


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224", "convnext_atto"])
def test_backbone_and_head_have_the_parameters_of_timms_network(name):
    with torch.device("meta"):
        net = build_net(dict(type="TimmModel", name=name), num_classes=7)
        assert count(net) == count(timm.create_model(name, num_classes=7))
        assert net.eval()(torch.zeros(2, 3, 224, 224)).shape == (2, 7)


def test_options_reach_timm():
    with torch.device("meta"):
        backbone = build_net(dict(type="TimmModel", name="vit_tiny_patch16_224", img_size=32, patch_size=4),
                             num_classes=7).backbone
        assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, 192)


def test_timm_errors_name_the_nearest_known():
    with pytest.raises(ValueError, match="no model 'resnet81'; did you mean 'resnet18'"):
        BACKBONES.check(dict(type="TimmModel", name="resnet81"))
    with torch.device("meta"), pytest.raises(ValueError, match="'drop_paht_rate'"):
        TimmModel("vit_tiny_patch16_224", drop_paht_rate=0.1)
    with pytest.raises(ValueError, match="'num_classes'"):
        TimmModel("resnet18", num_classes=10)


def test_without_timm_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r'pip install timm'):
        TimmModel("resnet18")


def test_importing_the_backbones_imports_neither_library():
    code = ("import sys, openmix.backbones; "
            "print([m for m in ('torchvision', 'timm', 'mmengine') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_timm_sees_small_images_at_the_size_asked_for():
    options = dict(name="vit_tiny_patch16_224", embed_dim=12, depth=1, num_heads=1)
    torch.manual_seed(0)
    net, images = TimmModel(resize=224, **options).eval(), torch.randn(2, 3, 32, 32)
    large = torch.nn.functional.interpolate(images, size=(224, 224), mode="bicubic")
    assert torch.equal(net(images), net.model(large))
    BACKBONES.check(dict(type="TimmModel", resize=224, **options))
    with pytest.raises(ValueError, match="resize must be a whole number"):
        TimmModel(resize="big", **options)
