"""What holds for every registered mixing method at the edges: odd images, wrong labels, draws by hand, settings."""
import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from openmix.losses import SoftCrossEntropy
from openmix.mixups import MixUp
from openmix.registry import MIXUPS, _parameters

from .contract import (
    batch,
    cases,
    check_blend,
    check_details,
    check_form,
    check_meaning,
    check_target,
    check_weights,
    chosen_method,
    generator,
    make,
    network,
    same,
)

plain = pytest.mark.parametrize("name", [p.values[0] for p in cases(dict(default={}))])
plain_batch_only = pytest.mark.parametrize("name", [p.values[0] for p in cases(dict(default={}), batch)])
batch_only = pytest.mark.parametrize("name, options", cases(needs=batch))
networked = pytest.mark.parametrize("name", [p.values[0] for p in cases(dict(default={}),
                                                                        network)])


def attached(name, make_net):
    method = make(name)
    net = make_net(needs=method.needs)
    with torch.random.fork_rng(devices=[]):
        method.attach(net)
    return method, net


# -- images ---------------------------------------------------------------------------------------------------------


@batch_only
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 9), (9, 1), (2, 5), (3, 3)], ids=str)
def test_small_images_are_mixed_with_their_labels_or_refused_by_size(name, options, size):
    """A method that never mixes at a size would be clean training without a word."""
    method, n, mixed_any = make(name, **options), 4, False
    images = torch.arange(float(n)).reshape(n, 1, 1, 1).expand(n, 3, *size)
    try:
        for seed in range(30):
            draws = method.draw(n, size, generator(seed))
            mixed, target = check_form(method, images, torch.arange(n), draws)
            check_target(target, n, method.sums_to_one)
            check_meaning(target, mixed)
            mixed_any |= not torch.equal(mixed, images)
    except ValueError as error:
        assert f"{size[0]}x{size[1]}" in str(error)
    else:
        assert mixed_any or name == "Vanilla"


@plain_batch_only
@pytest.mark.parametrize("shape", [(6, 1, 12, 12), (6, 70, 12, 12), (2, 3, 7, 40), (1, 3, 8, 8)], ids=str)
@pytest.mark.parametrize("dtype, atol", [(torch.float32, 1e-5), (torch.float16, 0.01)], ids=str)
def test_images_of_any_channels_sides_and_types_are_mixed(name, shape, dtype, atol):
    method, images = make(name), torch.randn(shape, generator=generator()).to(dtype)
    draws = method.draw(shape[0], shape[2:], generator(1))
    labels = torch.arange(shape[0])
    mixed, target = check_form(method, images, labels, draws)
    details = method.details(images, draws, labels=labels)
    check_details(details, shape[0], shape[2:], method)
    check_weights(details, labels, target)
    if chosen_method(method, draws).blends:
        check_blend(details, images, mixed, atol)


@batch_only
def test_how_images_lie_in_memory_changes_no_bit(name, options, make_batch):
    method, (images, labels) = make(name, **options), make_batch(4, (12, 10))
    lying = dict(channels_last=images.to(memory_format=torch.channels_last), turned=images.mT.contiguous().mT,
                 strided=images.repeat_interleave(2, 2)[:, :, ::2], widened=F.pad(images, (2, 2))[..., 2:-2])
    for seed in range(4):
        draws = method.draw(4, (12, 10), generator(seed))
        expected, target = method(images, labels, draws)
        for form, values in lying.items():
            assert torch.equal(values, images), form
            mixed, again = check_form(method, values, labels, draws)
            assert torch.equal(mixed, expected) and same(again._asdict(), target._asdict()), form


@batch_only
def test_no_images_are_mixed_to_no_images(name, options):
    method = make(name, **options)
    for seed in range(4):  # a method may choose among programs
        mixed, target = check_form(method, torch.zeros(0, 3, 16, 16), torch.zeros(0).long(),
                                   method.draw(0, (16, 16), generator(seed)))
        check_target(target, 0)
    assert method(torch.zeros(0, 3, 16, 16), torch.zeros(0, 7))[0].shape == (0, 3, 16, 16)


