"""Networks with channels last, tokens of images that are no squares, other precisions; methods inside others."""
import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.inference.teacher import Teacher
from openmix.losses import DecoupledCrossEntropy, SoftCrossEntropy
from openmix.mixups import (
    AdAutoMix,
    AlignMix,
    AttentiveMix,
    AutoMix,
    CatchUpMix,
    CoMixup,
    Distill,
    FeatureMix,
    GridMix,
    ManifoldMix,
    MixUp,
    PatchUp,
    RecursiveMix,
    RegMixup,
    SaliencyGrafting,
    SAMix,
    SnapMix,
    SUMix,
    TLAlign,
    TokenMix,
)

BATCH = torch.rand(4, 3, 32, 64, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 0, 2, 3])
criterion = SoftCrossEntropy()


class Net(nn.Module):
    """Maps (N, C, h, w) of ``stage``, or the same numbers as (N, h, w, C)."""

    def __init__(self, last: bool):
        super().__init__()
        torch.manual_seed(0)
        self.last, self.stem, self.stage, self.fc = last, nn.Conv2d(3, 6, 8, 8), nn.Identity(), nn.Linear(6, 10)

    def forward(self, images):
        maps = self.stem(images)
        if self.last:
            return self.fc(self.stage(maps.permute(0, 2, 3, 1)).mean((1, 2)))
        return self.fc(self.stage(maps).mean((2, 3)))


def loss_on(last, method, images=BATCH[0]):
    net = Net(last)
    torch.manual_seed(1)
    method = copy.deepcopy(method)
    method.attach(net)
    draws = method.draw(len(images), images.shape[2:], torch.Generator().manual_seed(2))
    torch.manual_seed(3)
    return method.loss(net, images, BATCH[1], criterion, draws, 0.5)["loss"]


@pytest.mark.parametrize("method", [
    AlignMix(layer="stage", image_size=(3, 32, 64), iterations=20), GridMix(layer="stage", image_shape=(3, 32, 64)),
    SaliencyGrafting(layer="stage", image_shape=(3, 32, 64)), SnapMix(layer="stage", image_shape=(3, 32, 64)),
    RecursiveMix(layer="stage", image_shape=(3, 32, 64)), AutoMix(layer="stage", image_size=(3, 32, 64)),
    SAMix(layer="stage", image_size=(3, 32, 64))], ids=lambda method: type(method).__name__)
def test_the_loss_is_the_same_with_channels_last(method):
    torch.testing.assert_close(loss_on(True, method), loss_on(False, method))


@pytest.mark.parametrize("method", [PatchUp(layers=["stage"]), CatchUpMix(layers=["stage"])],
                         ids=lambda method: type(method).__name__)
def test_methods_of_maps_with_channels_first_refuse_others(method):
    assert loss_on(False, method).isfinite()
    with pytest.raises(ValueError, match=r"C, h, w.*\(4, 4, 8, 6\)"):
        loss_on(True, method)


@pytest.mark.parametrize("method", [ManifoldMix(layers=["input"]), FeatureMix()], ids=lambda m: type(m).__name__)
def test_bytes_are_not_left_unmixed_while_their_labels_are_mixed(method):
    class Scaled(Net):
        def forward(self, images):
            return super().forward(images.float() / 255)

    with pytest.raises(ValueError, match="needs float images, got torch.uint8"):
        method.loss(Scaled(False), (BATCH[0] * 255).byte(), BATCH[1], criterion)


@pytest.mark.parametrize("block", [AutoMix, SAMix, AdAutoMix])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_blocks_train_in_the_precision_of_their_weights(block, dtype):
    net = Net(False).to(dtype)
    method = block(layer="stage", image_size=(3, 32, 64))
    method.attach(net)
    method.to(dtype)
    loss = method.loss(net, BATCH[0].to(dtype), BATCH[1], criterion, progress=0.5)["loss"]
    loss.backward()
    assert loss.isfinite() and net.stem.weight.grad.isfinite().all()


def test_one_hot_labels_of_bools_are_classes_too():
    classes = torch.tensor([0, 1, 0, 1])
    for labels in (F.one_hot(classes, 3), F.one_hot(classes, 3).bool()):
        mixed, target = MixUp(partner="class")(BATCH[0], labels)
        assert torch.equal(target.dense(3).argmax(1), classes)
        assert loss_of_equal_classes(labels).isfinite()


def loss_of_equal_classes(labels):
    net, method = Net(False), SnapMix(layer="stage", image_shape=(3, 32, 64), double_equal=True)
    method.attach(net)
    return method.loss(net, BATCH[0], F.pad(labels, (0, 7)), criterion)["loss"]


# -- methods inside others -----------------------------------------------------------------------------------------


def test_a_distilled_method_that_remembers_batches_keeps_and_loads_its_memory():
    net = Net(False)
    build = lambda: Distill(Net(False), RecursiveMix(layer="stage", image_shape=(3, 32, 64)))  # noqa: E731
    first, second = build(), build()
    for method in (first, second):
        torch.manual_seed(1)
        method.attach(net)
    first.loss(net, *BATCH, criterion)
    history = first.history()
    assert history and history.keys() == first.method.history().keys()
    second.load_history(history)
    for name, value in second.method.history().items():
        assert torch.equal(value, history[name]), name


@pytest.mark.parametrize("outer", [RegMixup, SUMix])
def test_what_a_wrapped_method_needs_of_the_network_is_made_when_it_is_attached(outer):
    teacher = Teacher(dict(type="LeNet"), num_classes=10, checkpoint="/nowhere.pth")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        outer(AttentiveMix(teacher)).attach(Net(False))
    method = outer(GridMix(layer="stage", image_shape=(3, 32, 64)))
    net = Net(False)
    method.attach(net)
    method.loss(net, *BATCH, criterion)["loss"].backward()
    assert method.method.patch_head.weight.grad is not None, "several processes wait for every gradient"


@pytest.mark.parametrize("inner", [CoMixup(part=2, saliency="fine_grained"), TokenMix(teacher=None, grid=4, extra=1)],
                         ids=lambda method: type(method).__name__)
def test_sumix_refuses_mixtures_that_are_not_of_an_image_and_its_partner(inner):
    with pytest.raises(ValueError, match=f"{type(inner).__name__} mixes otherwise"):
        SUMix(inner)


def test_an_unmixed_image_of_tlalign_has_the_weight_of_its_label_alone():
    timm = pytest.importorskip("timm")
    net = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2,
                            num_classes=10)
    method = TLAlign(prob=0, patch=8)
    method.attach(net)
    images, labels = torch.rand(16, 3, 32, 32), torch.randint(10, (16,))
    loss = DecoupledCrossEntropy(eta=1.0)
    mixed = method.loss(net, images, labels, loss)["loss"]
    torch.testing.assert_close(mixed, F.cross_entropy(net(images), labels))
