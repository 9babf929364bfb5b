"""RandomChoice: frequencies, probabilities, idle parameters, nesting."""
import math

import pytest
import torch
from torch import nn

from openmix.mixups import CutMix, MixMethod, MixUp, RandomChoice, Vanilla
from openmix.plan import draws_at
from openmix.registry import MIXUPS


class Learned(MixUp):
    """MixUp whose loss is scaled by a parameter of its own."""

    needs = "learned"

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.steps = 0

    def loss(self, *args, **kwargs):
        return dict(loss=self.scale * super().loss(*args, **kwargs)["loss"])

    def after_step(self, net, progress):
        self.steps += 1

    def networks(self, net):
        return dict(scaled=net)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_methods_are_chosen_with_their_probabilities():
    choices = RandomChoice([MixUp(), CutMix(), Vanilla()], p=[0.5, 0.2, 0.3]).draw(
        4, (32, 32), generator(), steps=(5000,))["choice"]
    for i, p in enumerate((0.5, 0.2, 0.3)):
        assert choices.count(i) / 5000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 5000))


def test_equal_probabilities_are_the_default():
    assert RandomChoice([MixUp(), CutMix(), Vanilla(), MixUp()]).p == [0.25] * 4


@pytest.mark.parametrize("p", [[0.5, 0.4], [0.5, 0.6], [1.0], [1.5, -0.5], [math.nan, 1.0], [0.3, 0.3, 0.4], []])
def test_probabilities_must_be_as_many_as_methods_and_sum_to_1(p):
    with pytest.raises(ValueError, match="as many probabilities that sum to 1.*Vanilla"):
        RandomChoice([MixUp(), CutMix()], p=p)


def test_no_methods_are_refused():
    with pytest.raises(ValueError, match="RandomChoice needs methods"):
        RandomChoice([])


def test_a_batch_is_mixed_as_the_chosen_method_mixes_it(make_batch):
    images, labels = make_batch()
    methods = [MixUp(), CutMix(), Vanilla()]
    plan = RandomChoice(methods).draw(6, (32, 32), generator(), steps=(12,))
    for i in range(12):
        draws = draws_at(plan, i)
        choice = draws["choice"]
        mixed, target = RandomChoice(methods)(images, labels, draws)
        expected, wanted = methods[choice](images, labels, draws[str(choice)])
        assert torch.equal(mixed, expected) and torch.equal(target.weight, wanted.weight)
    assert set(plan["choice"]) == {0, 1, 2}


def test_parameters_of_methods_not_chosen_get_a_zero_gradient(make_net, make_batch, criterion):
    learned, net, batch = Learned(), make_net(), make_batch(4)
    method = RandomChoice([learned, CutMix()])
    draws = method.draw(4, (32, 32), generator())
    alone = CutMix().loss(net, *batch, criterion, draws["1"])["loss"]
    loss = method.loss(net, *batch, criterion, {**draws, "choice": 1})["loss"]
    assert torch.equal(loss, alone)
    loss.backward()
    assert learned.scale.grad == 0
    learned.scale.grad = None
    method.loss(net, *batch, criterion, {**draws, "choice": 0})["loss"].backward()
    assert learned.scale.grad > 0


def test_hooks_of_training_reach_every_method(make_net):
    learned, net = Learned(), make_net()
    method = RandomChoice([learned, CutMix()])
    method.after_step(net, 0.1)
    assert learned.steps == 1
    assert list(method.networks(net)) == ["scaled", "net"]
    assert list(RandomChoice([CutMix(), learned]).networks(net)) == ["net", "scaled"]


def test_a_network_that_several_methods_name_is_evaluated_once(make_net, make_batch):
    net, passes = make_net(), []
    net.register_forward_hook(lambda module, inputs, output: passes.append(module))
    predicted = RandomChoice([CutMix(), MixUp(), Vanilla()]).predict(net, make_batch()[0])
    assert list(predicted) == ["net"] and len(passes) == 1


def test_choices_nest_and_tell_what_they_need(make_batch):
    inner = RandomChoice([MixUp(), CutMix()])
    method = RandomChoice([inner, Learned()], p=[1, 0])
    assert (inner.needs, method.needs) == ("batch", "learned")
    images, labels = make_batch()
    draws = draws_at(method.draw(6, (32, 32), generator(), steps=(3,)), 2)
    mixed, _ = method(images, labels, draws)
    expected, _ = inner.methods[draws["0"]["choice"]](images, labels, draws["0"][str(draws["0"]["choice"])])
    assert torch.equal(mixed, expected)


def test_a_config_builds_it_from_configs():
    method = MIXUPS.build(dict(type="RandomChoice", p=[0.3, 0.7], methods=[
        dict(type="MixUp", alpha=0.8), dict(type="RandomChoice", methods=[dict(type="CutMix", prob=0.5)])]))
    assert isinstance(method, MixMethod)
    assert method.methods[0].alpha == 0.8 and method.methods[1].methods[0].prob == 0.5


def test_num_classes_is_given_once_for_all_methods(make_batch):
    images, labels = make_batch(4)
    for choice in (RandomChoice([MixUp(), CutMix(), Vanilla()], num_classes=10),
                   RandomChoice([MixUp(), CutMix(num_classes=10), Vanilla()]),
                   RandomChoice([RandomChoice([MixUp(), Vanilla()]), CutMix()], num_classes=10),
                   MIXUPS.build(dict(type="RandomChoice", methods=[dict(type="MixUp")], num_classes=10))):
        for _ in range(8):
            target = choice(images, labels)[1]
            assert isinstance(target, torch.Tensor) and target.shape == (4, 10)
    assert RandomChoice([MixUp()]).num_classes is None


@pytest.mark.parametrize("methods, number", [([MixUp(num_classes=10)], 20),
                                             ([MixUp(num_classes=10), CutMix(num_classes=20)], None)], ids=str)
def test_methods_that_differ_in_num_classes_are_refused(methods, number):
    with pytest.raises(ValueError, match="num_classes differs: 10, 20; give it once"):
        RandomChoice(methods, num_classes=number)


@pytest.mark.parametrize("wrong", [dict(type="MixUp"), MixUp, "MixUp"], ids=str)
def test_what_is_no_method_is_refused(wrong):
    with pytest.raises(TypeError, match="methods must be mixing methods"):
        RandomChoice([wrong])


@pytest.mark.parametrize("draws", [dict(lam=torch.ones(1)), {}, dict(choice=5), dict(choice=torch.tensor(0)), 0.5],
                         ids=str)
def test_draws_of_another_method_are_refused(draws, make_batch):
    with pytest.raises(ValueError, match="draws of a RandomChoice are a dict of choice"):
        RandomChoice.example()(*make_batch(4), draws)
