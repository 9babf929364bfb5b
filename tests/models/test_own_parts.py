"""Parts of one's own: a whole network as backbone, any loss of torch."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.losses.base import Criterion
from openmix.mixups import CutMix, MixUp
from openmix.models import Classifier


class Whole(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, classes)

    def forward(self, images):
        return self.fc(self.conv(images).mean((2, 3)))


def batch():
    torch.manual_seed(0)
    return torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 4])


def test_a_network_that_makes_logits_is_a_backbone_with_the_identity_head():
    net, (images, labels) = Whole(), batch()
    model = Classifier(net, 5, head=dict(type="IdentityHead"))
    assert torch.equal(model(images, mode="tensor"), net(images))
    assert model(images, labels)["loss"].item() == pytest.approx(F.cross_entropy(net(images), labels).item())
    assert Classifier(Whole(), 5, head=dict(type="IdentityHead"), mixup=dict(type="AutoMix", layer="conv"))


def test_logits_of_another_number_of_classes_are_refused_and_a_headless_backbone_names_the_way_out():
    images, labels = batch()
    with pytest.raises(ValueError, match=r"logits \(N, 10\), got \(4, 5\)"):
        Classifier(Whole(), 10, head=dict(type="IdentityHead"))(images, labels)
    with pytest.raises(ValueError, match="head=dict\\(type='IdentityHead'\\)"):
        Classifier(Whole(), 5)


@pytest.mark.parametrize("mixup", [dict(type="Vanilla"), MixUp(), CutMix(num_classes=5)])
@pytest.mark.parametrize("own", [nn.CrossEntropyLoss(label_smoothing=0.1), nn.BCEWithLogitsLoss(),
                                 lambda logits, p: F.kl_div(logits.log_softmax(1), p, reduction="batchmean")])
def test_a_loss_of_torch_gets_probabilities_whatever_the_method_hands_out(mixup, own):
    images, labels = batch()
    model = Classifier(Whole(), 5, head=dict(type="IdentityHead"), mixup=mixup, loss=own)
    draws = model.mixup.draw(4, (8, 8))
    mixed, target = model.mixup(images, labels, draws)
    if isinstance(target, torch.Tensor) and target.ndim == 1:
        target = F.one_hot(target, 5).float()
    elif not isinstance(target, torch.Tensor):
        target = target.dense(5)
    torch.testing.assert_close(model(images, labels, draws)["loss"], own(model.net(mixed), target))
    clean = own(model.net(images), F.one_hot(labels, 5).float())
    torch.testing.assert_close(model(images, labels, mixing=False)["loss"], clean)


@pytest.mark.parametrize("mixup", ["Vanilla", "MixUp"])
def test_a_criterion_of_ones_own_gets_a_target_of_clean_and_of_mixed_images(mixup):
    class Own(Criterion):
        def each(self, logits, target):
            return -(target.weight * logits.log_softmax(1).gather(1, target.label)).sum(1)

    images, labels = batch()
    model = Classifier(Whole(), 5, head=dict(type="IdentityHead"), mixup=dict(type=mixup), loss=Own())
    draws = model.mixup.draw(4, (8, 8))
    plain = Classifier(model.net.backbone, 5, head=dict(type="IdentityHead"), mixup=dict(type=mixup))
    torch.testing.assert_close(model(images, labels, draws)["loss"], plain(images, labels, draws)["loss"])


def test_what_is_no_loss_is_refused():
    with pytest.raises(TypeError, match="a module or a function"):
        Classifier(Whole(), 5, head=dict(type="IdentityHead"), loss=3)
