"""A teacher by config: files of all kinds, its own normalisation and size, and clear errors."""
import pytest
import torch
from torch import nn

from openmix.inference.teacher import Teacher
from openmix.mixups import MixMethod
from openmix.models import build_net
from openmix.registry import MIXUPS, MODELS

SMALL = dict(type="CifarResNet", depth=8)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


class Taught(MixMethod):
    """A method that takes a built teacher."""

    def __init__(self, teacher, others=()):
        super().__init__()
        self.teacher, self.others = teacher, others


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = build_net(SMALL, num_classes=4)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.2)
    return net.eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 16, 16)


@pytest.fixture(params=["state dict", "plain names", "safetensors", "published"])
def file(request, net, tmp_path):
    weights = net.state_dict()
    if request.param == "plain names":  # another code's: no prefix, its own name for the classifier
        weights = {k.removeprefix("backbone.").replace("head.fc", "linear"): v for k, v in weights.items()}
    if request.param == "safetensors":
        save = pytest.importorskip("safetensors.torch").save_file
        save(weights, tmp_path / "net.safetensors")
        return tmp_path / "net.safetensors"
    if request.param == "published":
        data = dict(mean=list(MEAN), std=list(STD))
        weights = dict(meta=dict(network="net", model=dict(backbone=SMALL, num_classes=4), data=data),
                       state_dict=weights)
    torch.save(weights, tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_the_logits_are_those_of_the_network_in_the_file(file, net, images):
    state = torch.get_rng_state()
    teacher = Teacher(SMALL, num_classes=4, checkpoint=str(file))
    assert torch.equal(teacher(images), net(images))
    assert torch.equal(torch.get_rng_state(), state) and not teacher.state_dict()


def test_images_are_normalised_and_resized_as_the_teacher_was_trained(net, images):
    seen_mean, seen_std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    teacher = Teacher(net, num_classes=4, mean=MEAN, std=STD, seen_mean=seen_mean, seen_std=seen_std, size=24)
    seen = [images[:, c] * seen_std[c] + seen_mean[c] for c in range(3)]
    own = torch.stack([(seen[c] - MEAN[c]) / STD[c] for c in range(3)], 1)
    view = teacher.view(images)
    assert view.shape == (2, 3, 24, 24)
    assert torch.allclose(view, nn.functional.interpolate(own, scale_factor=1.5, mode="bilinear"), atol=1e-5)


def test_a_published_file_names_its_normalisation(net, images, tmp_path):
    meta = dict(network="net", model=dict(backbone=SMALL, num_classes=4), data=dict(mean=list(MEAN), std=list(STD)))
    torch.save(dict(meta=meta, state_dict=net.state_dict()), tmp_path / "net.pth")
    seen = dict(seen_mean=(0.1, 0.2, 0.3), seen_std=(0.3, 0.2, 0.1))
    teacher = Teacher(SMALL, num_classes=4, checkpoint=tmp_path / "net.pth", **seen)
    said = Teacher(net, num_classes=4, mean=MEAN, std=STD, **seen)
    teacher.load()
    assert torch.equal(teacher.view(images), said.view(images)) and not torch.equal(teacher.view(images), images)


def test_a_method_gets_its_teacher_built_and_nothing_is_read_for_that(monkeypatch):
    monkeypatch.setitem(MIXUPS._module_dict, "Taught", Taught)
    teacher = dict(type="Teacher", backbone=SMALL, num_classes=4, checkpoint="nowhere.pth")
    method = MIXUPS.build(dict(type="Taught", teacher=teacher, others=[dict(type="MixUp"), teacher]))
    assert isinstance(method.teacher, Teacher) and [type(m).__name__ for m in method.others] == ["MixUp", "Teacher"]
    with pytest.raises(FileNotFoundError, match="weights of the teacher: .*nowhere.pth.*teacher.checkpoint"):
        method.teacher.load()
    with pytest.raises(ValueError, match="Teacher has no key 'checkpont'.*checkpoint"):
        MIXUPS.check(dict(type="Taught", teacher=dict(type="Teacher", backbone=SMALL, checkpont="x")))
    with pytest.raises(ValueError, match="mixup: unknown type 'Teacher'"):
        MIXUPS.build(teacher)
    assert MODELS.get("Teacher") is Teacher


def test_wrong_teachers_are_refused_readably(net, images, tmp_path):
    torch.save(net.state_dict(), tmp_path / "net.pth")
    file = tmp_path / "net.pth"
    for wrong, message in (
            (dict(backbone=SMALL, num_classes=10, checkpoint=file), "other shapes: head.fc.weight"),
            (dict(backbone=dict(type="CifarResNet", depth=14), num_classes=4, checkpoint=file), "missing"),
            (dict(backbone=SMALL, num_classes=4), "random weights.*checkpoint"),
            (dict(backbone=net.backbone), "no classifier.*num_classes"),
            (dict(backbone=dict(type="CifarResNet", dept=8)), "has no key 'dept'"),
            (dict(backbone=SMALL, mean=MEAN), "mean and std go together"),
            (dict(backbone=SMALL, mean=MEAN, std=STD), "seen_mean and seen_std"),
            (dict(backbone=SMALL, mean=MEAN, std=(0, 1, 1), seen_mean=MEAN, seen_std=STD), "std is positive")):
        with pytest.raises(ValueError, match=message):
            Teacher(**wrong)(images)
    with pytest.raises(TypeError, match="backbone must be"):
        Teacher("resnet18")
    assert Teacher(net.backbone).features(images).shape == (2, 64, 4, 4)  # of a backbone alone
