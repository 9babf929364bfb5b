"""Accuracy on adversarial examples, white box and transferred."""
import pytest
import torch
from torch import nn

from openmix.attacks import Pixels, ifgsm
from openmix.datasets import Arrays, make_loader
from openmix.engine.eval_loop import evaluate
from openmix.evaluators import FGSM, IFGSM, PGD, Accuracy
from openmix.registry import EVALUATORS


class Model:
    """What the loop asks of a classifier."""

    def __init__(self, **nets):
        self.nets = nets

    def networks(self):
        return self.nets

    def __call__(self, images, mode):
        return {name: net(images) for name, net in self.nets.items()}


def net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval()


@pytest.fixture(scope="module")
def loader():
    images = torch.randint(0, 256, (40, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return make_loader(Arrays(images, net(0)(images.float() / 127.5 - 1).argmax(1)), train=False, batch_size=16,
                       mean=(0.5,) * 3, std=(0.5,) * 3)


def measure(evaluator, loader, **nets):
    return {name: values["top1"] for name, values in
            evaluate(Model(**nets), nets, loader, {name: evaluator() for name in nets})[0].items()}


def test_eps_0_is_the_clean_accuracy_and_larger_eps_is_never_better_for_a_linear_network(loader):
    clean = measure(lambda: Accuracy(topk=1), loader, net=net(0))["net"]
    scores = [measure(lambda eps=eps: FGSM(eps, topk=1), loader, net=net(0))["net"] for eps in (0, 2, 8, 32)]
    assert scores[0] == clean == 100 and scores == sorted(scores, reverse=True) and scores[-1] < 50


@pytest.mark.parametrize("make", [lambda: IFGSM(8, topk=1), lambda: PGD(8, topk=1, steps=20)])
def test_each_network_is_attacked_by_itself(loader, make):
    both = measure(make, loader, a=net(0), b=net(1))
    assert both == dict(a=measure(make, loader, a=net(0))["a"], b=measure(make, loader, b=net(1))["b"])


def test_a_source_is_attacked_instead_and_the_network_itself_as_source_is_the_white_box(loader):
    source = net(1)
    transferred = measure(lambda: IFGSM(16, topk=1, source=source), loader, net=net(0))["net"]
    white = measure(lambda: IFGSM(16, topk=1), loader, net=net(0))["net"]
    assert measure(lambda: IFGSM(16, topk=1, source=net(0)), loader, net=net(0))["net"] == white < transferred
    right = 0
    for images, labels in loader:
        moved = ifgsm(source, images, labels, Pixels([0.5] * 3, [0.5] * 3), 16, 10)
        right += int((net(0)(moved).argmax(1) == labels).sum())
    assert transferred == pytest.approx(100 * right / 40)


def test_predicted_labels_leave_a_wrong_prediction_wrong(loader):
    """For the loss of the predicted class, a wrong image may even become right: not so with the true one."""
    true, predicted = (measure(lambda labels=labels: FGSM(8, labels, topk=1), loader, net=net(1))["net"]
                       for labels in ("true", "predicted"))
    assert predicted >= true


def test_random_starts_repeat_with_their_seed(loader):
    make = lambda seed: measure(lambda: PGD(24, 1, 8.0, topk=1, seed=seed), loader, net=net(0))["net"]  # noqa: E731
    assert make(0) == make(0)


def test_a_source_by_config_is_checked_built_and_attacked_in_a_dry_run(tmp_path):
    from openmix import apis
    from openmix.engine.config.check import check_config
    from tests.engine import tiny

    teacher = tiny.teacher()
    cfg = tiny.config(tmp_path / "run", epochs=1, evals=dict(
        bb=dict(type="IFGSM", eps=16, steps=2, source=teacher), near=dict(type="PGD", eps=4, steps=1, source=teacher)))
    check_config(cfg)
    source = EVALUATORS.build(dict(type="IFGSM", source=teacher)).source
    assert source.is_trained and not source._hidden, "its file is read at the first use"
    apis.dry_run(cfg)
    cfg.evals.bb.source.depht = 8
    with pytest.raises(ValueError, match="evals.bb.source: Teacher has no key 'depht'"):
        check_config(cfg)


def test_data_without_pixels_are_refused():
    floats = make_loader(Arrays(torch.zeros(4, 3, 2, 2), [0, 1, 0, 1]), train=False)
    with pytest.raises(ValueError, match="mean and std"):
        FGSM().begin(floats)


@pytest.mark.parametrize("cfg, message", [
    (dict(type="FGSM", eps=300), "eps"), (dict(type="IFGSM", steps=0), "steps"),
    (dict(type="PGD", labels="tru"), "labels must be one of"), (dict(type="FGSM", esp=3), "esp"),
])
def test_wrong_options_are_refused(cfg, message):
    with pytest.raises((ValueError, TypeError), match=message):
        EVALUATORS.build(cfg)
