"""Optimizers from configs: which parameter gets which settings, against mmengine's constructor."""
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from openmix.engine.optim.optimizers import build_optimizer, check_optimizer

SGD = dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
        self.norm, self.scale = nn.LayerNorm(4), nn.Parameter(torch.ones(4))
        self.mix_block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4))
        self.head = nn.Linear(4, 10)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)


def settings(optimizer, model, *keys):
    """{parameter's name: its group's values}."""
    names = {id(p): n for n, p in model.named_parameters()}
    return {names[id(p)]: tuple(group[k] for k in keys) for group in optimizer.param_groups for p in group["params"]}


def test_default_is_one_group_with_decay_on_everything():
    net = Net()
    optimizer = build_optimizer(net, dict(type="OptimWrapper", optimizer=SGD))
    assert isinstance(optimizer, torch.optim.SGD) and len(optimizer.param_groups) == 1
    actual = settings(optimizer, net, "lr", "base_lr", "weight_decay", "momentum")
    trainable = {n for n, p in net.named_parameters() if p.requires_grad}
    assert actual == dict.fromkeys(trainable, (0.1, 0.1, 1e-4, 0.9)) and "frozen.weight" not in actual


@pytest.mark.parametrize("paramwise", [
    dict(norm_decay_mult=0), dict(bias_decay_mult=0.0, norm_decay_mult=0.0), dict(bias_lr_mult=2, bias_decay_mult=0),
    dict(flat_decay_mult=0), dict(custom_keys={"mix_block": dict(lr_mult=0.1), "mix_block.1": dict(decay_mult=0)}),
    dict(norm_decay_mult=0.5, custom_keys={"head": dict(lr_mult=10, decay_mult=2), ".bias": dict(lr_mult=3)})])
def test_settings_are_those_of_mmengine(paramwise):
    net, trainable = Net(), lambda net: {n: v for n, v in net.items() if "frozen" not in n}
    theirs = build_optim_wrapper(net, dict(type="OptimWrapper", optimizer=dict(SGD), paramwise_cfg=dict(paramwise)))
    optimizer = build_optimizer(net, dict(optimizer=SGD, paramwise_cfg=paramwise))
    expected = trainable(settings(theirs.optimizer, net, "lr", "weight_decay"))
    actual = settings(optimizer, net, "lr", "weight_decay")
    assert actual.keys() == expected.keys()
    for name in actual:
        assert actual[name] == pytest.approx(expected[name])
    assert all(group["base_lr"] == group["lr"] for group in optimizer.param_groups)
    assert len(optimizer.param_groups) == len(set(actual.values()))


def test_custom_keys_set_other_settings_too():
    net = Net()
    config = dict(optimizer=SGD, paramwise_cfg=dict(custom_keys=dict(mix_block=dict(momentum=0.0))))
    actual = settings(build_optimizer(net, config), net, "momentum", "weight_decay")
    assert {n for n, v in actual.items() if v == (0.0, 1e-4)} == {n for n in actual if n.startswith("mix_block")}


def test_shared_parameters_are_optimized_once():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    assert len(build_optimizer(net, dict(optimizer=SGD)).param_groups[0]["params"]) == 3


def test_a_step_is_that_of_the_plain_optimizer():
    torch.manual_seed(0)
    net, twin = nn.Linear(4, 3), nn.Linear(4, 3)
    twin.load_state_dict(net.state_dict())
    ours = build_optimizer(net, dict(optimizer=SGD))
    plain = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, foreach=False)
    for _ in range(3):
        x = torch.randn(5, 4)
        for model, optimizer in ((net, ours), (twin, plain)):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(net.weight, twin.weight)
    torch.testing.assert_close(net.bias, twin.bias)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_fused_where_there_is_a_kernel_unless_set_otherwise(name):
    optimizer = dict(type=name, lr=0.1)
    assert build_optimizer(Net(), dict(optimizer=optimizer)).defaults["fused"] is True
    assert build_optimizer(Net(), dict(optimizer=dict(optimizer, fused=False))).defaults["fused"] is False
    assert not build_optimizer(Net(), dict(optimizer=dict(optimizer, foreach=True))).defaults["fused"]
    assert "fused" not in build_optimizer(Net(), dict(optimizer=dict(type="Adadelta", lr=0.1))).defaults


