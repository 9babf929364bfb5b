"""Evaluators and attacks give what other libraries give; each part is skipped where its library is not installed.

torchmetrics is in the extra ``dev``. torchattacks and foolbox are not: the one pins an old ``requests``, the other
brings ten packages along.
"""
import pytest
import torch
from torch import nn

from openmix.attacks import Pixels, fgsm, ifgsm
from openmix.evaluators import Accuracy, Calibration

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def batch(seed=0):
    random = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(500, 10, generator=random), torch.randint(10, (500,), generator=random)


def measured(evaluator, logits, labels):
    for part in zip(logits.split(130), labels.split(130), strict=True):
        evaluator.update(*part)
    return evaluator.compute()


@pytest.mark.parametrize("bins", [15, 4])
def test_the_calibration_error_is_that_of_torchmetrics(bins):
    metrics = pytest.importorskip("torchmetrics.classification")
    logits, labels = batch()
    theirs = metrics.MulticlassCalibrationError(num_classes=10, n_bins=bins, norm="l1")(logits.softmax(1), labels)
    assert measured(Calibration(bins), logits, labels)["ece"] == pytest.approx(float(theirs), rel=1e-4)


@pytest.mark.parametrize("k", [1, 5])
def test_the_accuracy_is_that_of_torchmetrics(k):
    metrics = pytest.importorskip("torchmetrics.classification")
    logits, labels = batch(1)
    theirs = metrics.MulticlassAccuracy(num_classes=10, top_k=k, average="micro")(logits, labels)
    assert measured(Accuracy(topk=k), logits, labels)[f"top{k}"] == pytest.approx(100 * float(theirs), rel=1e-5)


class Normalised(nn.Module):
    """A smooth network of pixels in [0, 1]; ``net`` takes normalised images."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(392, 10))
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, pixels):
        return self.net((pixels - self.mean) / self.std)


@pytest.fixture
def attacked():
    """The network, pixels (16, 3, 16, 16) of which some are black or white, labels, and our attack of given steps."""
    model, random = Normalised().eval(), torch.Generator().manual_seed(2)
    pixels = (1.2 * torch.rand(16, 3, 16, 16, generator=random) - 0.1).clamp(0, 1)
    labels = torch.randint(10, (16,), generator=random)

    def ours(eps, steps):
        normalised = (pixels - model.mean) / model.std
        moved = (fgsm(model.net, normalised, labels, Pixels(MEAN, STD), eps) if steps == 1 else
                 ifgsm(model.net, normalised, labels, Pixels(MEAN, STD), eps, steps))
        return moved * model.std + model.mean

    return model, pixels, labels, ours


def assert_same_images(ours, theirs):
    """The sign of a gradient near 0 depends on rounding: a pixel in a thousand may differ."""
    assert ((ours - theirs).abs() > 1e-5).float().mean() <= 1e-3


@pytest.mark.parametrize("steps", [1, 10])
def test_adversarial_images_are_those_of_torchattacks(attacked, steps):
    library = pytest.importorskip("torchattacks")
    model, pixels, labels, ours = attacked
    eps = 4 / 255
    attack = library.FGSM(model, eps) if steps == 1 else library.BIM(model, eps, alpha=eps / steps, steps=steps)
    assert_same_images(ours(4, steps), attack(pixels, labels))


@pytest.mark.parametrize("steps", [1, 10])
def test_adversarial_images_are_those_of_foolbox(attacked, steps):
    library = pytest.importorskip("foolbox")
    model, pixels, labels, ours = attacked
    eps = 4 / 255
    attack = (library.attacks.LinfFastGradientAttack() if steps == 1 else
              library.attacks.LinfBasicIterativeAttack(abs_stepsize=eps / steps, steps=steps, random_start=False))
    _, theirs, _ = attack(library.PyTorchModel(model, bounds=(0, 1)), pixels, labels, epsilons=eps)
    assert_same_images(ours(4, steps), theirs)
