"""What holds for every method that wraps another one."""
import pytest
import torch
from torch import nn

from openmix.mixups import CutMix, FMix, MixUp, PuzzleMix, RandomChoice, RegMixup, SUMix, Vanilla
from openmix.mixups.wrapper import INHERITED
from openmix.registry import MIXUPS
from openmix.target import as_sources
from tests.mixups.contract import generator, same

wrappers = pytest.mark.parametrize("wrapper", [RegMixup, SUMix])
INNER = [CutMix(per_sample=True), FMix(), MixUp(partner="class"), RandomChoice([MixUp(), CutMix()]), Vanilla()]


@wrappers
@pytest.mark.parametrize("inner", INNER, ids=lambda m: type(m).__name__)
def test_any_method_that_mixes_a_batch_may_be_wrapped(wrapper, inner, make_net, make_batch, criterion):
    method, net, (images, labels) = wrapper(inner), make_net(), make_batch()
    method.attach(net)
    for seed in range(3):
        draws = method.draw(6, (32, 32), generator(seed))
        assert same(draws, inner.draw(6, (32, 32), generator(seed)))
        assert method.variant(draws) == inner.variant(draws)
        loss = method.loss(net, images, labels, criterion, draws)["loss"]
        loss.backward()
        assert loss.isfinite() and all(p.grad is not None for p in [*net.parameters(), *method.parameters()])
        for actual, expected in zip(as_sources(method.details(images, draws, labels=labels)),
                                   as_sources(inner.details(images, draws, labels=labels)), strict=True):
            assert torch.equal(actual, expected)


def test_a_call_mixes_as_the_wrapped_method(make_batch):
    inner, (images, labels) = CutMix(alpha=0.5), make_batch()
    draws = inner.draw(6, (32, 32), generator())
    (actual, target), (expected, right) = RegMixup(inner)(images, labels, draws), inner(images, labels, draws)
    assert torch.equal(actual, expected) and same(target._asdict(), right._asdict())
    assert all(getattr(RegMixup(inner), name) == getattr(inner, name) for name in INHERITED)


@wrappers
def test_the_number_of_classes_counts_for_both(wrapper):
    for method in (wrapper(MixUp(num_classes=10)), wrapper(MixUp(), num_classes=10)):
        assert method.num_classes == method.method.num_classes == 10
    with pytest.raises(ValueError, match="5, 10; give it once"):
        wrapper(MixUp(num_classes=10), num_classes=5)


@wrappers
def test_probabilities_give_the_same_loss_where_targets_are_dense(wrapper, make_net, make_batch, criterion):
    images, labels = make_batch(4)
    actual = []
    for num_classes, given in ((None, labels), (10, labels), (10, torch.eye(10)[labels])):
        method, net = wrapper(MixUp(), num_classes=num_classes), make_net()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            method.attach(net)
        actual.append(method.loss(net, images, given, criterion, method.draw(4, (32, 32), generator()))["loss"])
    torch.testing.assert_close(actual[1:], [actual[0]] * 2)


@wrappers
def test_methods_that_need_the_network_and_what_is_no_method_are_refused(wrapper):
    with pytest.raises(ValueError, match=r"mixes a batch by itself.*PuzzleMix needs the network \(gradient\)"):
        wrapper(PuzzleMix())
    with pytest.raises(TypeError, match="must be a mixing method"):
        wrapper(nn.Identity())


@wrappers
def test_a_config_builds_both(wrapper):
    method = MIXUPS.build(dict(type=wrapper.__name__, method=dict(type="CutMix", alpha=0.2)))
    assert isinstance(method.method, CutMix) and method.method.alpha == 0.2
    with pytest.raises(ValueError, match="did you mean 'alpha'"):
        MIXUPS.build(dict(type=wrapper.__name__, method=dict(type="CutMix", alhpa=0.2)))


@wrappers
def test_it_takes_part_in_a_random_choice(wrapper, make_net, make_batch, criterion):
    net, mix = make_net(), RandomChoice([wrapper(CutMix()), MixUp()], num_classes=10)
    mix.attach(net)
    assert mix.methods[0].method.num_classes == 10
    for choice in (0, 1):
        draws = {**mix.draw(4, (32, 32), generator()), "choice": choice}
        assert mix.loss(net, *make_batch(4), criterion, draws)["loss"].isfinite()