def test_state_of_an_optimizer_returns_with_its_groups():
    net, config = Net(), dict(optimizer=SGD, paramwise_cfg=dict(norm_decay_mult=0))
    optimizer = build_optimizer(net, config)
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.ones_like(p)
    optimizer.step()
    again = build_optimizer(net, config)
    again.load_state_dict(optimizer.state_dict())
    torch.testing.assert_close(again.state_dict(), optimizer.state_dict(), rtol=0, atol=0)


def test_key_that_matches_nothing_is_reported():
    with pytest.warns(UserWarning, match="'haed'.* matches no parameter"):
        build_optimizer(Net(), dict(optimizer=SGD, paramwise_cfg=dict(custom_keys=dict(haed=dict(lr_mult=2)))))


def test_nothing_to_train_is_an_error():
    with pytest.raises(ValueError, match="nothing to train"):
        build_optimizer(nn.Linear(2, 2).requires_grad_(False), dict(optimizer=SGD))


@pytest.mark.parametrize("config, message", [
    (dict(optimizer=dict(type="SDG", lr=1)), "unknown type 'SDG'; did you mean 'SGD'"),
    (dict(optimizer=dict(SGD, momentun=1)), "no key 'momentun'; did you mean 'momentum'"),
    (dict(optimizer=dict(type="SGD")), "needs an 'lr'"),
    (dict(optimizer=dict(type="SGD", lr="0.1")), "lr must be a number"),
    (dict(optimizer=dict(type="SGD", lr=-0.1)), "at least 0"),
    (dict(optimizer=dict(SGD, params=[])), "'params' is filled in"),
    (dict(optimizer=SGD, clip_gard=dict(max_norm=1)), "did you mean 'clip_grad'"),
    (dict(optimizer=SGD, clip_grad=dict(norm=1)), "clip_grad: unknown key 'norm'"),
    (dict(optimizer=SGD, clip_grad=dict(norm_type=2)), "max_norm must be a number"),
    (dict(optimizer=SGD, accumulative_counts=0), "accumulative_counts"),
    (dict(optimizer=SGD, paramwise_cfg=dict(norm_decay=0)), "did you mean 'norm_decay_mult'"),
    (dict(optimizer=SGD, paramwise_cfg=dict(norm_decay_mult="0")), "norm_decay_mult must be a number"),
    (dict(optimizer=SGD, paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mul=2)))), "did you mean 'lr_mult'"),
    (dict(type="AmpOptimWrapper", optimizer=SGD), "--amp")])
def test_bad_config_is_a_clear_error(config, message):
    with pytest.raises(ValueError, match=message):
        check_optimizer(config)


@pytest.mark.parametrize("optimizer", [None, dict(lr=0.1), "SGD"])
def test_no_optimizer_is_a_type_error_that_lists_them(optimizer):
    with pytest.raises(TypeError, match="AdamW"):
        check_optimizer(dict(optimizer=optimizer))


@pytest.mark.parametrize("name, message", [("LBFGS", "needs a closure"), ("SparseAdam", "gradients are dense")])
def test_optimizers_that_a_step_cannot_drive_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        check_optimizer(dict(optimizer=dict(type=name, lr=0.1)))


def test_every_other_optimizer_of_torch_passes(rng_untouched):
    with rng_untouched():
        for name in "ASGD Adadelta Adagrad Adam AdamW Adamax NAdam RAdam RMSprop Rprop SGD".split():
            check_optimizer(dict(optimizer=dict(type=name, lr=0.1)))


def test_an_optimizer_of_ones_own_is_judged_by_its_signature():
    from openmix.registry import OPTIMIZERS

    class Greedy(torch.optim.SGD):
        def step(self, closure):
            return closure()

    OPTIMIZERS.register_module(module=Greedy)
    try:
        with pytest.raises(ValueError, match="Greedy needs a closure"):
            check_optimizer(dict(optimizer=dict(type="Greedy", lr=0.1)))
    finally:
        OPTIMIZERS.module_dict.pop("Greedy")
