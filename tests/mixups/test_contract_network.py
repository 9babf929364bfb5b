"""What holds for ``loss``, ``attach``, ``networks`` and the state of every registered mixing method."""
import copy

import pytest
import torch

from openmix.mixups import CutMix, RandomChoice
from openmix.plan import draws_at
from openmix.target import Target, as_target
from tests.mixups.contract import (
    both,
    cases,
    check_accumulation,
    check_details,
    check_every_parameter_learns,
    check_loss,
    check_meaning,
    check_source,
    check_target,
    check_weights,
    generator,
    make,
    network,
    part,
    same,
    trace,
)

every = pytest.mark.parametrize("name, options", cases())
plain = pytest.mark.parametrize("name", [p.values[0] for p in cases(dict(default={}))])
networked = pytest.mark.parametrize("name, options", cases(needs=network))


@pytest.fixture
def attached(make_net):
    def build(method):
        net = make_net(needs=method.needs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            method.attach(net)
        return method, net
    return build


@every
def test_the_loss_is_a_finite_scalar_that_reaches_every_parameter(name, options, attached, make_batch, criterion):
    method, net = attached(make(name, **options))
    images, labels = make_batch(4)
    before = images.clone(), labels.clone()
    losses, _, calls = trace(method, net, images, labels, criterion, method.draw(4, (32, 32), generator()))
    check_loss(losses)
    for target, _ in calls:
        if isinstance(target, Target):
            check_target(target, len(target.label), method.sums_to_one)  # of images, or of the cells of a local loss
    check_every_parameter_learns(method, net, losses["loss"])
    assert torch.equal(images, before[0]) and torch.equal(labels, before[1]), "the caller's batch was written to"


@plain
def test_accumulated_gradients_are_not_disturbed(name, attached, make_batch, criterion):
    method, net = attached(make(name))
    check_accumulation(method, net, make_batch(4), criterion, method.draw(4, (32, 32), generator()))


@plain
def test_modes_hooks_and_trainability_of_the_network_stay(name, attached, make_batch, criterion):
    def look():
        hooks = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()]
        return hooks, [p.requires_grad for p in net.parameters()]

    method, net = attached(make(name))
    net.layer1[1].eval()  # a frozen batch norm
    net.layer2[0].weight.requires_grad_(False)
    before = look()
    draws = method.draw(4, (32, 32), generator())
    images, labels = make_batch(4)
    method.loss(net, images, labels, criterion, draws)
    assert look() == before
    buffers = {k: v.clone() for k, v in net.named_buffers()}
    method.details(images, draws, net=net, labels=labels)
    method.networks(net)
    assert look() == before and same(buffers, dict(net.named_buffers())), "looking changes nothing"


@plain
def test_given_the_draws_the_loss_draws_nothing_and_repeats(name, attached, make_batch, criterion, rng_untouched):
    pair, batch = attached(make(name)), make_batch(4)
    draws = pair[0].draw(4, (32, 32), generator())
    actual = []
    with rng_untouched():
        for _ in range(2):
            method, net = copy.deepcopy(pair)
            actual.append(method.loss(net, *batch, criterion, draws)["loss"])
    assert torch.equal(*actual)


@networked
def test_details_tell_what_the_loss_does(name, options, attached, make_batch, criterion):
    method, net = attached(make(name, **options))
    images, labels = make_batch(4)
    for seed in range(2):
        draws = method.draw(4, (32, 32), generator(seed))
        details = method.details(images, draws, net=net, labels=labels)
        check_details(details, 4, (32, 32), method)
        check_source(method.weight_from, method.needs, details, draws)
        _, _, calls = trace(method, net, images, labels, criterion, draws)
        agree = []
        for target, _ in calls:
            target = as_target(target)  # plain labels count as one of each image
            if len(target.label) == 4:
                try:
                    agree.append(check_weights(details, labels, target))
                except AssertionError:
                    continue
        assert agree, "no target of the loss has the weights and the sources of details"


@networked
def test_half_a_batch_goes_with_its_part_of_the_draws(name, options, attached, make_batch, criterion):
    method, net = attached(make(name, **options))
    images, labels = make_batch(6)
    draws = draws_at(method.draw(6, (32, 32), generator(), steps=(2,)), 1)
    for cut in (slice(0, 3), slice(3, 6)):
        mine = part(draws, cut.start, cut.stop, 6)
        check_loss(method.loss(net, images[cut], labels[cut], criterion, mine))