@plain
def test_a_loss_of_no_images_is_refused_before_the_network_sees_them(name, make_net, criterion):
    method, net = attached(name, make_net)
    net.forward = None
    with pytest.raises(ValueError, match="batch of 0 images"):
        method.loss(net, torch.zeros(0, 3, 32, 32), torch.zeros(0).long(), criterion)


@plain
@pytest.mark.parametrize("label", [torch.tensor(3), torch.tensor([3]), 3], ids=repr)
def test_an_image_without_a_batch_dimension_is_named(name, label, make_net, criterion):
    method, net = attached(name, make_net)
    if name == "Vanilla":
        return  # hands on whatever it gets
    with pytest.raises(ValueError, match="batch dimension"):
        method.loss(net, torch.zeros(3, 32, 32), label, criterion)


@plain_batch_only
def test_images_that_are_no_tensor_are_refused(name):
    if name != "Vanilla":
        with pytest.raises(TypeError, match="tensor of images.*ndarray"):
            make(name)(np.zeros((2, 3, 8, 8), np.float32), torch.arange(2))


# -- labels ---------------------------------------------------------------------------------------------------------


@plain
@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32, "one-hot", "bool", "half"], ids=str)
def test_labels_of_any_integer_type_and_one_hot_ones_give_the_same_loss(name, kind, make_net, make_batch):
    pair, (images, labels) = attached(name, make_net), make_batch(4)
    one_hot = F.one_hot(labels, 10)
    form = {"one-hot": one_hot, "bool": one_hot.bool(), "half": one_hot.half()}.get(kind)
    form = labels.to(kind) if form is None else form
    draws, actual = pair[0].draw(4, (32, 32), generator()), []
    for given in (labels, form):
        method, net = copy.deepcopy(pair)
        actual.append(method.loss(net, images, given, SoftCrossEntropy(), draws)["loss"])
    assert torch.allclose(*actual, atol=1e-5)


@plain
@pytest.mark.parametrize("label", [-100, -1, 10, 1000])
def test_a_label_out_of_range_is_named_by_every_method(name, label, make_net, make_batch):
    method, net = attached(name, make_net)
    images, labels = make_batch(4)
    labels[2] = label
    with pytest.raises(ValueError, match=f"label {label} is out of range"):
        method.loss(net, images, labels, SoftCrossEntropy())
    if method.needs == "batch" and label < 0:
        with pytest.raises(ValueError, match=f"label {label} is out of range: class indices start at 0"):
            method(images, labels)


@pytest.mark.parametrize("name", [p.values[0] for p in cases(dict(dense=dict(num_classes=10)), batch)])
@pytest.mark.parametrize("label", [-100, 10])
def test_with_num_classes_the_range_is_in_the_message(name, label, make_batch):
    images, labels = make_batch(4)
    method = make(name, num_classes=10)
    assert method(images, labels)[1].shape == (4, 10)
    labels[1] = label
    with pytest.raises(ValueError, match=f"label {label} is out of range: 10 classes have labels 0 ... 9"):
        method(images, labels)


@plain_batch_only
@pytest.mark.parametrize("labels, message", [
    (torch.arange(6)[:, None], r"squeeze\(1\)"), (torch.zeros(6), r"labels.long\(\)"),
    (torch.zeros(6, dtype=torch.complex64), "complex64"), (torch.full((6, 4), 2), "from 2 to 2"),
    (F.one_hot(torch.arange(5), 6), r"6 class indices.*\(5, 6\)"),
], ids=["column", "float", "complex", "no one-hot", "too few"])
def test_labels_of_a_wrong_form_are_refused_with_the_way_out(name, labels, message, make_batch):
    with pytest.raises(ValueError, match=message):
        make(name)(make_batch()[0], labels)


# -- draws ----------------------------------------------------------------------------------------------------------


@plain
@pytest.mark.parametrize("wrong", [dict(lam=0.5), dict(lam=torch.tensor(0.5)), dict(lam=np.float32(0.5)), 0.5,
                                   torch.tensor([0.5]), dict(lam=torch.full((5, 1), 0.5))],
                         ids=["float", "scalar", "numpy", "bare float", "tensor", "plan"])
def test_draws_of_a_wrong_form_are_refused_with_the_right_one(name, wrong, make_net, make_batch, criterion):
    method, net = attached(name, make_net)
    if not method.draw(4, (32, 32)):
        return  # draws nothing and looks at none
    with pytest.raises((ValueError, TypeError), match=r"draw.*(torch.tensor\(\[0.5\]\)|method.draw|one row)"):
        method.loss(net, *make_batch(4), criterion, wrong)


