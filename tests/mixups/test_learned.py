"""What holds for every method that learns its masks beside the classifier: gradients, teacher, networks, state."""
import copy

import pytest
import torch
from torch import nn

from openmix.mixups import AdAutoMix, AutoMix, SAMix
from tests.mixups.learned import attached, cross_entropy, draws_for, same, state, trainable

KINDS = (AutoMix, SAMix, AdAutoMix)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def pair(request, make_net):
    """``pair(**options)``: a method attached to a TinyNet, and the net; equal each time."""
    return lambda **options: attached(make_net(), request.param, **options)


def test_the_losses_of_the_block_leave_the_gradient_of_the_classifier_bit_equal(pair, make_batch):
    """Disabled: the block frozen, so that mix_k and the others have nothing to train; enabled: with large losses."""
    gradients, images_labels = [], make_batch()
    for enabled in (True, False):
        method, net = pair()
        method.mask_loss, method.margin = 1000.0 if enabled else 0.0, 0.0
        method.block.requires_grad_(enabled)
        method.loss(net, *images_labels, cross_entropy, draws_for(method))["loss"].backward()
        assert all((p.grad is not None) is enabled for p in method.block.parameters())
        gradients.append({f"net.{k}": p.grad for k, p in net.named_parameters()}
                         | {f"head.{k}": p.grad for k, p in method.head_mix.named_parameters()})
    assert same(*gradients)


def test_every_trainable_parameter_gets_a_gradient_and_the_teacher_none(pair, make_batch):
    method, net = pair()
    method.margin = 0.0
    method.loss(net, *make_batch(), cross_entropy, draws_for(method))["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trainable(method, net))
    teacher = [*method.teacher.parameters(), *method.head_mix_k.parameters()]
    assert teacher and all(p.grad is None and not p.requires_grad for p in teacher)
    names = {name.split(".")[0] for name, p in method.named_parameters() if p.requires_grad}
    assert names == {"block", "head_mix"}


def test_after_one_step_with_momentum_0_the_teacher_is_the_student(pair, make_batch):
    method, net = pair(momentum=0.0)
    optimizer = torch.optim.SGD(trainable(method, net), 0.5)
    method.loss(net, *make_batch(), cross_entropy)["loss"].backward()
    before = state(method.teacher)
    optimizer.step()
    method.after_step(net, 0.0)
    student = dict(net.named_parameters())
    assert same(dict(method.teacher.named_parameters()), student)
    assert same(dict(method.head_mix_k.named_parameters()), dict(method.head_mix.named_parameters()))
    assert not torch.equal(before["fc.weight"], student["fc.weight"])


def test_the_momentum_is_that_of_the_schedule(pair):
    for progress, momentum in ((0.0, 0.5), (0.09, 0.5), (0.5, 0.7), (1.0, 0.9)):
        method, net = pair(momentum=0.5, momentum_end=0.9)
        old = state(method.teacher)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(1)
        for form in (progress, torch.tensor(progress)):
            twin = copy.deepcopy(method)
            twin.after_step(net, form)
            for name, parameter in twin.teacher.named_parameters():
                assert torch.allclose(parameter, old[name] + 1 - momentum, atol=1e-5)


def test_evaluating_and_details_change_no_buffer(pair, make_batch):
    method, net = pair()
    images, labels = make_batch()
    before = state(method), state(net)
    draws = draws_for(method)
    method.details(images, draws)
    net.eval(), method.eval()
    with torch.no_grad():
        for network in method.networks(net).values():
            network(images)
    method.details(images, draws)
    assert same(before[0], state(method)) and same(before[1], state(net))


def test_the_four_networks_are_named_in_order_share_their_parts_and_publish(pair, make_net, make_batch):
    method, net = pair()
    images, labels = make_batch()
    with torch.no_grad():
        for parameter in [*net.parameters(), *method.head_mix.parameters()]:
            parameter.add_(0.1 * torch.randn_like(parameter))
    owner = nn.ModuleDict(dict(net=net, mixup=method))
    keys = list(owner.state_dict())
    networks = method.networks(net)
    owner.eval()
    assert list(networks) == ["mix_k", "one_k", "mix_q", "one_q"] and list(owner.state_dict()) == keys
    logits = {name: network(images) for name, network in networks.items()}
    for body, names in ((method.teacher, ("mix_k", "one_k")), (net, ("mix_q", "one_q"))):
        seen = []
        handle = body.fc.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        body(images)
        handle.remove()
        for name, head in zip(names, (method.head_mix_k if body is method.teacher else method.head_mix, body.fc),
                              strict=True):
            assert torch.allclose(logits[name], head(seen[0]), atol=1e-6)
    for name, network in networks.items():
        plain = make_net(seed=1)
        plain.load_state_dict(network.state_dict())
        assert torch.equal(plain.eval()(images), logits[name])
    assert len({value.sum().item() for value in logits.values()}) == 4


def test_a_run_continued_from_copies_or_state_dicts_is_bit_equal(pair, make_net, make_batch):
    def steps(method, net, optimizer, seeds):
        for seed in seeds:
            loss = method.loss(net, *make_batch(seed=seed), cross_entropy, draws_for(method, seed=seed), seed / 4)
            optimizer.zero_grad()
            loss["loss"].backward()
            optimizer.step()
            method.after_step(net, seed / 4)
        return {**state(method), **state(net)}

    method, net = pair()
    steps(method, net, torch.optim.SGD(trainable(method, net), 0.1), (0, 1))
    copied_method, copied_net = copy.deepcopy((method, net))
    fresh_net, fresh = make_net(seed=5), type(method)()
    fresh.attach(fresh_net)
    fresh_net.load_state_dict(net.state_dict())
    fresh.load_state_dict(method.state_dict())
    expected = steps(method, net, torch.optim.SGD(trainable(method, net), 0.1), (2, 3))
    for m, n in ((copied_method, copied_net), (fresh, fresh_net)):
        assert same(expected, steps(m, n, torch.optim.SGD(trainable(m, n), 0.1), (2, 3)))


def test_attaching_again_lets_the_teacher_equal_the_network_anew(pair, make_net):
    method, net = pair()
    modules = list(method.children())
    net.load_state_dict(make_net(seed=3).state_dict())
    assert not torch.equal(method.teacher.fc.weight, net.fc.weight)
    method.attach(net)
    assert same(method.teacher.state_dict(), net.state_dict())
    assert all(a is b for a, b in zip(method.children(), modules, strict=True))
    assert all(not p.requires_grad for p in method.teacher.parameters())


def test_a_compiled_network_gives_the_losses_of_the_eager_one(pair, make_batch):
    (method, net), (other, twin) = pair(), pair()
    compiled = torch.compile(twin, backend="eager")
    for seed in range(2):
        expected = method.loss(net, *make_batch(), cross_entropy, draws_for(method, seed=seed))
        actual = other.loss(compiled, *make_batch(), cross_entropy, draws_for(method, seed=seed))
        assert all(torch.allclose(actual[name], value, atol=1e-6) for name, value in expected.items())
        other.after_step(compiled, 0.5), method.after_step(net, 0.5)
    assert list(other.networks(compiled)["mix_q"].state_dict()) == list(twin.state_dict())