@pytest.mark.parametrize("name, options", cases(needs="gradient".__eq__))
def test_labels_belong_to_the_pixels_that_the_network_sees(name, options, attached, criterion):
    method, net = attached(make(name, **options))
    images = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 3, 32, 32)
    for seed in range(4):
        draws = method.draw(4, (32, 32), generator(seed))
        _, seen, calls = trace(method, net, images, torch.arange(4), criterion, draws)
        check_meaning(calls[-1][0], seen[-1])


@pytest.mark.parametrize("name, options", cases(dict(off=dict(prob=0)), "learned".__ne__))
def test_prob_0_is_plain_training(name, options, attached, make_batch, criterion):
    method, net = attached(make(name, **options))
    images, labels = make_batch(4)
    expected = criterion(net(images), labels)
    draws = method.draw(4, (32, 32), generator())
    _, _, calls = trace(method, net, images, labels, criterion, draws)  # some add losses of their own to this one
    assert any(torch.allclose(value, expected, atol=1e-5) for _, value in calls)


@plain
def test_probabilities_give_the_loss_of_indices(name, attached, make_batch, criterion):
    pair, (images, labels) = attached(make(name)), make_batch(4)
    draws, actual = pair[0].draw(4, (32, 32), generator()), []
    for form in (labels, torch.eye(10)[labels]):
        method, net = copy.deepcopy(pair)
        actual.append(method.loss(net, images, form, criterion, draws)["loss"])
    assert torch.allclose(*actual, atol=1e-5)


@plain
def test_bfloat16_autocast_gives_a_finite_loss(name, attached, make_batch, criterion):
    method, net = attached(make(name))
    with torch.autocast("cpu", torch.bfloat16):
        losses = method.loss(net, *make_batch(4), criterion, method.draw(4, (32, 32), generator()))
    check_loss(losses)
    check_every_parameter_learns(method, net, losses["loss"])


@plain
def test_state_dict_and_deepcopy_carry_everything(name, attached, make_net, make_batch, criterion):
    method, net = attached(make(name))
    images, labels = make_batch(4)
    draws = method.draw(4, (32, 32), generator())
    optimizer = torch.optim.SGD(both(method, net).values(), 0.1)
    method.loss(net, images, labels, criterion, draws)["loss"].backward()
    optimizer.step()
    method.after_step(net, 0.5)
    copied = copy.deepcopy((method, net))
    fresh_net, fresh = make_net(seed=1, needs=method.needs), make(name)
    fresh.attach(fresh_net)
    fresh_net.load_state_dict(net.state_dict())
    fresh.load_state_dict(method.state_dict())
    fresh.load_history(method.history())
    expected = method.loss(net, images, labels, criterion, draws)["loss"]
    for twin, twin_net in (copied, (fresh, fresh_net)):
        assert torch.equal(twin.loss(twin_net, images, labels, criterion, draws)["loss"], expected)


@plain
def test_every_network_classifies_in_eval_mode(name, attached, make_batch):
    method, net = attached(make(name))
    for progress in (0.0, 0.05, 0.5, 1.0):
        method.after_step(net, progress)
    networks = method.networks(net)
    assert networks
    for actual in networks.values():
        with torch.no_grad():
            logits = actual.eval()(make_batch(4)[0])
        assert logits.shape == (4, 10) and logits.isfinite().all()


@plain
def test_predictions_are_those_of_the_single_networks_and_change_nothing(name, attached, make_batch, criterion):
    method, net = attached(make(name))
    images, labels = make_batch(4)
    method.loss(net, images, labels, criterion)["loss"].backward()
    with torch.no_grad():
        for p in both(method, net).values():  # so that heads and teachers differ
            p.add_(0.1 * torch.randn(p.shape, generator=generator(p.numel())))
    owner = torch.nn.ModuleDict(dict(net=net, method=method)).eval()
    before = {k: v.clone() for k, v in owner.state_dict().items()}
    with torch.no_grad():
        expected = {key: network.eval()(images) for key, network in method.networks(net).items()}
        actual = method.predict(net, images)
    assert list(actual) == list(expected)
    for key, logits in expected.items():
        torch.testing.assert_close(actual[key], logits, msg=f"logits of {key}")
    assert same(before, dict(owner.state_dict()))


@plain
def test_among_others_of_a_random_choice_every_parameter_still_learns(name, attached, make_batch, criterion):
    mix, net = attached(RandomChoice([make(name), CutMix()]))
    draws = mix.draw(4, (32, 32), generator())
    for choice in (0, 1):
        method, net_ = copy.deepcopy((mix, net))
        losses = method.loss(net_, *make_batch(4), criterion, {**draws, "choice": choice})
        check_loss(losses)
        check_every_parameter_learns(method, net_, losses["loss"])
    assert mix.networks(net)
    mix.after_step(net, 0.5)