@plain
def test_a_draw_that_lacks_is_named(name, make_net, make_batch, criterion):
    method, net = attached(name, make_net)
    draws = method.draw(4, (32, 32), generator())
    needed = next((key for key in ("box", "key", "cells", "grid", "centre", "layer", "blocks", "choice", "lam")
                   if key in draws), None)
    if needed:
        with pytest.raises(ValueError, match=f"(lack|hold|of) {needed!r}|{needed}"):
            method.loss(net, *make_batch(4), criterion, {k: v for k, v in draws.items() if k != needed})


def test_draws_by_hand_in_the_right_form_are_what_is_mixed(make_batch):
    images, labels = make_batch(4)
    mixed, target = MixUp()(images, labels, dict(lam=torch.tensor([0.25])))
    assert torch.allclose(mixed, 0.25 * images + 0.75 * images.roll(1, 0), atol=1e-6)
    assert torch.equal(target.weight, torch.tensor([[0.25, 0.75]]).expand(4, 2))


# -- settings -------------------------------------------------------------------------------------------------------


def settings(kinds):
    """Every setting of every method whose default is of one of ``kinds``."""
    for name in MIXUPS.known():
        parameters = _parameters(MIXUPS.get(name))[0]
        if any(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            continue
        yield from (pytest.param(name, key, p.default, id=f"{name}-{key}") for key, p in parameters.items()
                    if type(p.default) in kinds)


def test_the_settings_tried_are_those_that_users_set():
    tried = {(p.values[0], p.values[1]) for p in settings((int, float))}
    assert {("MixUp", "alpha"), ("CutMix", "prob"), ("PuzzleMix", "t_eps"), ("AutoMix", "momentum")} <= tried
    assert ("CutMix", "per_sample") in {(p.values[0], p.values[1]) for p in settings((bool,))}


@pytest.mark.parametrize("name, key, default", settings((int, float)))
def test_numpys_and_torchs_numbers_are_numbers(name, key, default):
    kinds = (np.int64, np.uint8) if type(default) is int and default >= 0 else (np.float64,)
    for value in (*(kind(default) for kind in kinds), torch.tensor(np.array(default)), np.array(default)):
        method = MIXUPS.get(name)(**{key: value})
        kept = getattr(method, key, None)
        assert kept is None or kept == default and type(kept) in (int, float, bool)


@pytest.mark.parametrize("name, key, default", settings((int, float)))
@pytest.mark.parametrize("value", [True, np.True_, math.nan, math.inf, -0.5, "1", None, [1, 2, 3, 4], torch.ones(2)],
                         ids=repr)
def test_what_is_no_number_or_out_of_range_is_refused_by_name(name, key, default, value):
    parameter = _parameters(MIXUPS.get(name))[0][key]
    if value is None and "None" in str(parameter.annotation):
        return
    with pytest.raises(ValueError, match=key):
        MIXUPS.get(name)(**{key: value})


@pytest.mark.parametrize("name, key, default", settings((bool,)))
def test_switches_are_true_or_false(name, key, default):
    MIXUPS.get(name)(**{key: np.bool_(default)})
    for value in ("false", 0, 1.0, None):
        with pytest.raises(ValueError, match=f"{key} must be True or False"):
            MIXUPS.get(name)(**{key: value})


@pytest.mark.parametrize("name, key, default", settings((tuple,)))
@pytest.mark.parametrize("value", [0.3, "ab", [math.nan, 0.5], [-0.5, -0.1], [True, True]], ids=repr)
def test_pairs_and_lists_of_numbers_are_checked_by_name(name, key, default, value):
    if all(isinstance(v, str) for v in default):
        return  # names of layers
    with pytest.raises(ValueError, match=key):
        MIXUPS.get(name)(**{key: value})


@plain
def test_eval_mode_does_not_stop_the_mixing_as_documented(name, make_batch):
    method, (images, labels) = make(name).eval(), make_batch()
    if method.needs == "batch" and name != "Vanilla":
        assert any(not torch.equal(method(images, labels)[0], images) for _ in range(20))
