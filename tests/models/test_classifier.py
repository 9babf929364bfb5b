import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch import nn

from openmix.mixups import MixUp, Vanilla
from openmix.mixups.base import MixMethod
from openmix.models import Classifier
from openmix.registry import MODELS


class Probe(MixMethod):
    """A method with a parameter, a second network and a memory of how it was called."""

    def __init__(self):
        super().__init__()
        self.scale, self.calls = nn.Parameter(torch.ones(3)), []

    def attach(self, net):
        self.calls.append(("attach", net))

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        self.calls.append(("loss", draws, progress))
        return dict(loss=criterion(net(images), labels) * self.scale.sum(), mask_loss=self.scale.sum().detach())

    def after_step(self, net, progress):
        self.calls.append(("after_step", net, progress))

    def networks(self, net):
        return dict(student=net, teacher=lambda images: -net(images))

    def init_weights(self):  # mmengine would call it
        nn.init.zeros_(self.scale)


def classifier(mixup=None, **options):
    torch.manual_seed(0)
    return Classifier(dict(type="CifarResNet", depth=8), num_classes=4, mixup=mixup, **options)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(6, 3, 8, 8), torch.tensor([0, 1, 2, 3, 0, 1])


def test_it_builds_from_a_config():
    model = MODELS.build(dict(type="Classifier", backbone=dict(type="CifarResNet", depth=8), num_classes=4,
                              mixup=dict(type="MixUp", alpha=0.5), loss=dict(type="LabelSmoothing", eps=0.3)))
    assert isinstance(model.mixup, MixUp) and model.mixup.alpha == 0.5 and model.criterion.eps == 0.3


@pytest.mark.parametrize("options, message", [
    (dict(mixup=dict(type="MixUp", num_classes=100)), "mixup.num_classes is 100, but the model has 4 classes"),
    (dict(mixup=MixUp(num_classes=5)), "mixup.num_classes is 5"),
    (dict(mixup=dict(type="RandomChoice", methods=[dict(type="CutMix"), dict(type="RandomChoice", methods=[
        dict(type="Vanilla", num_classes=3)])])), r"mixup.num_classes is 3"),
    (dict(head=dict(type="LinearHead", num_classes=5)), "head.num_classes is 5"),
])
def test_numbers_of_classes_in_several_places_must_agree(options, message):
    with pytest.raises(ValueError, match=message):
        classifier(**options)


def test_numbers_of_classes_that_agree_are_accepted_wherever_they_stand():
    model = classifier(dict(type="RandomChoice", methods=[dict(type="MixUp", num_classes=4)]),
                       head=dict(type="LinearHead", num_classes=4))
    assert model.num_classes == 4
    model = Classifier(dict(type="CifarResNet", depth=8), head=dict(type="LinearHead", num_classes=6),
                       mixup=MixUp(num_classes=6))
    assert model.num_classes == model.net.head.fc.out_features == 6


def test_without_a_method_and_a_loss_it_is_plain_cross_entropy(batch):
    model = classifier()
    assert isinstance(model.mixup, Vanilla)
    images, labels = batch
    torch.testing.assert_close(model(images, labels)["loss"], F.cross_entropy(model.net(images), labels))


def test_the_loss_is_that_of_the_mixed_batch(batch):
    model, (images, labels) = classifier(dict(type="MixUp")), batch
    draws = model.mixup.draw(6, (8, 8))
    lam = draws["lam"]
    logits = model(lam * images + (1 - lam) * images.roll(1, 0), mode="tensor")
    expected = lam * F.cross_entropy(logits, labels) + (1 - lam) * F.cross_entropy(logits, labels.roll(1))
    torch.testing.assert_close(model(images, labels, draws)["loss"], expected[0])


def test_the_method_sees_the_net_once_and_gets_draws_progress_and_steps(batch):
    model, (images, labels) = classifier(Probe()), batch
    draws = dict(lam=torch.ones(1))
    losses = model(images, labels, draws, progress=0.25)
    model.after_step(0.5)
    assert model.mixup.calls == [("attach", model.net), ("loss", draws, 0.25), ("after_step", model.net, 0.5)]
    assert set(losses) == {"loss", "mask_loss"}


def test_without_mixing_images_are_clean_and_the_methods_parameters_still_get_a_gradient(batch):
    model, (images, labels) = classifier(Probe()), batch
    loss = model(images, labels, mixing=False)["loss"]
    torch.testing.assert_close(loss, F.cross_entropy(model.net(images), labels))
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())  # DDP waits for none
    assert model.mixup.scale.grad.equal(torch.zeros(3))
    assert [c[0] for c in model.mixup.calls] == ["attach"]


def test_predictions_are_named_by_network_in_order(batch):
    model, (images, _) = classifier(Probe()).eval(), batch
    predictions = model(images, mode="predict")
    assert list(predictions) == ["student", "teacher"]
    torch.testing.assert_close(predictions["teacher"], -model(images, mode="tensor"))
    assert list(classifier()(images, mode="predict")) == ["net"]


def test_state_keys_say_what_they_belong_to():
    prefixes = {".".join(k.split(".")[:2]) for k in classifier(Probe()).state_dict()}
    assert prefixes == {"net.backbone", "net.head", "mixup.scale"}


def test_weights_survive_mmengines_init_weights():
    model = classifier(Probe())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.init_weights()
    assert all(before[k].equal(v) for k, v in model.state_dict().items())


def test_a_logged_loss_is_not_added_to_the_loss():
    loss, logged = classifier().parse_losses(dict(loss=torch.tensor(1.0), mask_loss=torch.tensor(2.0)))
    assert (loss, logged["loss"], logged["mask_loss"]) == (1, 1, 2)


def test_mmengines_train_and_val_steps_work(batch):
    model, (images, labels) = classifier(Probe()), batch
    before = model.net.head.fc.weight.clone()
    data = dict(images=images, labels=labels)
    logged = model.train_step(data, OptimWrapper(torch.optim.SGD(model.parameters(), 0.1)))
    assert set(logged) == {"loss", "mask_loss"} and not before.equal(model.net.head.fc.weight)
    assert model.val_step((images, labels))["student"].shape == (6, 4)


@pytest.mark.parametrize("call, message", [
    (lambda m, x, y: m(x, y, mode="train"), "mode must be 'loss', 'tensor' or 'predict', got 'train'"),
    (lambda m, x, y: m(x), "mode 'loss' needs labels"),
    (lambda m, x, y: classifier(dict(type="MixUpp")), "did you mean 'MixUp'"),
    (lambda m, x, y: classifier(dict(type="MixUp", alhpa=1)), "did you mean 'alpha'"),
    (lambda m, x, y: classifier(loss=dict(type="SoftCrossEntropi")), "did you mean 'SoftCrossEntropy'"),
])
def test_what_is_wrong_is_named(batch, call, message):
    with pytest.raises(ValueError, match=message):
        call(classifier(), *batch)
